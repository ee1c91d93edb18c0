package cpu

import (
	"math"
	"math/rand"
	"testing"

	"reprise/kernel"
)

// The gradients of the normalisations, the embedding and the squared error
// against central differences, of functions written again here.

const testEpsilon = 1e-5

// strided returns the elements of x that are from, from+step, ... ; n of them.
func strided(x []float64, from, step, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x[from+i*step]
	}
	return out
}

// moments returns the mean and the mean square about it.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, variance
}

// normalized64 is (x-mean)/sqrt(variance+epsilon), or x/rms without centring.
func normalized64(x []float64, centred bool) []float64 {
	mean, variance := moments(x)
	if !centred {
		variance += mean * mean
		mean = 0
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v - mean) / math.Sqrt(variance+testEpsilon)
	}
	return out
}

func dot64(x []float64, y []float32) float64 {
	sum := 0.0
	for i, v := range x {
		sum += v * float64(y[i])
	}
	return sum
}

// rowNorm64 is the forward pass of LayerNorm or, if centred is false, of
// RMSNorm.
func rowNorm64(x, gain, bias []float64, centred bool) []float64 {
	n := len(gain)
	y := make([]float64, len(x))
	for from := 0; from < len(x); from += n {
		for j, h := range normalized64(x[from:from+n], centred) {
			y[from+j] = h*gain[j] + bias[j]
		}
	}
	return y
}

// close64 checks a forward pass.
func close64(t *testing.T, got []float32, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > 2e-6*(1+math.Abs(want[i])) {
			t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
}

func TestLayerNormAgreesWithFloat64(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	const rows, n = 5, 37
	x, gain, bias, dy := normal(rng, rows*n, 2), normal(rng, n, 1), normal(rng, n, 1), normal(rng, rows*n, 1)
	m := newMachine(t)
	in := kernel.LayerNorm{M: rows, N: n, Epsilon: testEpsilon, X: m.put(x), Gain: m.put(gain), Bias: m.put(bias),
		Y: m.layout.span(rows * n), Mean: m.layout.span(rows), InvStd: m.layout.span(rows)}
	grad := kernel.LayerNormGrad{M: rows, N: n, X: in.X, Gain: in.Gain, Mean: in.Mean, InvStd: in.InvStd, DY: m.put(dy),
		DX: m.layout.span(rows * n), DGain: m.layout.span(n), DBias: m.layout.span(n)}
	m.run(in, grad)
	x64, gain64, bias64 := widen(x), widen(gain), widen(bias)
	close64(t, m.get(in.Y), rowNorm64(x64, gain64, bias64, true))
	compareGradient(t, m.get(grad.DX), differences(func(x []float64) float64 { return dot64(rowNorm64(x, gain64, bias64, true), dy) }, x64), 1e-5)
	compareGradient(t, m.get(grad.DGain), differences(func(g []float64) float64 { return dot64(rowNorm64(x64, g, bias64, true), dy) }, gain64), 1e-5)
	compareGradient(t, m.get(grad.DBias), differences(func(b []float64) float64 { return dot64(rowNorm64(x64, gain64, b, true), dy) }, bias64), 1e-5)
}

func TestRMSNormAgreesWithFloat64(t *testing.T) {
	rng := rand.New(rand.NewSource(6))
	const rows, n = 5, 37
	x, gain, dy := normal(rng, rows*n, 2), normal(rng, n, 1), normal(rng, rows*n, 1)
	zero := make([]float64, n)
	m := newMachine(t)
	in := kernel.RMSNorm{M: rows, N: n, Epsilon: testEpsilon, X: m.put(x), Gain: m.put(gain), Y: m.layout.span(rows * n), InvStd: m.layout.span(rows)}
	grad := kernel.RMSNormGrad{M: rows, N: n, X: in.X, Gain: in.Gain, InvStd: in.InvStd, DY: m.put(dy), DX: m.layout.span(rows * n), DGain: m.layout.span(n)}
	m.run(in, grad)
	x64, gain64 := widen(x), widen(gain)
	close64(t, m.get(in.Y), rowNorm64(x64, gain64, zero, false))
	compareGradient(t, m.get(grad.DX), differences(func(x []float64) float64 { return dot64(rowNorm64(x, gain64, zero, false), dy) }, x64), 1e-5)
	compareGradient(t, m.get(grad.DGain), differences(func(g []float64) float64 { return dot64(rowNorm64(x64, g, zero, false), dy) }, gain64), 1e-5)
}

func batchNorm64(x, gain, bias []float64) []float64 {
	n := len(gain)
	y := make([]float64, len(x))
	for j := range n {
		for i, h := range normalized64(strided(x, j, n, len(x)/n), true) {
			y[i*n+j] = h*gain[j] + bias[j]
		}
	}
	return y
}

func TestBatchNormAgreesWithFloat64(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	const rows, n = 150, 3 // two blocks
	x, gain, bias, dy := normal(rng, rows*n, 2), normal(rng, n, 1), normal(rng, n, 1), normal(rng, rows*n, 1)
	m := newMachine(t)
	in := kernel.BatchNorm{M: rows, N: n, Epsilon: testEpsilon, X: m.put(x), Gain: m.put(gain), Bias: m.put(bias), Y: m.layout.span(rows * n),
		Mean: m.layout.span(n), InvStd: m.layout.span(n), BatchMean: m.layout.span(n), BatchVar: m.layout.span(n)}
	grad := kernel.BatchNormGrad{M: rows, N: n, X: in.X, Gain: in.Gain, Mean: in.Mean, InvStd: in.InvStd, DY: m.put(dy),
		DX: m.layout.span(rows * n), DGain: m.layout.span(n), DBias: m.layout.span(n)}
	m.run(in, grad)
	x64, gain64, bias64 := widen(x), widen(gain), widen(bias)
	close64(t, m.get(in.Y), batchNorm64(x64, gain64, bias64))
	compareGradient(t, m.get(grad.DX), differences(func(x []float64) float64 { return dot64(batchNorm64(x, gain64, bias64), dy) }, x64), 1e-5)
	compareGradient(t, m.get(grad.DGain), differences(func(g []float64) float64 { return dot64(batchNorm64(x64, g, bias64), dy) }, gain64), 1e-5)
	compareGradient(t, m.get(grad.DBias), differences(func(b []float64) float64 { return dot64(batchNorm64(x64, gain64, b), dy) }, bias64), 1e-5)
	for j := range n {
		mean, variance := moments(strided(x64, j, n, rows))
		close64(t, []float32{m.get(in.BatchMean)[j], m.get(in.BatchVar)[j]}, []float64{mean, variance * rows / (rows - 1)})
	}
}

// With the batch's own mean and variance in place of running averages, the
// answer is what training computes.
func TestBatchNormApplyIsBatchNormWithGivenMoments(t *testing.T) {
	rng := rand.New(rand.NewSource(8))
	const rows, n = 9, 21
	x := normal(rng, rows*n, 2)
	gain, bias, mean, variance := normal(rng, n, 1), normal(rng, n, 1), make([]float32, n), make([]float32, n)
	for j := range n {
		a, b := moments(strided(widen(x), j, n, rows))
		mean[j], variance[j] = float32(a), float32(b)
	}
	m := newMachine(t)
	in := kernel.BatchNormApply{M: rows, N: n, Epsilon: testEpsilon, X: m.put(x), Mean: m.put(mean), Var: m.put(variance), Gain: m.put(gain), Bias: m.put(bias), Y: m.layout.span(rows * n)}
	m.run(in)
	close64(t, m.get(in.Y), batchNorm64(widen(x), widen(gain), widen(bias)))
}

// A constant row or column has a variance of 0: Epsilon keeps it finite.
func TestNormalisationsOfConstantsGiveTheBias(t *testing.T) {
	const rows, n = 3, 5
	x, ones, bias := make([]float32, rows*n), make([]float32, n), []float32{1, 2, 3, 4, 5}
	for i := range x {
		x[i] = 1e4
	}
	for j := range ones {
		ones[j] = 1
	}
	m := newMachine(t)
	xs, gains, biases := m.put(x), m.put(ones), m.put(bias)
	layer := kernel.LayerNorm{M: rows, N: n, Epsilon: testEpsilon, X: xs, Gain: gains, Bias: biases, Y: m.layout.span(rows * n), Mean: m.layout.span(rows), InvStd: m.layout.span(rows)}
	batch := kernel.BatchNorm{M: rows, N: n, Epsilon: testEpsilon, X: xs, Gain: gains, Bias: biases, Y: m.layout.span(rows * n),
		Mean: m.layout.span(n), InvStd: m.layout.span(n), BatchMean: m.layout.span(n), BatchVar: m.layout.span(n)}
	m.run(layer, batch)
	for _, y := range [][]float32{m.get(layer.Y), m.get(batch.Y)} {
		for i, v := range y {
			if v != bias[i%n] {
				t.Errorf("element %d is %g, want the bias %g", i, v, bias[i%n])
			}
		}
	}
}

func TestEmbeddingGradientAgreesWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(9))
	const rows, n, v = 11, 7, 4
	table, dy := normal(rng, v*n, 1), normal(rng, rows*n, 1)
	tokens := make([]int32, rows)
	for i := range tokens {
		tokens[i] = int32(rng.Intn(v - 1)) // the last one never
	}
	m := newMachine(t)
	in := kernel.EmbeddingGrad{M: rows, N: n, V: v, Tokens: m.layout.span(rows), DY: m.put(dy), DTable: m.put(normal(rng, v*n, 1))}
	if err := m.memory.WriteInts(in.Tokens, tokens); err != nil {
		t.Fatal(err)
	}
	m.run(in)
	compareGradient(t, m.get(in.DTable), differences(func(table []float64) float64 {
		sum := 0.0
		for r, token := range tokens {
			sum += dot64(table[int(token)*n:int(token+1)*n], dy[r*n:(r+1)*n])
		}
		return sum
	}, widen(table)), 1e-5)
}

func TestMeanSquaredErrorAgreesWithFloat64(t *testing.T) {
	rng := rand.New(rand.NewSource(10))
	const rows, n = 5, 19
	prediction, target := normal(rng, rows*n, 1), normal(rng, rows*n, 1)
	m := newMachine(t)
	in := kernel.MeanSquaredError{M: rows, N: n, Scale: 1. / rows, Prediction: m.put(prediction), Target: m.put(target), Loss: m.layout.span(rows), DPrediction: m.layout.span(rows * n)}
	m.run(in)
	losses := func(p []float64) []float64 {
		out := make([]float64, rows)
		for i, v := range p {
			d := v - float64(target[i])
			out[i/n] += d * d / n
		}
		return out
	}
	close64(t, m.get(in.Loss), losses(widen(prediction)))
	compareGradient(t, m.get(in.DPrediction), differences(func(p []float64) float64 {
		sum := 0.0
		for _, v := range losses(p) {
			sum += v / rows
		}
		return sum
	}, widen(prediction)), 1e-5)
}

func TestAbsoluteErrorAgreesWithFloat64(t *testing.T) {
	for _, delta := range []float32{0, 0.4, 1} {
		rng := rand.New(rand.NewSource(10))
		const rows, n = 5, 19
		prediction, target := normal(rng, rows*n, 1), normal(rng, rows*n, 1)
		m := newMachine(t)
		in := kernel.AbsoluteError{M: rows, N: n, Scale: 1. / rows, Delta: delta, Prediction: m.put(prediction), Target: m.put(target), Loss: m.layout.span(rows), DPrediction: m.layout.span(rows * n)}
		m.run(in)
		losses := func(p []float64) []float64 {
			out := make([]float64, rows)
			for i, v := range p {
				d, limit := math.Abs(v-float64(target[i])), float64(delta)
				switch {
				case delta > 0 && d <= limit:
					d *= d / 2
				case delta > 0:
					d = limit * (d - limit/2)
				}
				out[i/n] += d / n
			}
			return out
		}
		close64(t, m.get(in.Loss), losses(widen(prediction)))
		compareGradient(t, m.get(in.DPrediction), differences(func(p []float64) float64 {
			sum := 0.0
			for _, v := range losses(p) {
				sum += v / rows
			}
			return sum
		}, widen(prediction)), 1e-5)
	}
}

func TestReweightedCrossEntropyAgreesWithFloat64(t *testing.T) {
	for _, gamma := range []float32{0, 0.5, 2} {
		rng := rand.New(rand.NewSource(12))
		const rows, classes = 5, 7
		x, weights := normal(rng, rows*classes, 2), []float32{1, 0, 2.5, 0.1, 3}
		labels := []int32{0, 3, 6, 3, 2}
		loss := func(x []float64) float64 {
			total := 0.0
			for r, label := range labels {
				sum := 0.0
				for _, v := range x[r*classes : (r+1)*classes] {
					sum += math.Exp(v)
				}
				p := math.Exp(x[r*classes+int(label)]) / sum
				total -= float64(weights[r]) * math.Pow(1-p, float64(gamma)) * math.Log(p)
			}
			return total
		}
		m := newMachine(t)
		in := kernel.SoftmaxCrossEntropy{M: rows, N: classes, Scale: 1, Logits: m.put(x), Labels: m.layout.span(rows),
			Loss: m.layout.span(rows), Correct: m.layout.span(rows), DLogits: m.layout.span(rows * classes)}
		again := kernel.ReweightLoss{M: rows, N: classes, Gamma: gamma, Loss: in.Loss, Weight: m.put(weights), DLogits: in.DLogits}
		if err := m.memory.WriteInts(in.Labels, labels); err != nil {
			t.Fatal(err)
		}
		m.run(in, again)
		compareGradient(t, m.get(in.DLogits), differences(loss, widen(x)), 1e-5)
		total := 0.0
		for _, v := range m.get(in.Loss) {
			total += float64(v)
		}
		if want := loss(widen(x)); math.Abs(total-want) > 1e-5*want {
			t.Errorf("gamma %g: the losses add up to %g, want %g", gamma, total, want)
		}
	}
}

// A row that is right beyond doubt has neither a focal loss nor a gradient, and one that
// is wrong beyond doubt has its whole cross-entropy.
func TestFocalLossOfExtremeRows(t *testing.T) {
	for _, gamma := range []float32{0.5, 1, 2} {
		m := newMachine(t)
		in := kernel.ReweightLoss{M: 2, N: 1, Gamma: gamma, Loss: m.put([]float32{0, 200}), DLogits: m.put([]float32{0.25, 0.25})}
		m.run(in)
		if loss, grad := m.get(in.Loss), m.get(in.DLogits); loss[0] != 0 || grad[0] != 0 || loss[1] != 200 || grad[1] != 0.25 {
			t.Errorf("gamma %g: losses %v, gradients %v", gamma, loss, grad)
		}
	}
}

// Dropout is linear in X: its gradient is itself, with the same mask.
func TestDropoutGradientAgreesWithDifferences(t *testing.T) {
	rng := rand.New(rand.NewSource(11))
	const n = 90
	x, dy := normal(rng, n, 1), normal(rng, n, 1)
	m := newMachine(t)
	in := kernel.Dropout{X: m.put(x), Y: m.layout.span(n), Rate: 0.4}
	grad := kernel.Dropout{X: m.put(dy), Y: m.layout.span(n), Rate: 0.4}
	m.run(in, grad)
	y := m.get(in.Y)
	compareGradient(t, m.get(grad.Y), differences(func(x64 []float64) float64 {
		sum := 0.0
		for i, v := range x64 {
			if y[i] != 0 {
				sum += v / 0.6 * float64(dy[i])
			}
		}
		return sum
	}, widen(x)), 1e-5)
}

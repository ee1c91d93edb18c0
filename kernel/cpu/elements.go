package cpu

import "reprise/kernel"

// elementKernels are the kernels over elements and rows, in one of the variants.
// All variants give the bits of the portable one, at any length, 0 included.
//
// The slices of a call have the same length unless noted otherwise; a shorter
// one panics. The first slice is the result; it may be one of the others, but
// must not overlap them in any other way. Every operation rounds separately,
// except fma(a, b, c), which rounds a*b + c once.
type elementKernels struct {
	name string // of the variant, as in kernel names

	// Functions of one element, as in transcendental.go.
	exp, log, tanh, sigmoid, silu, gelu func(y, x []float32)
	relu                                func(y, x []float32)

	// dx[i] = dy[i] * f'(x[i]).
	siluGrad, geluGrad func(dx, x, dy []float32)
	// dx[i] = dy[i] * f'(x[i]), computed from y = f(x).
	tanhGrad, sigmoidGrad, reluGrad func(dx, y, dy []float32)

	add      func(y, a, b []float32)                                                     // y = a + b
	subtract func(y, a, b []float32)                                                     // y = a - b
	multiply func(y, a, b []float32)                                                     // y = a * b
	addTo    func(y, x []float32, s float32)                                             // y = x + s
	scale    func(y, x []float32, s float32)                                             // y = x * s
	divide   func(y, x []float32, s float32)                                             // y = x / s
	axpy     func(y, x []float32, a float32)                                             // y = fma(a, x, y)
	affine   func(y, x, gain, bias []float32, s float32)                                 // y = fma(x*s, gain, bias)
	argmax   func(x []float32) int                                                       // first NaN, else first maximum; 0 if empty
	maximum  func(y []float32, index []int32, x []float32, at int32, channels, step int) // window_max.go

	// Sums in 16 lanes: lane j%16 takes the elements j in ascending order, from
	// +0; then lane l takes lane l+8 for l < 8, l+4 for l < 4, l+2 and l+1.
	sum        func(x []float32) float32                 // lane = lane + x
	sumSquares func(x []float32) float32                 // lane = fma(x, x, lane)
	dot        func(x, y []float32) float32              // lane = fma(x, y, lane)
	sumExp     func(e, x []float32, top float32) float32 // e = exp(x-top), lane = lane + e; e may be nil

	scaleMax  func(x []float32, scale float32) float32 // x = x * scale, and their maximum; see the portable one
	scoreGrad func(dp, p []float32, c, scale float32)  // dp = (p * (dp-c)) * scale

	sumShifted func(x []float32, top float32) float32 // lane = lane + (x-top)
	// grad = ((e/sum) - share) * scale, with e in grad before.
	softmaxGrad func(grad []float32, sum, share, scale float32)

	// Rows of n <= 16 logits, as many as there are labels: sum of exp(z) with
	// z = x-max, loss = z at the label, correct = 1 or 0, and grad, if not nil.
	softmaxRows func(grad, x []float32, labels []int32, loss, correct, sum []float32, n int, scale float32)

	// Chains over the given number of rows, stride apart, from +0, for each
	// column j of out.
	sumColumns    func(out, x []float32, rows, stride int)                   // x + chain
	squareColumns func(out, x, mean []float32, rows, stride int)             // fma(d, d, chain), d = x - mean[j]
	batchGainGrad func(out, x, dy, mean, invStd []float32, rows, stride int) // fma(h, dy, chain), h = (x-mean[j])*invStd[j]
	layerGainGrad func(out, x, dy, mean, invStd []float32, rows, stride int) // the same with mean[i], or 0 where nil, and invStd[i] of row i

	// For the normalisations, in this order: h = (x-mean)*invStd, dx = fma(-b,
	// h, dx-a) * invStd, y = fma(h, gain, bias) and dx = fma(-b, h, dy-a) *
	// gain.
	center      func(h, x []float32, mean, invStd float32)
	layerGrad   func(dx, h []float32, a, b, invStd float32)
	batchNormal func(y, x, mean, invStd, gain, bias []float32)
	batchGrad   func(dx, x, dy, mean, invStd, a, b, gain []float32)

	dropout func(y, x []float32, c *dropoutConstants, at uint64) // dropout.go

	// bfloat16.go; x is half as long as y, or vice versa.
	packBF16   func(y []int32, x []float32)
	unpackBF16 func(y []float32, x []int32)

	adamUpdate func(c *adamConstants, w, grad, m, v []float32)
	sgdUpdate  func(c *sgdConstants, w, grad, velocity []float32) // velocity is nil without momentum
}

func portableElements() elementKernels {
	return elementKernels{
		name: "portable",
		exp:  each(exp32), log: each(log32), tanh: each(tanh32), sigmoid: each(sigmoid32), silu: each(silu32), gelu: each(gelu32),
		relu:     relu,
		siluGrad: eachGrad(siluGrad32), geluGrad: eachGrad(geluGrad32),
		tanhGrad: eachGrad(tanhGrad32), sigmoidGrad: eachGrad(sigmoidGrad32), reluGrad: reluGrad,
		add: addVectors, subtract: subtractVectors, multiply: multiplyVectors,
		addTo: addScalar, scale: scaleVector, divide: divideVector, axpy: axpy, affine: affine,
		argmax: argmax, maximum: maximum,
		sum: sumLanes, sumSquares: sumSquares, dot: dot, sumExp: sumExp, sumShifted: sumShifted, softmaxGrad: softmaxGrad, softmaxRows: softmaxRows,
		scaleMax: scaleMax, scoreGrad: scoreGrad,
		sumColumns: sumColumns, squareColumns: squareColumns, batchGainGrad: batchGainGrad, layerGainGrad: layerGainGrad,
		center: center, layerGrad: layerGrad, batchNormal: batchNormal, batchGrad: batchGrad,
		dropout:  dropout,
		packBF16: packBF16, unpackBF16: unpackBF16,
		adamUpdate: adamUpdate, sgdUpdate: sgdUpdate,
	}
}

// newElements returns the best kernels for the level.
func newElements(level Level) elementKernels {
	if level >= LevelAVX2 {
		return assemblyElements(level)
	}
	return portableElements()
}

// elementOperations are the operations that elementKernels compute.
func elementOperations() []kernel.Operation {
	return []kernel.Operation{
		kernel.OpMaxPool2D, kernel.OpActivation, kernel.OpActivationGrad, kernel.OpSumRows,
		kernel.OpSoftmaxCrossEntropy, kernel.OpMeanSquaredError, kernel.OpAbsoluteError, kernel.OpReweightLoss, kernel.OpTreeSum, kernel.OpSGD, kernel.OpAdam,
		kernel.OpDropout, kernel.OpAdd, kernel.OpAddRow, kernel.OpScale, kernel.OpClipNorm, kernel.OpEmbeddingGrad,
		kernel.OpMeanTokens, kernel.OpMeanTokensGrad,
		kernel.OpLayerNorm, kernel.OpLayerNormGrad, kernel.OpRMSNorm, kernel.OpRMSNormGrad,
		kernel.OpBatchNorm, kernel.OpBatchNormGrad, kernel.OpBatchNormApply,
		kernel.OpStoreBF16, kernel.OpLoadBF16,
	}
}

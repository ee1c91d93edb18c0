//go:build !noasm

package cpu

import "reprise/kernel"

//go:generate go run -C internal/asmgen . ../..

// assemblyElements returns the kernels for the level, which is above LevelNone.
func assemblyElements(level Level) elementKernels {
	if level == LevelAVX512 {
		return checked(elementKernels{
			name: "avx512",
			exp:  expAVX512, log: logAVX512, tanh: tanhAVX512, sigmoid: sigmoidAVX512, silu: siluAVX512, gelu: geluAVX512, relu: reluAVX512,
			siluGrad: siluGradAVX512, geluGrad: geluGradAVX512, tanhGrad: tanhGradAVX512, sigmoidGrad: sigmoidGradAVX512, reluGrad: reluGradAVX512,
			add: addAVX512, subtract: subtractAVX512, multiply: multiplyAVX512, addTo: addToAVX512, scale: scaleAVX512, divide: divideAVX512, axpy: axpyAVX512, affine: affineAVX512,
			argmax: argmaxAVX512, maximum: maximumAVX512,
			sum: sumAVX512, sumSquares: sumSquaresAVX512, dot: dotAVX512, sumExp: sumExpAVX512, sumShifted: sumShiftedAVX512, softmaxGrad: softmaxGradAVX512, softmaxRows: softmaxRowsAVX512,
			scaleMax: scaleMaxAVX512, scoreGrad: scoreGradAVX512, sumColumns: sumColumnsAVX512,
			squareColumns: squareColumnsAVX512, batchGainGrad: batchGainGradAVX512, layerGainGrad: layerGainGradAVX512,
			center: centerAVX512, layerGrad: layerGradAVX512, batchNormal: batchNormalAVX512, batchGrad: batchGradAVX512,
			adamUpdate: adamUpdateAVX512, sgdUpdate: sgdUpdateAVX512, dropout: dropoutAVX512,
			packBF16: packBF16AVX512, unpackBF16: unpackBF16AVX512,
		})
	}
	return checked(elementKernels{
		name: "avx2",
		exp:  expAVX2, log: logAVX2, tanh: tanhAVX2, sigmoid: sigmoidAVX2, silu: siluAVX2, gelu: geluAVX2, relu: reluAVX2,
		siluGrad: siluGradAVX2, geluGrad: geluGradAVX2, tanhGrad: tanhGradAVX2, sigmoidGrad: sigmoidGradAVX2, reluGrad: reluGradAVX2,
		add: addAVX2, subtract: subtractAVX2, multiply: multiplyAVX2, addTo: addToAVX2, scale: scaleAVX2, divide: divideAVX2, axpy: axpyAVX2, affine: affineAVX2,
		argmax: argmaxAVX2, maximum: maximumAVX2,
		sum: sumAVX2, sumSquares: sumSquaresAVX2, dot: dotAVX2, sumExp: sumExpAVX2, sumShifted: sumShiftedAVX2, softmaxGrad: softmaxGradAVX2, softmaxRows: softmaxRowsAVX2,
		scaleMax: scaleMaxAVX2, scoreGrad: scoreGradAVX2, sumColumns: sumColumnsAVX2,
		squareColumns: squareColumnsAVX2, batchGainGrad: batchGainGradAVX2, layerGainGrad: layerGainGradAVX2,
		center: centerAVX2, layerGrad: layerGradAVX2, batchNormal: batchNormalAVX2, batchGrad: batchGradAVX2,
		adamUpdate: adamUpdateAVX2, sgdUpdate: sgdUpdateAVX2, dropout: dropoutAVX2,
		packBF16: packBF16AVX2, unpackBF16: unpackBF16AVX2,
	})
}

// checked returns the kernels, each preceded by a check of lengths, which the
// assembly does not make: slices that are too short panic.
func checked(k elementKernels) elementKernels {
	return elementKernels{
		name: k.name,
		exp:  checkedMap(k.exp), log: checkedMap(k.log), tanh: checkedMap(k.tanh), sigmoid: checkedMap(k.sigmoid),
		silu: checkedMap(k.silu), gelu: checkedMap(k.gelu), relu: checkedMap(k.relu),
		siluGrad: checkedGrad(k.siluGrad), geluGrad: checkedGrad(k.geluGrad),
		tanhGrad: checkedGrad(k.tanhGrad), sigmoidGrad: checkedGrad(k.sigmoidGrad), reluGrad: checkedGrad(k.reluGrad),
		add:      func(y, a, b []float32) { k.add(y[:len(a)], a, b[:len(a)]) },
		subtract: func(y, a, b []float32) { k.subtract(y[:len(a)], a, b[:len(a)]) },
		multiply: func(y, a, b []float32) { k.multiply(y[:len(a)], a, b[:len(a)]) },
		addTo:    checkedScalar(k.addTo), scale: checkedScalar(k.scale), divide: checkedScalar(k.divide), axpy: checkedScalar(k.axpy),
		affine: func(y, x, gain, bias []float32, s float32) {
			k.affine(y[:len(x)], x, gain[:len(x)], bias[:len(x)], s)
		},
		argmax: k.argmax,
		maximum: func(y []float32, index []int32, x []float32, at int32, channels, step int) {
			if len(y) == 0 {
				return
			}
			groups := ceilDiv(len(y), channels)
			_ = x[(groups-1)*step+channels-1]
			y = y[:len(y):len(y)][:groups*channels]
			maximumFor(channels, k.maximum)(y, index[:len(y)], x, at, channels, step)
		},
		sum: k.sum, sumSquares: k.sumSquares, sumShifted: k.sumShifted, softmaxGrad: k.softmaxGrad,
		dot: func(x, y []float32) float32 { return k.dot(x, y[:len(x)]) },
		sumExp: func(e, x []float32, top float32) float32 {
			if e != nil {
				e = e[:len(x)]
			}
			return k.sumExp(e, x, top)
		},
		softmaxRows: func(grad, x []float32, labels []int32, loss, correct, sum []float32, n int, scale float32) {
			m := len(labels)
			if grad != nil {
				grad = grad[:m*n]
			}
			checkLabels(labels, n)
			k.softmaxRows(grad, x[:m*n], labels, loss[:m], correct[:m], sum[:m], n, scale)
		},
		sumColumns: func(out, x []float32, rows, stride int) {
			if holdsColumns(x, len(out), rows, stride) {
				k.sumColumns(out, x, rows, stride)
			}
		},
		squareColumns: func(out, x, mean []float32, rows, stride int) {
			if holdsColumns(x, len(out), rows, stride) {
				k.squareColumns(out, x, mean[:len(out)], rows, stride)
			}
		},
		batchGainGrad: func(out, x, dy, mean, invStd []float32, rows, stride int) {
			if holdsColumns(x, len(out), rows, stride) && holdsColumns(dy, len(out), rows, stride) {
				k.batchGainGrad(out, x, dy, mean[:len(out)], invStd[:len(out)], rows, stride)
			}
		},
		layerGainGrad: func(out, x, dy, mean, invStd []float32, rows, stride int) {
			if mean != nil {
				mean = mean[:rows]
			}
			if holdsColumns(x, len(out), rows, stride) && holdsColumns(dy, len(out), rows, stride) {
				k.layerGainGrad(out, x, dy, mean, invStd[:rows], rows, stride)
			}
		},
		center:    func(h, x []float32, mean, invStd float32) { k.center(h[:len(x)], x, mean, invStd) },
		layerGrad: func(dx, h []float32, a, b, invStd float32) { k.layerGrad(dx[:len(h)], h, a, b, invStd) },
		batchNormal: func(y, x, mean, invStd, gain, bias []float32) {
			n := len(x)
			k.batchNormal(y[:n], x, mean[:n], invStd[:n], gain[:n], bias[:n])
		},
		batchGrad: func(dx, x, dy, mean, invStd, a, b, gain []float32) {
			n := len(x)
			k.batchGrad(dx[:n], x, dy[:n], mean[:n], invStd[:n], a[:n], b[:n], gain[:n])
		},
		scaleMax:  k.scaleMax,
		scoreGrad: func(dp, p []float32, c, scale float32) { k.scoreGrad(dp, p[:len(dp)], c, scale) },
		dropout: func(y, x []float32, c *dropoutConstants, at uint64) {
			y = y[:len(x)]
			// The kernel works on whole blocks of the generator.
			head := min(int(-at%4), len(x))
			tail := head + (len(x)-head)&^(dropoutStep-1)
			dropout(y[:head], x[:head], c, at)
			k.dropout(y[head:tail], x[head:tail], c, at+uint64(head))
			dropout(y[tail:], x[tail:], c, at+uint64(tail))
		},
		packBF16: checkedPack(k.packBF16), unpackBF16: checkedUnpack(k.unpackBF16),
		adamUpdate: func(c *adamConstants, w, grad, m, v []float32) {
			k.adamUpdate(c, w[:len(grad)], grad, m[:len(grad)], v[:len(grad)])
		},
		sgdUpdate: func(c *sgdConstants, w, grad, velocity []float32) {
			if velocity != nil {
				velocity = velocity[:len(grad)]
			}
			k.sgdUpdate(c, w[:len(grad)], grad, velocity)
		},
	}
}

// holdsColumns panics if x is too short for that many rows, and reports whether
// there are columns.
func holdsColumns(x []float32, columns, rows, stride int) bool {
	if columns > 0 && rows > 0 {
		_ = x[(rows-1)*stride+columns-1]
	}
	return columns > 0
}

// checkLabels panics if a row is too long for softmaxRows or a label is not a
// class.
func checkLabels(labels []int32, n int) {
	var row lanes
	classes := row[:n]
	for _, label := range labels {
		_ = classes[label]
	}
}

// dropoutStep divides the lengths in dropout's assembly.
const dropoutStep = 64

// bf16Step is the same for packBF16 and unpackBF16.
const bf16Step = 32

type maximumKernel = func(y []float32, index []int32, x []float32, at int32, channels, step int)

// maximumFor returns the fastest kernel for that many channels: values stored
// by one call are soon loaded by the next, and a processor waits for a masked
// store to reach the cache.
func maximumFor(channels int, widest maximumKernel) maximumKernel {
	switch {
	case channels < 8:
		return maximum
	case channels%16 == 8:
		return maximumAVX2
	}
	return widest
}

func checkedMap(f func(y, x []float32)) func(y, x []float32) {
	return func(y, x []float32) { f(y[:len(x)], x) }
}

func checkedGrad(f func(dx, x, dy []float32)) func(dx, x, dy []float32) {
	return func(dx, x, dy []float32) { f(dx[:len(dy)], x[:len(dy)], dy) }
}

func checkedScalar(f func(y, x []float32, s float32)) func(y, x []float32, s float32) {
	return func(y, x []float32, s float32) { f(y[:len(x)], x, s) }
}

// checkedPack and checkedUnpack leave the remainder after whole steps to the
// portable loops.
func checkedPack(f func(y []int32, x []float32)) func(y []int32, x []float32) {
	return func(y []int32, x []float32) {
		y = y[:kernel.BF16Elements(len(x))]
		whole := len(x) &^ (bf16Step - 1)
		f(y[:whole/2], x[:whole])
		packBF16(y[whole/2:], x[whole:])
	}
}

func checkedUnpack(f func(y []float32, x []int32)) func(y []float32, x []int32) {
	return func(y []float32, x []int32) {
		x = x[:kernel.BF16Elements(len(y))]
		whole := len(y) &^ (bf16Step - 1)
		f(y[:whole], x[:whole/2])
		unpackBF16(y[whole:], x[whole/2:])
	}
}

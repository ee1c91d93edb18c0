//go:build !noasm

package cpu

// Implemented in elements_avx2_amd64.s. Lengths, and maximumAVX2's channels, are
// multiples of 8.

//go:noescape
func reluAVX2(y, x []float32)

//go:noescape
func reluGradAVX2(dx, y, dy []float32)

//go:noescape
func maximumAVX2(y []float32, index []int32, x []float32, at int32, channels, step int)

//go:noescape
func adamUpdateAVX2(c *adamConstants, w, grad, m, v []float32)

// assemblyElements returns the kernels for AVX2, with the portable loops for
// the remainders.
func assemblyElements(Level) elementKernels {
	e := portableElements()
	e.name = "avx2"
	e.relu = func(y, x []float32) {
		n := len(x) &^ 7
		reluAVX2(y[:n], x[:n])
		relu(y[n:], x[n:])
	}
	e.reluGrad = func(dx, y, dy []float32) {
		n := len(dy) &^ 7
		reluGradAVX2(dx[:n], y[:n], dy[:n])
		reluGrad(dx[n:], y[n:], dy[n:])
	}
	e.maximum = func(y []float32, index []int32, x []float32, at int32, channels, step int) {
		if channels%8 != 0 {
			maximum(y, index, x, at, channels, step)
			return
		}
		maximumAVX2(y, index, x, at, channels, step)
	}
	e.adamUpdate = func(c *adamConstants, w, grad, m, v []float32) {
		n := len(grad) &^ 7
		adamUpdateAVX2(c, w[:n], grad[:n], m[:n], v[:n])
		adamUpdate(c, w[n:], grad[n:], m[n:], v[n:])
	}
	return e
}

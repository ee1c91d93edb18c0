//go:build !noasm

package cpu

// newStripKernel returns the best kernel for the level.
func newStripKernel(level Level) stripKernel {
	switch {
	case level >= LevelAVX512:
		return stripKernel{rows: 8, cols: 32, run: strip8x32AVX512}
	case level >= LevelAVX2:
		return stripKernel{rows: 4, cols: 16, run: strip4x16AVX2}
	}
	return portableStrip()
}

// newScoreKernels returns the best kernels for the level.
func newScoreKernels(level Level) scoreKernels {
	k := portableScores()
	switch {
	case level >= LevelAVX512:
		k.scaleMax, k.scoreGrad = scaleMaxAVX512, scoreGradAVX512
	case level >= LevelAVX2:
		k.scaleMax = func(x []float32, scale float32) float32 {
			n := len(x) &^ 7
			top := scaleMaxAVX2(x[:n], scale)
			return max(top, scaleMax(x[n:], scale)) // neither is NaN or -0
		}
		k.scoreGrad = func(dp, p []float32, c, scale float32) {
			n := len(dp) &^ 7
			scoreGradAVX2(dp[:n], p[:n], c, scale)
			scoreGrad(dp[n:], p[n:], c, scale)
		}
	}
	return k
}

// strip8x32AVX512 is a stripKernel of 8 rows and 32 columns. It needs AVX512F
// and trusts its arguments' lengths.
//
//go:noescape
func strip8x32AVX512(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)

// strip4x16AVX2 is a stripKernel of 4 rows and 16 columns. It needs LevelAVX2
// and trusts its arguments' lengths.
//
//go:noescape
func strip4x16AVX2(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)

// scaleMaxAVX512 equals scaleMax.
//
//go:noescape
func scaleMaxAVX512(x []float32, scale float32) float32

// scaleMaxAVX2 equals scaleMax on a multiple of 8 elements.
//
//go:noescape
func scaleMaxAVX2(x []float32, scale float32) float32

// scoreGradAVX512 equals scoreGrad. It trusts p to be as long as dp.
//
//go:noescape
func scoreGradAVX512(dp, p []float32, c, scale float32)

// scoreGradAVX2 equals scoreGrad on a multiple of 8 elements. It trusts p to be
// as long as dp.
//
//go:noescape
func scoreGradAVX2(dp, p []float32, c, scale float32)

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

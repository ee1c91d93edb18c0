//go:build !noasm

package cpu

// assemblyVariants returns the variants in assembly, the most preferred first.
func assemblyVariants() []matMulVariant {
	return []matMulVariant{
		{
			name: "avx512", level: LevelAVX512,
			tile:      tileKernel{rows: 12, cols: 32, depth: 256, run: tile12x32AVX512},
			thin:      tileKernel{rows: 1, cols: 128, depth: 256, run: tile1x128AVX512},
			transpose: transpose4AVX,
		},
		{
			name: "avx2", level: LevelAVX2,
			tile:      tileKernel{rows: 6, cols: 16, depth: 320, run: tile6x16AVX2},
			thin:      tileKernel{rows: 1, cols: 64, depth: 256, run: tile1x64AVX2},
			transpose: transpose4AVX,
		},
	}
}

// tile6x16AVX2 equals tileReference with 6 rows and 16 columns. It needs
// LevelAVX2 and trusts its arguments' lengths.
//
//go:noescape
func tile6x16AVX2(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile12x32AVX512 equals tileReference with 12 rows and 32 columns. It needs
// AVX512F and trusts its arguments' lengths.
//
//go:noescape
func tile12x32AVX512(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile1x64AVX2 equals tileReference with 1 row and 64 columns. It needs
// LevelAVX2 and trusts its arguments' lengths.
//
//go:noescape
func tile1x64AVX2(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile1x128AVX512 equals tileReference with 1 row and 128 columns. It needs
// AVX512F and trusts its arguments' lengths.
//
//go:noescape
func tile1x128AVX512(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// transpose4AVX equals transpose4 on the first ks&^3 columns, and returns how
// many those are. It needs AVX and trusts its arguments' lengths.
//
//go:noescape
func transpose4AVX(dst []float32, width int, x []float32, ld, ks int) (done int)

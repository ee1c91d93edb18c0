//go:build !noasm

package cpu

// assemblyVariants returns the variants in assembly, the most preferred first.
func assemblyVariants() []matMulVariant {
	return []matMulVariant{
		{
			name: "avx512", level: LevelAVX512,
			tile:      tileKernel{rows: 12, cols: 32, depth: 1024, vector: 16, masked: true, run: tile12x32AVX512},
			thin:      tileKernel{rows: 1, cols: 128, depth: 256, vector: 128, run: tile1x128AVX512},
			narrow:    &tileKernel{rows: 16, cols: 16, depth: 1024, vector: 16, masked: true, spaced: true, run: tile16x16AVX512},
			packing:   packing{transpose4: transpose4AVX, transpose16: transpose16AVX512},
			depthwise: depthwiseAVX512, hasNegativeZero: hasNegativeZeroVectors,
		},
		{
			name: "avx2", level: LevelAVX2,
			tile:      tileKernel{rows: 6, cols: 16, depth: 1024, vector: 16, run: tile6x16AVX2},
			thin:      tileKernel{rows: 1, cols: 64, depth: 256, vector: 64, run: tile1x64AVX2},
			packing:   packing{transpose4: transpose4AVX},
			depthwise: depthwiseOrPortable, hasNegativeZero: hasNegativeZeroVectors,
		},
	}
}

// tile6x16AVX2 equals tileReference for up to 6 rows of 16 columns. It needs
// LevelAVX2 and trusts its arguments' lengths.
//
//go:noescape
func tile6x16AVX2(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile12x32AVX512 equals tileReference for up to 12 rows of up to 32 columns;
// of B it reads 16 columns, or 32. It needs
// AVX512F and trusts its arguments' lengths.
//
//go:noescape
func tile12x32AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile16x16AVX512 equals tileReference for 16 rows of up to 16 columns, the rows
// of A equally far apart; of B it reads 16 columns. It needs AVX512F and trusts
// its arguments' lengths.
//
//go:noescape
func tile16x16AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile1x64AVX2 equals tileReference for 1 row of 64 columns. It needs
// LevelAVX2 and trusts its arguments' lengths.
//
//go:noescape
func tile1x64AVX2(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile1x128AVX512 equals tileReference for 1 row of 128 columns. It needs
// AVX512F and trusts its arguments' lengths.
//
//go:noescape
func tile1x128AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// transpose4AVX equals transpose4 on the first ks&^3 columns, and returns how
// many those are. It needs AVX and trusts its arguments' lengths.
//
//go:noescape
func transpose4AVX(dst []float32, width int, x []float32, ld, ks int) (done int)

// transpose16AVX512 writes dst[k*width+i] = x[i*ld+k] for i < 16 and k < done,
// which is ks&^3. It needs AVX512F and trusts its arguments' lengths.
//
//go:noescape
func transpose16AVX512(dst []float32, width int, x []float32, ld, ks int) (done int)

// depthwiseAVX512 equals depthwise. It needs AVX512F.
//
//go:noescape
func depthwiseAVX512(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)

// depthwiseAVX2 equals depthwise for channels that are a multiple of 8. It needs
// LevelAVX2.
//
//go:noescape
func depthwiseAVX2(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)

// depthwiseOrPortable leaves the last channels, fewer than a vector, to Go.
func depthwiseOrPortable(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int) {
	n := channels &^ 7
	if n > 0 {
		depthwiseAVX2(positions, n, y, s, lds, x, step, off, w, stride)
	}
	if n < channels {
		depthwise(positions, channels-n, y[n:], s[n:], lds, x[n:], step, off, w[n:], stride)
	}
}

// hasNegativeZeroAVX2 equals hasNegativeZero on the first len(x)&^31 elements. It
// needs LevelAVX2.
//
//go:noescape
func hasNegativeZeroAVX2(x []float32) bool

// hasNegativeZeroVectors leaves the last elements to Go.
func hasNegativeZeroVectors(x []float32) bool {
	return hasNegativeZeroAVX2(x) || hasNegativeZero(x[len(x)&^31:])
}

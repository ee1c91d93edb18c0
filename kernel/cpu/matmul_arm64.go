//go:build !noasm

package cpu

// assemblyVariants returns the variants in assembly.
func assemblyVariants() []matMulVariant {
	return []matMulVariant{{
		name: "neon", level: LevelNEON,
		tile:      tileKernel{rows: 6, cols: 16, depth: 1024, vector: 16, run: tile6x16NEON},
		thin:      tileKernel{rows: 1, cols: 64, depth: 256, vector: 64, run: tile1x64NEON},
		packing:   packing{transpose4: transpose4NEON},
		depthwise: depthwiseOrPortable, hasNegativeZero: hasNegativeZero,
	}}
}

// tile6x16NEON equals tileReference for up to 6 rows of 16 columns. It trusts
// its arguments' lengths.
//
//go:noescape
func tile6x16NEON(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// tile1x64NEON equals tileReference for 1 row of 64 columns. It trusts its
// arguments' lengths.
//
//go:noescape
func tile1x64NEON(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)

// transpose4NEON equals transpose4 on the first ks&^3 columns, and returns how
// many those are. It trusts its arguments' lengths.
//
//go:noescape
func transpose4NEON(dst []float32, width int, x []float32, ld, ks int) (done int)

// depthwiseNEON equals depthwise for channels that are a multiple of 4.
//
//go:noescape
func depthwiseNEON(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)

// depthwiseOrPortable leaves the last channels, fewer than a vector, to Go.
func depthwiseOrPortable(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int) {
	n := channels &^ 3
	if n > 0 {
		depthwiseNEON(positions, n, y, s, lds, x, step, off, w, stride)
	}
	if n < channels {
		depthwise(positions, channels-n, y[n:], s[n:], lds, x[n:], step, off, w[n:], stride)
	}
}

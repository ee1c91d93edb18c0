package cpu

import (
	"fmt"
	"math"

	"reprise/fault"
)

// SelfCheckError says that an assembly kernel gave other bits than the portable
// one in its trial, so that it is not used.
type SelfCheckError struct {
	Kernel    string // such as "matmul.avx2"
	At        int    // element of the trial
	Got, Want float32
}

// Error names the kernel and the first difference.
func (e *SelfCheckError) Error() string {
	return fmt.Sprintf("kernel %s failed its self-check: element %d is %x, the portable kernel gives %x",
		e.Kernel, e.At, math.Float32bits(e.Got), math.Float32bits(e.Want))
}

// Kind returns Internal.
func (e *SelfCheckError) Kind() fault.Kind { return fault.Internal }

// NewGemm returns the fastest matrix product of at most the given level, which
// must be one that this machine can run (Features.Resolve). An assembly variant
// is first tried out, in well under a millisecond, against the portable one; if
// it differs, the next lower level is taken and the error, a *SelfCheckError,
// reports why. The Gemm is usable whether or not there is an error.
func NewGemm(level Level) (Gemm, error) { return newBlockedGemm(level) }

func newBlockedGemm(level Level) (*blockedGemm, error) {
	if level == LevelAuto {
		level = Detect().Best()
	}
	return selectGemm(level, assemblyVariants())
}

// selectGemm takes the first of the variants that level allows and that passes
// its self-check, and else the portable one.
func selectGemm(level Level, variants []matMulVariant) (*blockedGemm, error) {
	var failed error
	for _, v := range variants {
		if v.level > level {
			continue
		}
		if err := v.selfCheck(); err != nil {
			if failed == nil {
				failed = err
			}
			continue
		}
		return &blockedGemm{variant: v}, failed
	}
	return &blockedGemm{variant: portableVariant()}, failed
}

// tiles returns the variant's tile kernels.
func (v *matMulVariant) tiles() []*tileKernel {
	tiles := []*tileKernel{&v.tile, &v.thin}
	if v.narrow != nil {
		tiles = append(tiles, v.narrow)
	}
	return tiles
}

// selfCheck tries out the variant's kernels.
func (v *matMulVariant) selfCheck() error {
	for _, k := range v.tiles() {
		if err := k.selfCheck("matmul." + v.name); err != nil {
			return err
		}
	}
	if err := v.depthwise.selfCheck("depthwise_conv2d." + v.name); err != nil {
		return err
	}
	if v.transpose16 != nil {
		if err := v.transpose16.selfCheck("matmul."+v.name, 16); err != nil {
			return err
		}
	}
	return v.transpose4.selfCheck("matmul."+v.name, 4)
}

// firstDifference returns a *SelfCheckError for the first element that differs.
func firstDifference(kernel string, got, want []float32) error {
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			return &SelfCheckError{Kernel: kernel, At: i, Got: got[i], Want: want[i]}
		}
	}
	return nil
}

// fillTrial fills x with numbers of several binades from that exponent on.
func fillTrial(x []float32, exponent, seed uint32) {
	for i := range x {
		seed = seed*1664525 + 1013904223 // Numerical Recipes' generator
		x[i] = math.Float32frombits(seed>>8&0x00ffffff | seed<<31 + (exponent+uint32(i%5)*2)<<23)
	}
}

// selfCheck compares tiles of several sizes with the loop it must equal. The
// trial's values span enough magnitudes for sums to cancel, round and fall
// below the normal range.
func (k *tileKernel) selfCheck(name string) error {
	const segments, length = 3, 7 // odd, beyond any unrolling
	const depth = segments * length
	ldb, lds, ldc := k.cols+3, k.cols+1, k.cols+2
	a := &gathered{x: make([]float32, k.rows*(depth+segments)), off: new([maxTileRows]int), length: length, step: 1}
	b := make([]float32, depth*ldb)
	s := make([]float32, k.rows*lds)
	fillTrial(a.x, 127-66, 1)
	fillTrial(b, 127-66, 2)
	fillTrial(s, 0, 3) // as small as the products
	for i := range k.rows {
		a.off[i] = (k.rows - 1 - i) * (depth + segments)
	}
	for i := range segments {
		a.seg = append(a.seg, i*(length+1))
	}
	for less := 0; less < k.rows; less += 3 {
		rows, cols := k.rows-less, k.cols
		if k.spaced {
			rows = k.rows
		}
		if k.masked {
			cols -= less
		}
		got, want := make([]float32, k.rows*ldc), make([]float32, k.rows*ldc)
		tileReference(rows, cols, a, b, ldb, s, lds, want, ldc)
		k.run(rows, cols, a, b, ldb, s, lds, got, ldc)
		if err := firstDifference(name, got, want); err != nil {
			return err
		}
	}
	return nil
}

// selfCheck compares a few positions of 37 channels with depthwise.
func (f depthwiseKernel) selfCheck(name string) error {
	const positions, channels, stride = 3, 37, 40
	off := []int{5, 0, 41}
	x, w := make([]float32, positions*stride+41), make([]float32, len(off)*stride)
	fillTrial(x, 127-66, 1)
	fillTrial(w, 127-66, 2)
	start := make([]float32, positions*stride)
	fillTrial(start, 0, 3)
	got, want := make([]float32, positions*stride), make([]float32, positions*stride)
	f(positions, channels, got, start, stride, x, stride, off, w, stride)
	depthwise(positions, channels, want, start, stride, x, stride, off, w, stride)
	return firstDifference(name, got, want)
}

// selfCheck compares a transposition of that many rows with transpose4.
func (f transposer) selfCheck(name string, rows int) error {
	const width, ld, ks = 18, 13, 11
	x := make([]float32, rows*ld)
	for i := range x {
		x[i] = float32(i + 1)
	}
	got, want := make([]float32, width*ks), make([]float32, width*ks)
	done := f(got, width, x, ld, ks)
	for i := 0; i < rows; i += 4 {
		transpose4(want[i:], width, x[i*ld:], ld, done)
	}
	return firstDifference(name, got, want)
}

// tileReference is the loop that every tile kernel equals.
func tileReference(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
	for i := range rows {
		for j := range cols {
			x := s[i*lds+j]
			p := 0
			for _, at := range a.seg {
				for l := range a.length {
					x = FMA32(a.x[a.off[i]+at+l*a.step], b[p*ldb+j], x)
					p++
				}
			}
			c[i*ldc+j] = x
		}
	}
}

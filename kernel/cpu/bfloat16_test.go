package cpu

import (
	"math"
	"math/rand"
	"testing"
	"unsafe"

	"reprise/kernel"
)

func bfloat16Makers() map[kernel.Operation]maker {
	return map[kernel.Operation]maker{
		kernel.OpStoreBF16: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			n := s.between("n", 1, 150)
			return kernel.StoreBF16{X: l.span(n), Y: l.span(kernel.BF16Elements(n))}, nil
		},
		kernel.OpLoadBF16: func(s source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
			n := s.between("n", 1, 150)
			return kernel.LoadBF16{X: l.span(kernel.BF16Elements(n)), Y: l.span(n)}, nil
		},
	}
}

// nearestBF16 rounds by the definition: the nearer one of the two neighbours,
// compared in float64, and the even one of two that are equally near. Beyond
// the largest finite number the next grid point counts as infinity.
func nearestBF16(x float32) uint32 {
	u := math.Float32bits(x)
	if x != x || math.IsInf(float64(x), 0) {
		if x != x {
			u |= 1 << 22
		}
		return u >> 16
	}
	value := func(half uint32) float64 {
		if v := float64(math.Float32frombits(half << 16)); !math.IsInf(v, 0) {
			return v
		}
		return math.Copysign(0x1p128, float64(x))
	}
	below := u >> 16 // towards zero
	above := below + 1
	down, up := math.Abs(float64(x)-value(below)), math.Abs(value(above)-float64(x))
	if down < up || down == up && below%2 == 0 {
		return below
	}
	return above
}

func (t twin) storeBF16(in kernel.StoreBF16) {
	for i := range in.Y.Len {
		packed := nearestBF16(t.get(in.X, 2*i))
		if 2*i+1 < in.X.Len {
			packed += nearestBF16(t.get(in.X, 2*i+1)) * 0x10000
		}
		t.setInt(in.Y, i, int32(packed))
	}
}

func (t twin) loadBF16(in kernel.LoadBF16) {
	for i := range in.Y.Len {
		packed := uint32(t.getInt(in.X, i/2))
		if i%2 == 0 {
			packed *= 0x10000
		}
		t.set(in.Y, i, math.Float32frombits(packed/0x10000*0x10000))
	}
}

// bf16Variants are all variants, the portable one first.
func bf16Variants(t *testing.T) []elementKernels {
	return append([]elementKernels{portableElements()}, elementVariants(t)...)
}

// TestPackingRoundsEveryUpperHalfToTheNearest goes over all upper halves, each
// with the lower halves around the borders of rounding, NaNs and infinities
// included, and unpacks what it packed.
func TestPackingRoundsEveryUpperHalfToTheNearest(t *testing.T) {
	lower := []uint32{0, 1, 0x3fff, 0x4000, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xbfff, 0xc000, 0xfffe, 0xffff, 0x1234}
	bits := make([]uint32, 0, 1<<16*len(lower))
	for upper := range uint32(1 << 16) {
		for _, l := range lower {
			bits = append(bits, upper<<16|l)
		}
	}
	x := unsafe.Slice((*float32)(unsafe.Pointer(&bits[0])), len(bits))
	for _, k := range bf16Variants(t) {
		packed := make([]int32, kernel.BF16Elements(len(bits)))
		k.packBF16(packed, x)
		back := make([]uint32, len(bits))
		k.unpackBF16(unsafe.Slice((*float32)(unsafe.Pointer(&back[0])), len(back)), packed)
		for i, u := range bits {
			want := nearestBF16(math.Float32frombits(u))
			if got := uint32(packed[i/2]) >> (i % 2 * 16) & 0xffff; got != want {
				t.Fatalf("%s packs %#08x as %#04x, want %#04x", k.name, u, got, want)
			}
			if back[i] != want<<16 {
				t.Fatalf("%s unpacks %#04x as %#08x", k.name, want, back[i])
			}
		}
	}
}

// TestUnpackingIsExactForEveryBFloat16 unpacks all of them, at both places.
func TestUnpackingIsExactForEveryBFloat16(t *testing.T) {
	for _, k := range bf16Variants(t) {
		packed, out := make([]int32, 1<<16), make([]uint32, 1<<17)
		for i := range packed {
			packed[i] = int32(uint32(i) | uint32(0xffff-i)<<16)
		}
		k.unpackBF16(unsafe.Slice((*float32)(unsafe.Pointer(&out[0])), len(out)), packed)
		for i := range packed {
			if got, want := [2]uint32(out[2*i:]), [2]uint32{uint32(i) << 16, uint32(0xffff-i) << 16}; got != want {
				t.Fatalf("%s unpacks %#08x as %#08x, want %#08x", k.name, packed[i], got, want)
			}
		}
	}
}

func TestRoundingToBFloat16(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint32
	}{
		{1, 0x3f80}, {0x1.01p0, 0x3f80}, {0x1.03p0, 0x3f82}, {0x1.010002p0, 0x3f81}, // ties go to even
		{math.MaxFloat32, 0x7f80}, {-math.MaxFloat32, 0xff80}, {0x1.fep127, 0x7f7f}, {0x1.fefffep127, 0x7f7f}, {0x1.ffp127, 0x7f80},
		{math.SmallestNonzeroFloat32, 0}, {float32(math.Copysign(0, -1)), 0x8000}, {0x1p-133, 1}, {0x1p-134, 0},
		{math.Float32frombits(0x7f800001), 0x7fc0}, {math.Float32frombits(0xffffffff), 0xffff},
	} {
		if got := bf16(c.x); got != c.want {
			t.Errorf("%x becomes %#04x, want %#04x", c.x, got, c.want)
		}
	}
}

func bfloat16Primitives() []primitive {
	packed := func(x []float32) []int32 {
		return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
	}
	return []primitive{
		{"packBF16", func(n int) []int { return []int{kernel.BF16Elements(3 * n), 3 * n} }, func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			k.packBF16(packed(s[0]), s[1])
			return 0
		}, false},
		{"unpackBF16", func(n int) []int { return []int{3 * n, kernel.BF16Elements(3 * n)} }, func(k *elementKernels, _ int, s [][]float32, _ float32) float32 {
			k.unpackBF16(s[0], packed(s[1]))
			return 0
		}, false},
	}
}

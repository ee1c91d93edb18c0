package cpu

import (
	"math"
	"math/rand/v2"
	"testing"
)

// namedTile is a tile kernel with a name for messages.
type namedTile struct {
	name  string
	level Level
	tileKernel
}

// assemblyTiles returns the tile kernels of every assembly variant.
func assemblyTiles() []namedTile {
	var tiles []namedTile
	for _, v := range assemblyVariants() {
		tiles = append(tiles, namedTile{v.name + " tile", v.level, v.tile}, namedTile{v.name + " thin", v.level, v.thin})
		if v.narrow != nil {
			tiles = append(tiles, namedTile{v.name + " narrow", v.level, *v.narrow})
		}
	}
	return tiles
}

// tilesUnderTest returns every tile kernel in the forms that this machine can
// run: directly, and emulated if there is an emulator.
func tilesUnderTest(t testing.TB) []namedTile {
	t.Helper()
	best := Detect().Best()
	portable := portableVariant()
	tiles := []namedTile{{"portable tile", LevelNone, portable.tile}, {"portable thin", LevelNone, portable.thin}}
	for _, k := range assemblyTiles() {
		if k.level <= best {
			tiles = append(tiles, k)
		}
	}
	return append(tiles, emulatedTiles(t)...)
}

// randomRows makes the A operand of a tile: scattered rows, some of them shared,
// and segments in any order.
func randomRows(r *rand.Rand, k *tileKernel, rows, segments, length int, special bool) *gathered {
	a := &gathered{off: new([maxTileRows]int), length: length, step: 1 + r.IntN(4)}
	reach := (length-1)*a.step + 1
	for range segments {
		a.seg = append(a.seg, r.IntN(50)-20)
	}
	distance := r.IntN(13)
	for i := range a.off {
		a.off[i] = 20 + r.IntN(200)
		if i >= rows {
			a.off[i] = a.off[0]
		}
		if k.spaced {
			a.off[i] = a.off[0] + i*distance
		}
	}
	a.x = awkwardSlice(r, 20+200+200+30+max(0, reach), special)
	return a
}

func TestEveryTileKernelEqualsItsReferenceLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range tilesUnderTest(t) {
		sizes := map[[2]int]bool{}
		for trial := range 12 * k.rows {
			rows, cols := trial%k.rows+1, k.cols
			if k.masked {
				cols = 1 + r.IntN(k.cols)
			}
			if k.spaced {
				rows = k.rows
			}
			sizes[[2]int{rows, cols}] = true
			special := r.IntN(8) == 0
			segments, length := r.IntN(4), r.IntN(6)
			depth := segments * length
			a := randomRows(r, &k.tileKernel, rows, segments, length, special)
			extra := r.IntN(2) * 5
			ldb, ldc := k.cols+extra, k.cols+2*extra
			b := awkwardSlice(r, max(0, (depth-1)*ldb+ceilDiv(cols, k.vector)*k.vector), special)
			if depth == 0 {
				b = nil
			}
			for _, lds := range []int{0, k.cols, k.cols + 3} {
				s := awkwardSlice(r, (rows-1)*lds+cols, special)
				got := awkwardSlice(r, (rows-1)*ldc+cols, false)
				want := append([]float32(nil), got...)
				tileReference(rows, cols, a, b, ldb, s, lds, want, ldc)
				k.run(rows, cols, a, b, ldb, s, lds, got, ldc)
				for i := range want {
					if !sameFloat(got[i], want[i]) {
						t.Fatalf("%s, %dx%d, %d segments of %d, ldb %d, lds %d, ldc %d: element %d is %g, want %g",
							k.name, rows, cols, segments, length, ldb, lds, ldc, i, got[i], want[i])
					}
				}
			}
		}
		t.Logf("%s %dx%d: checked in %d sizes", k.name, k.rows, k.cols, len(sizes))
	}
}

func TestTransposeEqualsItsReferenceLoop(t *testing.T) {
	checkTranspose(t, "portable", 4, func(ks int) int { return ks }, transpose4)
	best := Detect().Best()
	for _, v := range assemblyVariants() {
		if v.level > best {
			t.Logf("NOT TESTED: %s, which this machine lacks", v.name)
			continue
		}
		whole := func(ks int) int { return ks &^ 3 }
		checkTranspose(t, v.name, 4, whole, v.transpose4)
		if v.transpose16 != nil {
			checkTranspose(t, v.name, 16, whole, v.transpose16)
		}
	}
}

// checkTranspose compares the transposition of that many rows with its
// definition on the columns that it reports as done, which must be those of
// done.
func checkTranspose(t *testing.T, name string, rows int, done func(ks int) int, transpose transposer) {
	t.Helper()
	r := rand.New(rand.NewPCG(2, 3))
	for ks := range 20 {
		for _, width := range []int{rows, rows + 2, 4 * rows} {
			for _, extra := range []int{0, 3} {
				ld := ks + extra
				x := awkwardSlice(r, (rows-1)*ld+ks, false)
				got, intact := gemmGuarded(max(0, (ks-1)*width+rows))
				want := append([]float32(nil), got...)
				if n := transpose(got, width, x, ld, ks); n != done(ks) {
					t.Fatalf("%s, %d rows: %d of %d columns done, want %d", name, rows, n, ks, done(ks))
				}
				for k := range done(ks) {
					for i := range rows {
						want[k*width+i] = x[i*ld+k]
					}
				}
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%s, %d rows, ks %d, width %d, ld %d: element %d is %g, want %g", name, rows, ks, width, ld, i, got[i], want[i])
					}
				}
				if !intact() {
					t.Fatalf("%s, %d rows, ks %d, width %d: wrote outside", name, rows, ks, width)
				}
			}
		}
	}
}

func TestSelfCheckRefusesAKernelThatRoundsTwice(t *testing.T) {
	for _, k := range tilesUnderTest(t) {
		if err := k.selfCheck(k.name); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		k.run = func(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
			for i := range rows {
				for j := range cols {
					x := s[i*lds+j]
					for p := range len(a.seg) * a.length {
						x = float32(a.x[a.off[i]+a.seg[p/a.length]+p%a.length*a.step]*b[p*ldb+j]) + x
					}
					c[i*ldc+j] = x
				}
			}
		}
		if err := k.selfCheck(k.name); err == nil {
			t.Errorf("%s: a kernel that rounds the product passed", k.name)
		}
	}
}

// TestEveryStripKernelEqualsItsReferenceLoop checks the kernels that attention
// uses for its products.
func TestEveryStripKernelEqualsItsReferenceLoop(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	for _, level := range Detect().Levels() {
		strip := newStripKernel(level)
		for trial := range 60 {
			m, k := strip.rows*(1+r.IntN(3)), r.IntN(9)
			rowStep, kStep := 9+r.IntN(3), 1
			if trial%3 == 0 {
				rowStep, kStep = 1+r.IntN(2), 40
			}
			ldb, ldc, accumulate := strip.cols+r.IntN(2)*3, strip.cols+r.IntN(2)*5, trial%2 == 0
			a := awkwardSlice(r, (m-1)*rowStep+max(0, k-1)*kStep+1, trial%5 == 0)
			b := awkwardSlice(r, max(0, k-1)*ldb+strip.cols, false)
			got, intact := gemmGuarded((m-1)*ldc + strip.cols)
			for i := range m {
				copy(got[i*ldc:], awkwardSlice(r, strip.cols, false))
			}
			want := append([]float32(nil), got...)
			for i := range m {
				for j := range strip.cols {
					x := float32(0)
					if accumulate {
						x = want[i*ldc+j]
					}
					for p := range k {
						x = FMA32(a[i*rowStep+p*kStep], b[p*ldb+j], x)
					}
					want[i*ldc+j] = x
				}
			}
			strip.run(m, k, a, rowStep, kStep, b, ldb, got, ldc, accumulate)
			for i := range want {
				if !sameFloat(got[i], want[i]) {
					t.Fatalf("%s, m %d, k %d, ldb %d, ldc %d, accumulate %t: element %d is %g, want %g",
						level, m, k, ldb, ldc, accumulate, i, got[i], want[i])
				}
			}
			if !intact() {
				t.Fatalf("%s, m %d, k %d: wrote outside", level, m, k)
			}
		}
		t.Logf("%s: %d rows by %d columns checked", level, strip.rows, strip.cols)
	}
}

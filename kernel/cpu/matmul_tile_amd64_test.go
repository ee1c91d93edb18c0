//go:build !noasm

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
// run: itself, and emulated.
func tilesUnderTest(t testing.TB) []namedTile {
	t.Helper()
	best := Detect().Best()
	portable := portableVariant()
	tiles := []namedTile{{"portable tile", LevelNone, portable.tile}, {"portable thin", LevelNone, portable.thin}}
	for _, k := range assemblyTiles() {
		if k.level <= best {
			tiles = append(tiles, k)
		}
		e, err := newEmulator(k.run)
		if err != nil {
			t.Fatal(err)
		}
		k.name += ", emulated"
		k.run = e.tile
		tiles = append(tiles, k)
	}
	return tiles
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
	if Detect().Best() < LevelAVX2 {
		t.Skip("needs AVX")
	}
	r := rand.New(rand.NewPCG(2, 3))
	for ks := range 20 {
		for _, width := range []int{4, 6, 16} {
			for _, extra := range []int{0, 3} {
				ld := ks + extra
				x := awkwardSlice(r, 3*ld+ks, false)
				got, intact := gemmGuarded(max(0, (ks-1)*width+4))
				want := append([]float32(nil), got...)
				done := transpose4AVX(got, width, x, ld, ks)
				if done != ks&^3 {
					t.Fatalf("%d of %d columns done", done, ks)
				}
				transpose4(want, width, append(x[:0:0], x...), ld, done)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("ks %d, width %d, ld %d: element %d is %g, want %g", ks, width, ld, i, got[i], want[i])
					}
				}
				if !intact() {
					t.Fatalf("ks %d, width %d: wrote outside", ks, width)
				}
			}
		}
	}
}

func TestEmulatorRunsTheInstructionsOfTheKernels(t *testing.T) {
	for _, k := range assemblyTiles() {
		e, err := newEmulator(k.run)
		if err != nil {
			t.Fatal(err)
		}
		const depth = 7
		e.tile(k.rows, k.cols, packedRows(&k.tileKernel, depth, make([]float32, depth*k.rows)), make([]float32, depth*k.cols), k.cols,
			make([]float32, k.cols), 0, make([]float32, k.rows*k.cols), k.cols)
		t.Logf("%s: %v", k.name, e.executed)
		lanes := 8
		if k.level == LevelAVX512 {
			lanes = 16
		}
		if got, want := e.executed["vfmadd231ps"], depth*k.rows*k.cols/lanes; got != want {
			t.Errorf("%s: %d fused multiply-adds of %d lanes, want %d", k.name, got, lanes, want)
		}
		for pc, in := range e.decoded {
			if in.op == "vfmadd231ps" && in.lanes != lanes {
				t.Errorf("%s at +%#x: %d lanes, want %d", k.name, pc, in.lanes, lanes)
			}
		}
	}
}

func TestEmulatorRefusesAccessOutsideTheArguments(t *testing.T) {
	for _, k := range assemblyTiles() {
		e, err := newEmulator(k.run)
		if err != nil {
			t.Fatal(err)
		}
		const depth = 5
		a := packedRows(&k.tileKernel, depth, make([]float32, depth*k.rows))
		b, s, c := make([]float32, depth*k.cols), make([]float32, k.cols), make([]float32, k.rows*k.cols)
		short := *a
		short.x = short.x[1:]
		if err := e.run(k.rows, k.cols, a, b, k.cols, s, 0, c, k.cols); err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		for name, try := range map[string]func() error{
			"a": func() error { return e.run(k.rows, k.cols, &short, b, k.cols, s, 0, c, k.cols) },
			"b": func() error { return e.run(k.rows, k.cols, a, b[1:], k.cols, s, 0, c, k.cols) },
			"s": func() error { return e.run(k.rows, k.cols, a, b, k.cols, s[1:], 0, c, k.cols) },
			"c": func() error { return e.run(k.rows, k.cols, a, b, k.cols, s, 0, c[1:], k.cols) },
		} {
			if try() == nil {
				t.Errorf("%s: reading or writing past the end of %s went unnoticed", k.name, name)
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

// TestMatMulEqualsTheDefinitionOnEmulatedKernels runs whole products over the
// machine code of the kernels that the machine lacks the instructions for.
func TestMatMulEqualsTheDefinitionOnEmulatedKernels(t *testing.T) {
	pool := NewPool(1) // an emulator is one processor
	defer pool.Close()
	for _, v := range assemblyVariants() {
		for _, k := range v.tiles() {
			e, err := newEmulator(k.run)
			if err != nil {
				t.Fatal(err)
			}
			k.run = e.tile
		}
		v.packing = packing{transpose4: transpose4}
		v.name += " emulated"
		g := &blockedGemm{variant: v}
		r := rand.New(rand.NewPCG(9, 10))
		shapes := []matMulCase{
			{m: v.tile.rows + 1, n: 2*v.tile.cols + 1, k: 321, bias: true},
			{m: 1, n: v.thin.cols + 1, k: 259, bias: true},
		}
		for range 60 {
			shapes = append(shapes, randomCase(r, v.tile.rows, v.tile.cols))
		}
		for i, x := range shapes {
			x.prepare(uint64(i)).run(t, g, pool)
		}
		t.Logf("%s: %d shapes equal", g.Name(), len(shapes))
	}
}

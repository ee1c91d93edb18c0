//go:build !noasm

package cpu

import (
	"math/rand/v2"
	"testing"
)

// emulatedTiles returns every assembly kernel executed by the emulator.
func emulatedTiles(t testing.TB) []namedTile {
	t.Helper()
	tiles := assemblyTiles()
	for i := range tiles {
		e, err := newEmulator(tiles[i].run)
		if err != nil {
			t.Fatal(err)
		}
		tiles[i].name += ", emulated"
		tiles[i].run = e.tile
	}
	return tiles
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

// TestMatMulEqualsTheDefinitionOnEmulatedKernels computes whole products with
// the machine code of kernels whose instructions the machine lacks.
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

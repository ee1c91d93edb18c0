package devicetest

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"reprise/device"
	"reprise/kernel"
)

// Driver tests a device.Driver that claims to be exact (docs/numerics.md);
// open returns a new one. Every test closes the driver it opened.
func Driver(t *testing.T, open func(t *testing.T) device.Driver) {
	for name, test := range map[string]func(*testing.T, device.Driver){
		"describes a device that can take work": func(t *testing.T, d device.Driver) {
			described := d.Describe()
			if status, note := described.Health(); status != device.Healthy {
				t.Errorf("health %s: %s", status, note)
			}
			w := device.Workload{Memory: device.MemoryRequirement{Size: 1}, Requirements: []device.Feature{kernel.FMA}}
			if reasons := described.Refusal(w); len(reasons) > 0 {
				t.Errorf("refuses a byte: %v", reasons)
			}
			if _, err := device.New(described.Description()); err != nil {
				t.Error(err)
			}
		},
		"a self-test while the device is in use changes nothing":             selfTestInUse,
		"memory gives back what was written and leaves its neighbours alone": memoryRoundTrip,
		"memory refuses spans outside it and lengths that differ":            memoryBounds,
		"a matrix product has the bits of its definition":                    matMulBits,
		"an invalid program is refused":                                      invalidProgram,
		"a stale lease reaches nothing":                                      fencedDriver,
		"closing twice is closing once": func(t *testing.T, d device.Driver) {
			if err := errors.Join(d.Close(), d.Close()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, d)
		})
	}
}

func allocate(t *testing.T, b kernel.Backend, elements int) kernel.Memory {
	t.Helper()
	m, err := b.Allocate(elements)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

// selfTestInUse runs the self-test while memory holds values.
func selfTestInUse(t *testing.T, d device.Driver) {
	before := d.Describe().Description()
	m := allocate(t, d, 3)
	all, want := kernel.Span{Offset: 0, Len: 3}, []float32{1, -2, 3}
	if err := m.Write(all, want); err != nil {
		t.Fatal(err)
	}
	if err := d.SelfTest(); err != nil {
		t.Errorf("self-test of a device that is in order: %v", err)
	}
	if after := d.Describe().Description(); !reflect.DeepEqual(after, before) {
		t.Errorf("described as %+v before and %+v after", before, after)
	}
	got := make([]float32, 3)
	if err := m.Read(got, all); err != nil || !slices.Equal(got, want) {
		t.Errorf("memory has %v, %v, want %v", got, err, want)
	}
}

func memoryRoundTrip(t *testing.T, d device.Driver) {
	m := allocate(t, d, 16)
	all := make([]float32, 16)
	for i := range all {
		all[i] = float32(i)
	}
	// NaN payloads and the sign of zero must be kept like any other bits.
	special := []float32{math.Float32frombits(0x7fc12345), math.Float32frombits(1 << 31), float32(math.Inf(-1))}
	ints := []int32{-1, math.MinInt32}
	for _, err := range []error{
		m.Write(kernel.Span{Offset: 0, Len: 16}, all),
		m.Write(kernel.Span{Offset: 5, Len: 3}, special),
		m.WriteInts(kernel.Span{Offset: 9, Len: 2}, ints),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	copy(all[5:], special)
	for i, v := range ints {
		all[9+i] = math.Float32frombits(uint32(v))
	}
	got := make([]float32, 16)
	if err := m.Read(got, kernel.Span{Offset: 0, Len: 16}); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(all[i]) {
			t.Errorf("element %d is %08x, want %08x", i, math.Float32bits(got[i]), math.Float32bits(all[i]))
		}
	}
}

func memoryBounds(t *testing.T, d device.Driver) {
	m := allocate(t, d, 8)
	for _, s := range []kernel.Span{{Offset: 7, Len: 2}, {Offset: 8, Len: 1}, {Offset: -1, Len: 2}, {Offset: math.MaxInt, Len: 2}} {
		buffer := make([]float32, 2)[:s.Len]
		if m.Write(s, buffer) == nil || m.Read(buffer, s) == nil || m.WriteInts(s, make([]int32, s.Len)) == nil {
			t.Errorf("span %+v of 8 elements was accepted", s)
		}
	}
	inside := kernel.Span{Offset: 0, Len: 2}
	if m.Write(inside, make([]float32, 3)) == nil || m.Read(make([]float32, 1), inside) == nil || m.WriteInts(inside, nil) == nil {
		t.Error("a span of 2 was accepted with another number of values")
	}
	if _, err := d.Allocate(-1); err == nil {
		t.Error("allocated -1 elements")
	}
}

// matMulBits multiplies a row by a column whose product depends on every
// rounding: each step must be one fused multiply-add, in ascending order.
func matMulBits(t *testing.T, d device.Driver) {
	const k = 5
	a := []float32{1 + 0x1p-12, 1 - 0x1p-12, 0x1p-24, -1, 3}
	b := []float32{1 + 0x1p-12, 1 + 0x1p-12, 1, 1 + 0x1p-23, 0x1p-25}
	// fma by fma: 1+2^-11 (the 2^-24 ties to even), +(1-2^-24) = 2+2^-11
	// (rounded from ...-2^-24), +2^-24 = unchanged, -(1+2^-23), + 3*2^-25.
	want := float32(0)
	for i := range k {
		want = exactFMA(a[i], b[i], want)
	}
	m := allocate(t, d, 2*k+1)
	program := &kernel.Program{Name: "dot", Elements: 2*k + 1, Instructions: []kernel.Instruction{
		kernel.MatMul{A: kernel.Span{Offset: 0, Len: k}, B: kernel.Span{Offset: k, Len: k}, C: kernel.Span{Offset: 2 * k, Len: 1}, M: 1, N: 1, K: k},
	}}
	if err := errors.Join(m.Write(kernel.Span{Offset: 0, Len: k}, a), m.Write(kernel.Span{Offset: k, Len: k}, b)); err != nil {
		t.Fatal(err)
	}
	x, err := d.Prepare(program, m)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 1)
	if err := errors.Join(x.Run(kernel.Scalars{}), m.Read(got, kernel.Span{Offset: 2 * k, Len: 1})); err != nil {
		t.Fatal(err)
	}
	if math.Float32bits(got[0]) != math.Float32bits(want) {
		t.Errorf("got %08x, want %08x", math.Float32bits(got[0]), math.Float32bits(want))
	}
}

func invalidProgram(t *testing.T, d device.Driver) {
	m := allocate(t, d, 4)
	for name, p := range map[string]*kernel.Program{
		"operands of the wrong length": {Name: "bad", Elements: 4, Instructions: []kernel.Instruction{
			kernel.MatMul{A: kernel.Span{Len: 1}, B: kernel.Span{Len: 1}, C: kernel.Span{Len: 1}, M: 2, N: 2, K: 2},
		}},
		"operands outside the memory": {Name: "bad", Elements: 4, Instructions: []kernel.Instruction{
			kernel.MatMul{A: kernel.Span{Offset: 9, Len: 1}, B: kernel.Span{Len: 1}, C: kernel.Span{Len: 1}, M: 1, N: 1, K: 1},
		}},
		"more elements than the memory has": {Name: "bad", Elements: 5},
	} {
		if _, err := d.Prepare(p, m); err == nil {
			t.Errorf("prepared a program with %s", name)
		}
	}
}

func fencedDriver(t *testing.T, d device.Driver) {
	var refusal error
	fenced := device.Fence(d, func() error { return refusal })
	m := allocate(t, fenced, 3)
	one := kernel.Span{Len: 1}
	program := &kernel.Program{Name: "p", Elements: 3, Instructions: []kernel.Instruction{
		kernel.MatMul{A: one, B: kernel.Span{Offset: 1, Len: 1}, C: kernel.Span{Offset: 2, Len: 1}, M: 1, N: 1, K: 1},
	}}
	x, err := fenced.Prepare(program, m)
	if err != nil {
		t.Fatal(err)
	}
	buffer := []float32{2}
	use := func() []error {
		_, allocateErr := fenced.Allocate(1)
		_, prepareErr := fenced.Prepare(program, m)
		return []error{
			allocateErr, prepareErr, x.Run(kernel.Scalars{}),
			m.Write(one, buffer), m.WriteInts(one, []int32{1}), m.Read(buffer, one),
		}
	}
	if err := errors.Join(use()...); err != nil {
		t.Fatalf("refused under a lease in force: %v", err)
	}
	refusal = device.ErrStaleLease
	for i, err := range use() {
		if !errors.Is(err, device.ErrStaleLease) {
			t.Errorf("use %d by a stale lease: %v", i, err)
		}
	}
	m.Free()
	m.Free()
}

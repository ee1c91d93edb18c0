package device_test

import (
	"errors"
	"slices"
	"testing"

	"reprise/device"
	"reprise/kernel"
)

// recorder is a backend that only records what reaches it.
type recorder struct {
	calls []string
	fail  error
}

func (r *recorder) note(call string) error {
	r.calls = append(r.calls, call)
	return r.fail
}

func (r *recorder) Allocate(int) (kernel.Memory, error) { return r, r.note("allocate") }
func (r *recorder) Prepare(_ *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	if m != kernel.Memory(r) {
		return nil, errors.New("the fence did not unwrap its memory")
	}
	return r, r.note("prepare")
}
func (r *recorder) Run(kernel.Scalars) error             { return r.note("run") }
func (r *recorder) Write(kernel.Span, []float32) error   { return r.note("write") }
func (r *recorder) WriteInts(kernel.Span, []int32) error { return r.note("write ints") }
func (r *recorder) Read([]float32, kernel.Span) error    { return r.note("read") }
func (r *recorder) Free()                                { r.calls = append(r.calls, "free") }

func TestFenceLetsOnlyFreeingThrough(t *testing.T) {
	inner := &recorder{}
	var refusal error
	fence := device.Fence(inner, func() error { return refusal })
	m, err := fence.Allocate(1)
	if err != nil {
		t.Fatal(err)
	}
	program := &kernel.Program{Name: "p"}
	x, err := fence.Prepare(program, m)
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]func() error{
		"allocate":   func() error { _, err := fence.Allocate(1); return err },
		"prepare":    func() error { _, err := fence.Prepare(program, m); return err },
		"run":        func() error { return x.Run(kernel.Scalars{}) },
		"write":      func() error { return m.Write(kernel.Span{}, nil) },
		"write ints": func() error { return m.WriteInts(kernel.Span{}, nil) },
		"read":       func() error { return m.Read(nil, kernel.Span{}) },
	}
	for call, use := range uses {
		inner.calls, refusal, inner.fail = nil, nil, nil
		if err := use(); err != nil || !slices.Equal(inner.calls, []string{call}) {
			t.Errorf("%s in force: %v, reached %q", call, err, inner.calls)
		}
		inner.fail = errors.New("the backend's own")
		if err := use(); !errors.Is(err, inner.fail) {
			t.Errorf("%s: the backend's error came out as %v", call, err)
		}
		inner.calls, refusal = nil, &device.StaleLeaseError{}
		if err := use(); !errors.Is(err, device.ErrStaleLease) || len(inner.calls) != 0 {
			t.Errorf("%s by a stale lease: %v, reached %q", call, err, inner.calls)
		}
	}
	inner.calls = nil
	if m.Free(); !slices.Equal(inner.calls, []string{"free"}) {
		t.Errorf("freeing by a stale lease reached %q", inner.calls)
	}
}

func TestFenceRefusesForeignMemory(t *testing.T) {
	inner := &recorder{}
	agree := func() error { return nil }
	one, two := device.Fence(inner, agree), device.Fence(inner, agree)
	m, err := one.Allocate(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, foreign := range map[string]kernel.Memory{"another lease's": m, "nobody's": inner} {
		if _, err := two.Prepare(&kernel.Program{}, foreign); !errors.Is(err, device.ErrForeignMemory) {
			t.Errorf("%s memory: %v", name, err)
		}
	}
}

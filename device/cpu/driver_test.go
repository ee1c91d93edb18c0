package cpu

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"reprise/device"
	"reprise/device/devicetest"
	"reprise/kernel"
	kernels "reprise/kernel/cpu"
	"reprise/tensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every level that this machine can run, with one thread and with more threads
// than tiles.
func TestDriverPassesTheContract(t *testing.T) {
	for _, level := range kernels.Detect().Levels() {
		for name, threads := range map[string]int{"one thread": 1, "five threads": 5} {
			t.Run(level.String()+", "+name, func(t *testing.T) {
				devicetest.Driver(t, func(t *testing.T) device.Driver {
					return open(t, Config{Threads: threads, Features: level.String()})
				})
			})
		}
	}
}

func open(t *testing.T, c Config) *Driver {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// linux returns a machine with 16 GiB, 9 GiB of them available.
func linux() fstest.MapFS {
	return fstest.MapFS{
		"proc/cpuinfo": {Data: []byte("processor\t: 0\nmodel name\t: Example  CPU @ 2.00GHz\n")},
		"proc/meminfo": {Data: []byte("MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    9437184 kB\n")},
	}
}

func TestDriverDescribesTheMachine(t *testing.T) {
	d := open(t, Config{Threads: 3, Features: "none", Machine: linux()}).Describe()
	if d.ID() != "cpu0" || d.Name() != "Example CPU @ 2.00GHz" || d.Kind() != device.CPU || d.Units() != 3 || d.Slots() != 1 {
		t.Errorf("got %+v", d.Description())
	}
	if want := (device.MemoryInfo{Total: 16 * tensor.GiB, Available: 9 * tensor.GiB, Alignment: 64}); d.Memory() != want {
		t.Errorf("memory %+v, want %+v", d.Memory(), want)
	}
	if status, note := d.Health(); status != device.Healthy || note != "" {
		t.Errorf("health %s: %s", status, note)
	}
	for f, want := range map[device.Feature]bool{
		kernel.FP64: true, kernel.FMA: true, kernel.UnifiedMem: true, kernel.AVX2: false, kernel.AVX512: false, kernel.TensorCores: false,
	} {
		if d.Capability().Supports(f) != want {
			t.Errorf("%s is %v, want %v", f, !want, want)
		}
	}
}

func TestDriverListsTheInstructionSetInUse(t *testing.T) {
	for _, level := range kernels.Detect().Levels() {
		d := open(t, Config{Features: level.String()})
		c := d.Describe().Capability()
		for _, f := range []device.Feature{kernel.AVX2, kernel.AVX512, kernel.NEON} {
			if c.Supports(f) != level.Supports(f) {
				t.Errorf("%s: %s is %v", level, f, c.Supports(f))
			}
		}
		for _, k := range d.Kernels() {
			if selected := d.Selected(k.Operation); selected.Name == "" || !selected.RunsOn(c) {
				t.Errorf("%s: selected %q for %s, which %v does not run", level, selected.Name, k.Operation, c)
			}
		}
		if len(d.Kernels()) == 0 {
			t.Errorf("%s: no kernels", level)
		}
	}
}

func TestDriverRefusesInvalidConfigs(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"unknown features":   {Config{Features: "sse9"}, "sse9"},
		"negative threads":   {Config{Threads: -1}, "-1"},
		"a bad id":           {Config{ID: "cpu 0"}, "cpu 0"},
		"a negative limit":   {Config{MemoryLimit: -1}, "memory limit"},
		"too many threads":   {Config{Threads: kernels.MaxThreads + 1}, "1025"},
		"an upper-case name": {Config{Features: "AVX2"}, "AVX2"},
	} {
		d, err := New(test.config)
		if err == nil || d != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDescribingDoesNotChangeWithUse(t *testing.T) {
	d := open(t, Config{Machine: linux()})
	before := d.Describe()
	m, err := d.Allocate(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	registered, err := device.Ledger{}.Register(before)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := (device.Ledger{}).Apply(registered[0]).Register(d.Describe()); err != nil || events != nil {
		t.Errorf("registering again gave %v, %v", events, err)
	}
}

// The pinned hash comes from the chain of fused multiply-adds that defines the
// product, so the self-test depends on no kernel.
func TestSelfTestPinsTheProductsDefinition(t *testing.T) {
	_, v := testProgram()
	a, b, bias := v[:testM*testK], v[testM*testK:testM*testK+testK*testN], v[testM*testK+testK*testN:]
	c := make([]float32, testM*testN)
	rounded := 0
	for i := range testM {
		for j := range testN {
			x := bias[j]
			for k := range testK {
				next := kernels.FMA32(a[i*testK+k], b[k*testN+j], x)
				if next != float32(a[i*testK+k]*b[k*testN+j])+x {
					rounded++
				}
				x = next
			}
			c[i*testN+j] = x
		}
	}
	if got := sumOf(c); got != testSHA256 {
		t.Errorf("the definition gives %s, pinned is %s", got, testSHA256)
	}
	if share := float64(rounded) / (testM * testN * testK); share < 0.05 {
		t.Errorf("a product rounded before the sum differs in %.3f of the steps only: the test would miss it", share)
	}
}

// faulty is a backend with one thing wrong.
type faulty struct {
	kernel.Backend
	allocate, prepare, run, write, writeInts, read error
	flip                                           func(span kernel.Span, values []float32)
	allocations                                    int // how many still work
}

type faultyMemory struct {
	kernel.Memory
	f *faulty
}

type faultyExecutable struct {
	kernel.Executable
	fail error
}

func (x faultyExecutable) Run(s kernel.Scalars) error {
	return errors.Join(x.fail, x.Executable.Run(s))
}

func (f *faulty) Allocate(n int) (kernel.Memory, error) {
	if f.allocations--; f.allocate != nil && f.allocations < 0 {
		return nil, f.allocate
	}
	m, err := f.Backend.Allocate(n)
	return &faultyMemory{m, f}, err
}

func (f *faulty) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	if f.prepare != nil {
		return nil, f.prepare
	}
	x, err := f.Backend.Prepare(p, m.(*faultyMemory).Memory)
	return faultyExecutable{x, f.run}, err
}

func (m *faultyMemory) Write(s kernel.Span, v []float32) error {
	return errors.Join(m.f.write, m.Memory.Write(s, v))
}

func (m *faultyMemory) WriteInts(s kernel.Span, v []int32) error {
	return errors.Join(m.f.writeInts, m.Memory.WriteInts(s, v))
}

func (m *faultyMemory) Read(v []float32, s kernel.Span) error {
	err := errors.Join(m.f.read, m.Memory.Read(v, s))
	if m.f.flip != nil {
		m.f.flip(s, v)
	}
	return err
}

func TestSelfTestFindsEveryFault(t *testing.T) {
	broken := errors.New("broken")
	flipBit := func(v []float32, i int, bit uint32) {
		v[i] = math.Float32frombits(math.Float32bits(v[i]) ^ bit)
	}
	for name, f := range map[string]*faulty{
		"no memory":              {allocate: broken},
		"no memory for matmul":   {allocate: broken, allocations: 1},
		"no writing":             {write: broken},
		"no writing of integers": {writeInts: broken},
		"no reading":             {read: broken},
		"no preparing":           {prepare: broken},
		"no running":             {run: broken},
		"a stuck high bit": {flip: func(s kernel.Span, v []float32) {
			if s.Len == memoryElements {
				v[4711] = math.Float32frombits(math.Float32bits(v[4711]) | 1<<31)
			}
		}},
		"a stuck low bit": {flip: func(s kernel.Span, v []float32) {
			if s.Len == memoryElements {
				v[0] = math.Float32frombits(math.Float32bits(v[0]) &^ 1)
			}
		}},
		"two addresses that are one": {flip: func(s kernel.Span, v []float32) {
			if s.Len == memoryElements {
				v[memoryElements/2] = v[0]
			}
		}},
		"the last bit of the last element of the product": {flip: func(s kernel.Span, v []float32) {
			if s.Len == testM*testN {
				flipBit(v, s.Len-1, 1)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, Config{Threads: 1})
			f.Backend = d.Backend
			err := d.runSelfTest(f)
			var failed *SelfTestError
			if !errors.As(err, &failed) || failed.What == "" || f.flip == nil && !errors.Is(err, broken) {
				t.Fatalf("error %v", err)
			}
			if status, note := d.Describe().Health(); status != device.Unhealthy || note != err.Error() {
				t.Errorf("health %s: %q, want %q", status, note, err)
			}
			if d.Describe().CanExecute(device.Workload{}) {
				t.Error("it still takes work")
			}
			if err := d.SelfTest(); err != nil {
				t.Errorf("without the fault: %v", err)
			}
			if status, note := d.Describe().Health(); status != device.Healthy || note != "" {
				t.Errorf("afterwards %s: %s", status, note)
			}
		})
	}
}

// A run under a lease costs no allocation beyond the backend's own: the fence
// is on the path of every training step.
func TestFencedRunsDoNotAllocate(t *testing.T) {
	d := open(t, Config{Threads: 2})
	registered, err := device.Ledger{}.Register(d.Describe())
	if err != nil {
		t.Fatal(err)
	}
	ledger := device.Ledger{}.Apply(registered[0])
	leased, err := ledger.Acquire("run/1", "lease", device.Workload{})
	if err != nil {
		t.Fatal(err)
	}
	var guard device.Guard
	guard.Publish(ledger.Apply(leased[0]))
	lease := leased[0].(device.Leased).Lease
	fenced := device.Fence(d, func() error { return guard.Check(lease) })
	program, values := testProgram()
	m, err := fenced.Allocate(program.Elements)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if err := m.Write(kernel.Span{Len: len(values)}, values); err != nil {
		t.Fatal(err)
	}
	x, err := fenced.Prepare(program, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Run(kernel.Scalars{}); err != nil { // the first run may set things up
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(20, func() { err = errors.Join(err, x.Run(kernel.Scalars{})) }); n != 0 || err != nil {
		t.Errorf("%v allocations per run, %v", n, err)
	}
	guard.Publish(ledger)
	if err := x.Run(kernel.Scalars{}); !errors.Is(err, device.ErrStaleLease) {
		t.Errorf("after the lease: %v", err)
	}
}

// BenchmarkNew measures what every command that opens the device waits for.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		d, err := New(Config{})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

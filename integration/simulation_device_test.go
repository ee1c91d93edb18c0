package integration

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"reprise/device"
	"reprise/kernel"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
	"reprise/training/loop"
)

// simDevice is a device whose memory is a few numbers. It dies, comes back
// without what it held, runs out of memory and changes its condition.
type simDevice struct {
	history *history
	id      device.ID
	slots   int
	// Its description when it is healthy, and when it is not.
	healthy, unhealthy, short device.Device
	ill                       bool // as of the last self-test
	// generation counts how often it died: memory of an earlier generation is gone.
	generation int
	deadUntil  time.Time
	illUntil   time.Time
	// Little of its memory is free until then.
	shortUntil time.Time
	allocated  []*simMemory
}

func newSimDevice(h *history, id device.ID, slots int, memory tensor.Bytes) *simDevice {
	d := &simDevice{history: h, id: id, slots: slots}
	d.describe(memory)
	return d
}

// describe gives the device its memory.
func (d *simDevice) describe(memory tensor.Bytes) {
	describe := func(free tensor.Bytes, health device.HealthStatus, note string) device.Device {
		described, err := device.New(device.Description{
			ID: d.id, Name: "simulated", Kind: device.CPU, Capability: device.ComputeCapability{Extensions: device.Features(kernel.FMA)},
			Memory: device.MemoryInfo{Total: memory, Available: free, Alignment: 64}, Health: health, HealthNote: note, Slots: d.slots,
		})
		if err != nil {
			panic(err)
		}
		return described
	}
	d.healthy = describe(memory, device.Healthy, "")
	d.unhealthy = describe(memory, device.Unhealthy, "too many corrected errors")
	d.short = describe(tensor.KiB, device.Healthy, "")
}

func (d *simDevice) Describe() device.Device {
	switch {
	case d.ill:
		return d.unhealthy
	case d.history.now.Before(d.shortUntil):
		return d.short
	default:
		return d.healthy
	}
}

func (d *simDevice) SelfTest() error {
	if d.ill = d.history.now.Before(d.illUntil); d.ill {
		return errors.New("too many corrected errors")
	}
	return nil
}

func (d *simDevice) Close() error { return nil }

func (d *simDevice) Prepare(*kernel.Program, kernel.Memory) (kernel.Executable, error) {
	return nil, errors.New("the simulated device has no kernels")
}

func (d *simDevice) Allocate(elements int) (kernel.Memory, error) {
	h := d.history
	if err := d.operate(h.process); err != nil {
		return nil, err
	}
	if h.roll(faultMemory) {
		d.shortUntil = h.now.Add(h.while())
		h.log("%s is out of memory until %v", d.id, d.shortUntil.Sub(simEpoch))
	}
	if h.now.Before(d.shortUntil) {
		h.count("out of memory")
		return nil, fmt.Errorf("%s: out of memory", d.id)
	}
	m := &simMemory{device: d, process: h.process, generation: d.generation, data: make([]float32, elements), use: h.caller}
	d.allocated = append(d.allocated, m)
	return m, nil
}

// operate checks that the caller may use the device, and lets the device fail.
func (d *simDevice) operate(p *process) error {
	h := d.history
	if p == nil || p.dead {
		return errDied
	}
	h.checkUse(d.id)
	if h.roll(faultDeath) {
		d.deadUntil = h.now.Add(time.Duration(h.random.IntN(60)) * time.Second)
		d.generation++
		h.count("device deaths")
		h.log("%s is dead until %v", d.id, d.deadUntil.Sub(simEpoch))
	}
	if h.now.Before(d.deadUntil) {
		return fmt.Errorf("%s does not answer", d.id)
	}
	if h.roll(faultDevice) {
		h.count("device errors")
		h.log("%s reports an error", d.id)
		return fmt.Errorf("%s: an operation failed", d.id)
	}
	return nil
}

// simMemory is memory on a simulated device.
type simMemory struct {
	device     *simDevice
	process    *process
	generation int
	data       []float32
	use        *simUse
}

func (m *simMemory) operate() error {
	m.device.history.caller = m.use
	if err := m.device.operate(m.process); err != nil {
		return err
	}
	if m.generation != m.device.generation {
		return fmt.Errorf("%s: the memory is gone since the device restarted", m.device.id)
	}
	return nil
}

func (m *simMemory) Write(dst kernel.Span, src []float32) error {
	if err := m.operate(); err != nil {
		return err
	}
	copy(m.data[dst.Offset:dst.Offset+dst.Len], src)
	return nil
}

func (m *simMemory) WriteInts(kernel.Span, []int32) error { return errors.New("not used") }

func (m *simMemory) Read(dst []float32, src kernel.Span) error {
	if err := m.operate(); err != nil {
		return err
	}
	copy(dst, m.data[src.Offset:src.Offset+src.Len])
	return nil
}

func (m *simMemory) Free() {
	m.device.allocated = slices.DeleteFunc(m.device.allocated, func(o *simMemory) bool { return o == m })
}

// simUse is the authority under which a trainer uses a device: the lease that
// was in force when it began.
type simUse struct {
	run   training.RunID
	lease device.Lease
}

// simTrainer trains one number, which it keeps on the device: the result
// depends on all inputs, in order, and on nothing else.
type simTrainer struct {
	memory kernel.Memory
	use    *simUse
	seed   uint64
	step   uint64
}

var (
	_ loop.Trainer = (*simTrainer)(nil)
	_ loop.Trainer = (*nn.Trainer)(nil)
)

// runNumber is how a plan says which run it belongs to: the clip norm is not
// otherwise used.
func runNumber(plan *nn.Plan) int { return int(plan.Config().ClipNorm) }

var weight = kernel.Span{Offset: 0, Len: 1}

// weightLimit keeps the weight among the integers that a float32 holds.
const weightLimit = 1 << 23

func newSimTrainer(backend kernel.Backend, plan *nn.Plan) (loop.Trainer, error) {
	memory, err := backend.Allocate(1)
	if err != nil {
		return nil, err
	}
	return &simTrainer{memory: memory, seed: plan.Config().Seed}, nil
}

func (t *simTrainer) Close() { t.memory.Free() }

func mix(w uint64, values ...uint64) uint64 {
	for _, v := range values {
		w = (w ^ v) * 0x9e3779b97f4a7c15
		w ^= w >> 29
	}
	return w
}

func (t *simTrainer) Load(s nn.State) error {
	t.step = s.Step
	w := uint64(1)
	if len(s.Parameters) == 1 && s.Parameters[0].Name == "weight" {
		w = uint64(s.Parameters[0].Data[0])
	} else {
		for _, p := range s.Parameters {
			for _, v := range p.Data {
				w = mix(w, uint64(math.Float32bits(v)))
			}
		}
	}
	return t.memory.Write(weight, []float32{float32(w % weightLimit)})
}

func (t *simTrainer) read() (uint64, error) {
	var w [1]float32
	err := t.memory.Read(w[:], weight)
	return uint64(w[0]), err
}

func (t *simTrainer) State() (nn.State, error) {
	w, err := t.read()
	if err != nil {
		return nn.State{}, err
	}
	return nn.State{Step: t.step, Parameters: []tensor.Tensor{{Name: "weight", Shape: tensor.Shape{1}, Data: []float32{float32(w)}}}}, nil
}

// diverges is the step at which a seed makes training diverge; 0 is never.
func diverges(seed uint64) uint64 {
	if seed%4 == 3 {
		return 2 + seed/8
	}
	return 0
}

func (t *simTrainer) Step(b nn.Batch, rate float32) (float32, error) {
	w, err := t.read()
	if err != nil {
		return 0, err
	}
	if t.step+1 == diverges(t.seed) {
		return 0, &nn.NumericalError{Step: t.step + 1, What: "the weight is not finite"}
	}
	w = mix(w, t.step, uint64(math.Float32bits(rate)))
	for i := range b.Rows {
		w = mix(w, uint64(math.Float32bits(b.Inputs[2*i])), uint64(b.Labels[i]))
	}
	w %= weightLimit
	if err := t.memory.Write(weight, []float32{float32(w)}); err != nil {
		return 0, err
	}
	t.step++
	return float32(w%1000) / 1000, nil
}

// EvaluateInto adds a loss that falls for some steps, to a depth that the seed
// gives, and no further.
func (t *simTrainer) EvaluateInto(b nn.Batch, r *nn.EvalResult) error {
	w, err := t.read()
	if err != nil {
		return err
	}
	fall := float64(min(t.step, 2+t.seed%4))
	r.LossSum += float64(b.Rows) * (10 - fall + float64(w%7)/1000)
	r.Losses += b.Rows
	r.Correct += int(w) % (b.Rows + 1)
	return nil
}

// Predict is right about as many samples as EvaluateInto counts, the first ones.
func (t *simTrainer) Predict(b nn.Batch, outputs []float32) error {
	w, err := t.read()
	if err != nil {
		return err
	}
	classes := len(outputs) / b.Rows
	for i := range b.Rows {
		predicted := int(b.Labels[i])
		if i >= int(w)%(b.Rows+1) {
			predicted = (predicted + 1) % classes
		}
		clear(outputs[i*classes : (i+1)*classes])
		outputs[i*classes+predicted] = float32(1 + w%5)
	}
	return nil
}

// probe uses a trainer's memory once more, like a holder that does not know
// that its lease has ended.
func (h *history) probe() {
	if len(h.process.trainers) == 0 {
		return
	}
	t := h.process.trainers[h.random.IntN(len(h.process.trainers))]
	use := t.use
	if h.dirty[use.lease.Device] || h.ledgers[use.lease.Device].holds(use.lease) {
		return // it may
	}
	err := t.memory.Read(make([]float32, 1), weight)
	if errors.Is(err, device.ErrStaleLease) {
		h.count("stale leases refused")
		return
	}
	h.violate("%s used %s under a lease that had ended (epoch %d): %v", use.run, use.lease.Device, use.lease.Epoch, err)
}

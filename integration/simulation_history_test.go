package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"reprise/actor"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/kernel"
	"reprise/nn"
	"reprise/queue"
	"reprise/tensor"
	"reprise/training"
	"reprise/training/loop"
)

// The faults of a history.
type faultKind int

const (
	faultKill     faultKind = iota // the process dies
	faultAppend                    // an append fails, stored or not
	faultConflict                  // another writer was faster
	faultRead                      // a replay fails
	faultDisk                      // an operation on files fails
	faultDevice                    // an operation of a device fails
	faultDeath                     // a device dies
	faultMemory                    // a device is short of memory for a while
	faultHealth                    // a device becomes unhealthy
	faultPanic                     // a step panics
	faultData                      // a data set is gone for a while
	faultFull                      // the disk is full for a while
	faultSlow                      // a step takes long
	faultUser                      // the user interrupts a run or ends the process
	faultProbe                     // somebody uses a device without being allowed to
	faultKinds
)

// commonRates are the rates of faults, per occasion, in a history that has
// them; each history has about half of the kinds.
func commonRates() [faultKinds][]float64 {
	return [faultKinds][]float64{
		faultKill:     {1. / 600, 1. / 200, 1. / 60},
		faultAppend:   {1. / 100, 1. / 30, 1. / 10},
		faultConflict: {1. / 100, 1. / 30},
		faultRead:     {1. / 30},
		faultDisk:     {1. / 600, 1. / 200, 1. / 60},
		faultDevice:   {1. / 100, 1. / 30},
		faultDeath:    {1. / 200, 1. / 60},
		faultMemory:   {1. / 20},
		faultHealth:   {1. / 24, 1. / 7},
		faultPanic:    {1. / 60, 1. / 15, 1. / 5},
		faultData:     {1. / 10},
		faultFull:     {1. / 600, 1. / 200, 1. / 60},
		faultSlow:     {1. / 100, 1. / 20},
		faultUser:     {1. / 100, 1. / 30, 1. / 10},
		faultProbe:    {1. / 20},
	}
}

var simEpoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// history is the lifetime of one data directory: processes come and go, train
// runs and meet with faults, all determined by the seed.
type history struct {
	seed     uint64
	random   *rand.Rand
	rates    [faultKinds]float64
	calm     bool // no more faults: everything has to end
	now      time.Time
	store    *memory.Store
	disk     *simDisk
	devices  []*simDevice
	data     *dataset.Dataset
	runs     []*simRun
	ids      int
	process  *process // nil between two
	orderly  bool     // the last process left nothing to be recovered
	wanted   int      // runs that are to be started
	submits  bool     // runs as jobs
	restarts actor.Intensity
	// Conditions hold until then.
	fullUntil, goneUntil time.Time
	tooSmall             bool // the first device, for any run

	caller   *simUse             // of the device operation under way
	observed eventstore.Position // of the last event that was checked
	ledgers  map[device.ID]*simLedger
	// dirty are devices with a stored event that the pool does not know about
	// yet: the pool fails, and picks it up.
	dirty map[device.ID]bool
	// The memory decodes an event once for all readers. Every sixteenth history has
	// none: there, a reader that wrote to a decoded event would be detected.
	memory    *journal.Memory
	decisions journal.QueueReplay

	counts    map[string]int
	recording bool
	lines     []string
	violation string
}

// process is one process of the program.
type process struct {
	dead     bool
	calm     bool // it has not met with a fault
	leaving  bool
	closing  bool // and by then at the latest:
	deadline time.Time
	left     bool // it left a run to recovery
	store    *simStore
	host     *Host
	steps    []func()
	timers   []*simTimer
	follows  []*simFollow
	trainers []*simTrainer
	launched int // runs, also the same one again
	// Together they show that the cache forgot what nobody used: it was empty,
	// and data has had to be opened since.
	cacheIsEmpty, opened bool
}

type simTimer struct {
	at     time.Time
	action func()
}

type simFollow struct {
	id            training.RunID
	run, launched *hosted
}

// newHistory returns the history of a seed, which has not begun.
func newHistory(seed uint64, data *dataset.Dataset, recording bool) *history {
	h := &history{
		seed: seed, random: rand.New(rand.NewPCG(seed, 0x726570)), now: simEpoch, store: memory.New(), data: data,
		ledgers: map[device.ID]*simLedger{}, dirty: map[device.ID]bool{}, counts: map[string]int{}, recording: recording,
	}
	if seed%16 != 0 {
		h.memory = journal.NewMemory()
	}
	h.disk = &simDisk{root: newSimFolder(), point: h.diskPoint}
	h.disk.root.entries["data"] = newSimFolder()
	h.disk.root.onDisk["data"] = h.disk.root.entries["data"]
	for kind, rates := range commonRates() {
		if h.random.IntN(2) == 0 {
			h.rates[kind] = rates[h.random.IntN(len(rates))]
		}
	}
	slots := make([]int, 1+h.random.IntN(3))
	for i := range slots {
		slots[i] = 1 + h.random.IntN(2)
	}
	h.tooSmall = h.random.IntN(20) == 0
	for i, n := range slots {
		memory := tensor.GiB
		if i == 0 && h.tooSmall {
			memory = tensor.KiB
		}
		h.devices = append(h.devices, newSimDevice(h, device.ID(fmt.Sprintf("sim%d", i)), n, memory))
	}
	h.wanted = 1 + h.random.IntN(3)
	h.submits = seed%4 == 3
	h.restarts = actor.Intensity{Restarts: 1 + h.random.IntN(3), Period: time.Hour}
	return h
}

func (h *history) device(id device.ID) *simDevice {
	i := slices.IndexFunc(h.devices, func(d *simDevice) bool { return d.id == id })
	return h.devices[i]
}

func (h *history) run(id training.RunID) *simRun {
	i := slices.IndexFunc(h.runs, func(r *simRun) bool { return r.id == id })
	return h.runs[i]
}

// roll reports whether a fault happens.
func (h *history) roll(kind faultKind) bool {
	return !h.calm && h.rates[kind] > 0 && h.random.Float64() < h.rates[kind]
}

func (h *history) count(what string) { h.counts[what]++ }

func (h *history) log(format string, args ...any) {
	if h.recording {
		h.lines = append(h.lines, fmt.Sprintf("%9.3fs ", h.now.Sub(simEpoch).Seconds())+fmt.Sprintf(format, args...))
	}
}

// violate records the first violation.
func (h *history) violate(format string, args ...any) {
	h.log("VIOLATED: "+format, args...)
	if h.violation == "" {
		h.violation = fmt.Sprintf(format, args...)
	}
}

// diskPoint decides about an operation on files.
func (h *history) diskPoint(op, name string, writes bool) (bool, error) {
	switch {
	case h.process == nil: // a check, from outside
		return true, nil
	case h.process.dead:
		return false, errDied
	case writes && h.roll(faultKill):
		done := h.random.IntN(2) == 0
		h.kill("%s %s (done: %v)", op, name, done)
		return done, errDied
	case h.roll(faultDisk):
		h.count("disk errors")
		h.log("%s %s fails", op, name)
		return false, &fs.PathError{Op: op, Path: name, Err: syscall.EIO}
	}
	if h.roll(faultFull) {
		h.fullUntil = h.now.Add(h.while())
		h.log("the disk is full until %v", h.fullUntil.Sub(simEpoch))
	}
	if h.now.Before(h.fullUntil) && (op == "write" || op == "mkdir" || op == "open" && writes) {
		h.count("operations on a full disk")
		return false, &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return true, nil
}

// while is how long a condition holds.
func (h *history) while() time.Duration { return time.Duration(h.random.IntN(120)) * time.Second }

// lift ends all conditions, and moves the data directory to a machine with
// devices that are large enough.
func (h *history) lift() {
	h.fullUntil, h.goneUntil = time.Time{}, time.Time{}
	for _, d := range h.devices {
		d.deadUntil, d.illUntil, d.shortUntil = time.Time{}, time.Time{}, time.Time{}
	}
	moves := h.tooSmall
	if h.tooSmall = false; moves {
		h.devices[0].describe(tensor.GiB)
	}
	if p := h.process; p != nil && (moves || p.store.broken) {
		h.bury(false)
	}
}

// kill ends the process in the middle of something. What it still computes has
// no effect; bury removes it.
func (h *history) kill(where string, args ...any) {
	h.process.dead = true
	h.count("crashes")
	h.log("KILLED: "+where, args...)
}

// bury removes a dead process. Its memory is gone, and if the power failed, so
// is what was not synced.
func (h *history) bury(powerLost bool) {
	h.process = nil
	h.caller = nil
	for _, d := range h.devices {
		d.allocated = nil
		d.generation++
	}
	if powerLost {
		h.count("power losses")
		h.log("the power is lost")
		h.disk.root.losePower(h.random)
	}
	h.now = h.now.Add(time.Second)
}

// boot starts a process, which puts right what the one before it left.
func (h *history) boot() {
	p := &process{calm: h.calm}
	h.process = p
	h.count("processes")
	h.log("--- a process starts")
	p.store = &simStore{Store: h.store, history: h, process: p}
	drivers := make([]device.Driver, len(h.devices))
	for i, d := range h.devices {
		drivers[i] = d
	}
	config := HostConfig{
		Store: p.store, Workspace: datadir.Workspace{Dir: "/data", Disk: h.disk}, Devices: drivers, Observer: simObserver{},
		OpenDataset: h.openDataset,
		Now:         func() time.Time { return h.now },
		NewID:       func() string { h.ids++; return fmt.Sprintf("id-%d", h.ids) },
		Restarts:    h.restarts,
		Fault: func(run training.RunID, step uint64) {
			if !p.dead && h.roll(faultPanic) {
				h.count("panics")
				h.run(run).panics++
				h.log("%s panics before step %d", run, step)
				panic(errPanic)
			}
		},
	}
	if h.submits {
		config.Prepare = h.prepareJob
	}
	if h.seed%2 == 0 { // runs take turns
		config.Queue = &queue.Policy{Preempt: true, Quantum: time.Millisecond, Levels: []time.Duration{10 * time.Millisecond, time.Minute}}
	}
	before := h.leases()
	host, recovery, err := newHost(context.Background(), config, parts{
		newTrainer: h.newTrainer, logs: h.logs, driver: &simDriver{h, p}, onEvent: h.supervised,
		await: func(_ context.Context, done <-chan struct{}) { h.await(p, done) },
		follow: func(_ *Host, id training.RunID, run *hosted) {
			p.launched++
			if h.submits {
				h.run(id).panics = 0
			}
			p.follows = append(p.follows, &simFollow{id, run, run})
		},
	})
	switch {
	case p.dead:
		h.bury(h.random.IntN(2) == 0)
	case err != nil:
		h.log("the process cannot start: %v", err)
		if h.calm {
			h.violate("without faults, a process cannot start: %v", err)
		}
		h.bury(false)
	default:
		p.host = host
		h.checkRecovery(recovery, before)
	}
}

// logs are those of a host.
func (h *history) logs(c HostConfig) (*journal.RunLog, *journal.DeviceLog) {
	if h.memory == nil {
		return journal.NewRunLog(c.Store, c.Now), journal.NewDeviceLog(c.Store, c.Now)
	}
	return h.memory.RunLog(c.Store, c.Now), h.memory.DeviceLog(c.Store, c.Now)
}

func (h *history) openDataset(context.Context, training.Dataset) (*dataset.Dataset, error) {
	h.process.opened = true
	if h.roll(faultData) {
		h.goneUntil = h.now.Add(h.while())
		h.log("the data set is gone until %v", h.goneUntil.Sub(simEpoch))
	}
	if h.now.Before(h.goneUntil) {
		h.count("data sets lost")
		return nil, &fs.PathError{Op: "open", Path: "data", Err: fs.ErrNotExist}
	}
	return h.data, nil
}

// newTrainer records under which lease a trainer works.
func (h *history) newTrainer(backend kernel.Backend, plan *nn.Plan) (loop.Trainer, error) {
	use := &simUse{run: h.runs[runNumber(plan)].id}
	for id, l := range h.ledgers {
		for _, lease := range l.leases {
			if lease.Holder == journal.HolderOf(use.run) {
				use.lease = lease
				use.lease.Device = id
			}
		}
	}
	h.caller = use
	t, err := newSimTrainer(backend, plan)
	if err != nil {
		return nil, err
	}
	t.(*simTrainer).use = use
	if p := h.process; p != nil {
		p.trainers = append(p.trainers, t.(*simTrainer))
	}
	return t, nil
}

// errPanic is what steps panic with; any other panic is our own defect.
var errPanic = errors.New("a simulated panic")

// supervised is told what supervisors do.
func (h *history) supervised(e actor.Event) {
	trigger, ok := e.(actor.SupervisionTriggered)
	if !ok || h.process.dead {
		return
	}
	var panicked *actor.PanicError
	if errors.As(trigger.Cause, &panicked) && !errors.Is(panicked, errPanic) {
		h.violate("%s: %v\n%s", trigger.Child, panicked, panicked.Stack)
	}
	mayPass := datadir.Remedy(trigger.Cause) != "" || errors.Is(trigger.Cause, device.ErrNoSuitableDevice)
	if strings.HasPrefix(trigger.Supervisor, "/run-") && mayPass {
		h.violate("%s was restarted only to meet the same condition: %v", trigger.Child, trigger.Cause)
	}
	h.count("actors restarted")
}

type simObserver struct{}

func (simObserver) Stepped(training.RunID, loop.StepResult) {}
func (simObserver) Recorded(training.RunID, training.Event) {}

// simDriver moves the actors of a process.
type simDriver struct {
	history *history
	process *process
}

func (d *simDriver) Run(step func()) { d.process.steps = append(d.process.steps, step) }

func (d *simDriver) AfterFunc(after time.Duration, action func()) func() bool {
	t := &simTimer{at: d.history.now.Add(after), action: action}
	d.process.timers = append(d.process.timers, t)
	return func() bool {
		n := len(d.process.timers)
		d.process.timers = slices.DeleteFunc(d.process.timers, func(o *simTimer) bool { return o == t })
		return len(d.process.timers) < n
	}
}

// The length of a history: after this many moves there are no more faults, and
// after this many more everything must have ended.
const (
	mostMoves = 150
	calmMoves = 6000
)

// play plays the history and reports whether nothing was violated.
func (h *history) play() bool {
	moves := 20 + h.random.IntN(mostMoves)
	for i := 0; i < moves && !h.finished(); i++ {
		if h.move(); h.violation != "" {
			return false
		}
	}
	h.calm = true
	h.log("--- from here on nothing fails")
	h.lift()
	for range calmMoves {
		if h.violation != "" || h.finished() {
			break
		}
		h.move()
	}
	if h.violation == "" && !h.finished() {
		h.violate("some sagas do not end")
	}
	if h.violation == "" && h.process != nil {
		h.close(h.process)
	}
	if h.violation == "" {
		h.checkEnd()
	}
	return h.violation == ""
}

// finished reports whether every requested run has ended, and nothing is under
// way.
func (h *history) finished() bool {
	for _, r := range h.runs {
		if !r.over() || r.restless() {
			return false
		}
	}
	return h.wanted == 0 && len(h.leases()) == 0 && (h.process == nil || len(h.process.steps) == 0 && len(h.process.follows) == 0)
}

// move is one thing that happens.
func (h *history) move() {
	p := h.process
	switch {
	case p == nil:
		h.boot()
	case len(p.steps) > 0:
		h.meddle()
		if p == h.process && !p.dead {
			h.step(p)
		}
	default:
		h.idle(p)
	}
	if p != nil && p == h.process {
		h.settle(p)
	}
}

// step lets some time pass and one actor do something.
func (h *history) step(p *process) {
	h.now = h.now.Add(time.Duration(1+h.random.IntN(50)) * time.Millisecond)
	if h.roll(faultSlow) {
		h.count("slow steps")
		h.now = h.now.Add(time.Duration(h.random.IntN(40)) * time.Second)
	}
	for {
		i := slices.IndexFunc(p.timers, func(t *simTimer) bool { return !t.at.After(h.now) })
		if i < 0 {
			break
		}
		t := p.timers[i]
		p.timers = slices.Delete(p.timers, i, i+1)
		t.action()
	}
	i := h.random.IntN(len(p.steps))
	step := p.steps[i]
	p.steps = slices.Delete(p.steps, i, i+1)
	step()
}

// settle checks what became of the step.
func (h *history) settle(p *process) {
	if p.dead {
		h.bury(h.random.IntN(2) == 0)
		return
	}
	for i := 0; i < len(p.follows); i++ {
		f := p.follows[i]
		select {
		case <-f.launched.supervisor.Done():
		default:
			continue
		}
		if f.launched = p.host.conclude(f.id, f.run, f.launched); f.launched != nil {
			h.count("runs given up on")
			continue
		}
		p.follows = slices.Delete(p.follows, i, i+1)
		i--
		h.checkRest(p, f)
	}
	select {
	case <-p.host.system.Root().Done():
		if p.closing {
			return
		}
		h.count("hosts given up on")
		h.log("the host gave up: the process ends")
		h.bury(false)
	default:
	}
}

// meddle is what comes from outside while a process works.
func (h *history) meddle() {
	p := h.process
	if h.roll(faultProbe) {
		h.probe()
	}
	if h.roll(faultHealth) {
		d := h.devices[h.random.IntN(len(h.devices))]
		d.illUntil = h.now.Add(time.Duration(h.random.IntN(120)) * time.Second)
		h.log("%s is unhealthy until %v", d.id, d.illUntil.Sub(simEpoch))
	}
	if p.closing || !h.roll(faultUser) {
		return
	}
	switch h.random.IntN(6) {
	case 0:
		switch {
		case h.random.IntN(2) == 0:
			h.count("hosts closed in mid-flight")
			h.close(p)
		case !p.leaving:
			h.log("the user ends the process")
			p.leaving = true
			for _, f := range p.follows {
				p.host.Interrupt(f.id, "the process is shutting down")
			}
		}
	case 1, 2:
		h.start(p)
	default:
		if h.submits && h.random.IntN(3) > 0 {
			h.meddleWithJobs(p)
		} else if len(p.follows) > 0 {
			f := p.follows[h.random.IntN(len(p.follows))]
			h.count("interruptions by the user")
			h.log("the user interrupts %s", f.id)
			p.host.Interrupt(f.id, "Ctrl-C")
		}
	}
}

// idle is what happens when no actor has anything to do: time passes for those
// that wait, and if none does, the user acts.
func (h *history) idle(p *process) {
	h.checkIdle(p)
	switch {
	case len(p.follows) > 0:
		if len(p.timers) == 0 {
			h.violate("%s waits for nothing, for ever", p.follows[0].id)
			return
		}
		h.wait(p)
	case p.leaving:
		h.close(p)
	case h.submits && h.jobsWait(p):
		h.wait(p)
	case p.store.broken || h.unmended() || h.random.IntN(12) == 0 && !h.calm:
		h.log("the user starts the process again")
		if h.random.IntN(2) == 0 {
			h.close(p)
		} else {
			h.bury(false)
		}
	default:
		h.goOn(p)
	}
}

// wait lets time pass until the next timer fires.
func (h *history) wait(p *process) {
	next := slices.MinFunc(p.timers, func(a, b *simTimer) int { return a.at.Compare(b.at) })
	p.timers = slices.DeleteFunc(p.timers, func(t *simTimer) bool { return t == next })
	if next.at.After(h.now) {
		h.now = next.at
	}
	next.action()
}

// errUnwound ends a call into a host whose process is gone.
var errUnwound = errors.New("the process is gone")

// close ends the process properly, unless it dies meanwhile.
func (h *history) close(p *process) {
	h.log("the user closes the host")
	p.closing, p.deadline = true, h.now.Add(closeDeadline)
	defer func() {
		if cause := recover(); cause != nil && cause != errUnwound { //nolint:errorlint // it is the value that was thrown
			panic(cause)
		}
	}()
	err := p.host.Close()
	h.log("the host is closed (%v)", err)
	h.count("hosts closed")
	h.checkClosed(p, err)
	h.bury(h.random.IntN(4) == 0)
}

// await moves the process of a closing host until what the host waits for has
// happened, or it no longer waits for its runs.
func (h *history) await(p *process, done <-chan struct{}) {
	patient := p.host == nil || done == p.host.system.Root().Done() // one that could not start
	for {
		select {
		case <-done:
			return
		default:
		}
		switch {
		case !patient && h.now.After(p.deadline):
			h.log("the host stops waiting")
			h.count("runs that a closing host did not wait for")
			return
		case len(p.steps) > 0:
			h.meddle()
			h.step(p)
		case len(p.timers) > 0:
			h.wait(p)
		default:
			h.violate("a closing host waits for nothing, for ever")
		}
		if h.settle(p); p != h.process || h.violation != "" {
			panic(errUnwound)
		}
	}
}

// unmended reports whether a run that has ended still holds something on
// record, because its host could not record the rest: that is left to the next
// process.
func (h *history) unmended() bool {
	return slices.ContainsFunc(h.runs, func(r *simRun) bool { return r.over() && r.restless() })
}

// goOn resumes a run that was interrupted, or starts another.
func (h *history) goOn(p *process) {
	if !h.calm {
		h.now = h.now.Add(time.Duration(h.random.IntN(60)) * time.Second)
	}
	for _, r := range h.runs {
		if !r.started && r.job.State() == "" || r.over() {
			continue
		}
		h.log("the user resumes %s", r.id)
		r.panics = 0
		h.count("runs resumed")
		if err := p.host.Resume(context.Background(), r.id); err != nil && !p.dead {
			h.log("%v", err)
			if h.calm {
				h.violate("without faults, %s cannot be resumed: %v", r.id, err)
			}
		}
		if h.random.IntN(2) == 0 {
			return // otherwise the next one runs at the same time
		}
	}
	for h.start(p); h.random.IntN(2) == 0 && h.wanted > 0 && !p.dead; {
		h.start(p) // at the same time as the first one
	}
}

// leases returns all leases in force.
func (h *history) leases() (all []device.Lease) {
	for _, d := range h.devices {
		if l := h.ledgers[d.id]; l != nil {
			all = append(all, l.leases...)
		}
	}
	return all
}

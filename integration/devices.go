package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/kernel"
	"reprise/queue"
	"reprise/training"
)

// ErrDevicesClosed is returned for a lease of devices that are closed.
var ErrDevicesClosed = fault.New(fault.Unavailable, "the devices are no longer leased: the process that leases them is shutting down")

// Lessor grants leases. Devices are one; another one may ask elsewhere first.
type Lessor interface {
	// Acquire is that of Devices.
	Acquire(ctx context.Context, r LeaseRequest) (*Lease, error)
}

// Devices grants leases of a process's devices to whoever is not a run: to
// verifications and to generations of text. They wait in the same queue as runs.
//
// Host.Devices are those of a host, which records the leases. A process that only
// reads makes its own with OpenDevices. Devices are safe for concurrent use.
type Devices struct {
	pool     actor.Ref[deviceMessage]
	waiting  *runQueue // the pool's
	requests *atomic.Uint64
	now      func() time.Time
	newID    func() string
	system   *actor.System // nil where the host closes it
}

// DevicesConfig is what Devices are made of. All fields but Worker are needed.
type DevicesConfig struct {
	// Store keeps the ledgers; one in memory where nobody shall read them later.
	Store eventstore.Store
	// Devices stay the caller's to close, afterwards.
	Devices []device.Driver
	// Worker is as in HostConfig.
	Worker string
	Now    func() time.Time
	// NewID returns a name that was not used before.
	NewID func() string
}

// OpenDevices returns devices that no host has. Close must follow.
func OpenDevices(c DevicesConfig) (*Devices, error) {
	drivers, err := driversOf(c.Worker, c.Devices)
	if err != nil {
		return nil, err
	}
	system, err := actor.NewSystem(actor.Config{Now: c.Now})
	if err != nil {
		return nil, err
	}
	d := &Devices{requests: new(atomic.Uint64), now: c.Now, newID: c.NewID, system: system, waiting: newRunQueue(c.Worker, &queueRules{policy: queue.DefaultPolicy()}, c.Store, c.Now)}
	d.pool, err = spawnDevicePool(system.Root(), journal.NewDeviceLog(c.Store, c.Now), drivers, d.waiting, c.NewID)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close ends the leases that are left. The devices of a host end with it.
func (d *Devices) Close() error {
	if d.system == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeDeadline)
	defer cancel()
	d.system.Stop()
	return d.system.Shutdown(ctx)
}

// driversOf returns the drivers with their devices named by the worker.
func driversOf(worker string, drivers []device.Driver) ([]device.Driver, error) {
	named, seen := make([]device.Driver, len(drivers)), map[device.ID]bool{}
	for i, d := range drivers {
		var err error
		if named[i], err = device.OfWorker(worker, d); err != nil {
			return nil, err
		}
		id := named[i].Describe().ID()
		if seen[id] {
			return nil, &fault.FieldError{Field: fmt.Sprintf("Devices[%d]", i), Value: string(id), Problem: "is the name of another one, too", Fix: "give each device a name of its own"}
		}
		seen[id] = true
	}
	return named, nil
}

func spawnDevicePool(parent *actor.Supervisor, log *journal.DeviceLog, drivers []device.Driver, waiting *runQueue, newID func() string) (actor.Ref[deviceMessage], error) {
	guards := newGuards(drivers)
	return actor.Spawn(parent, actor.Spec[deviceMessage]{
		Name: "devices", Blocking: true,
		New: func() actor.Actor[deviceMessage] { return newDevicePool(log, drivers, guards, waiting, newID) },
	})
}

// LeaseRequest asks for a lease.
type LeaseRequest struct {
	// Kind says what will use the device, and Run the run that it is about.
	Kind device.HolderKind
	Run  training.RunID
	// Workload is what it needs. What is to run beside training is shared.
	Workload device.Workload
	// Waiting, if not nil, is told why there is no device yet, once.
	Waiting func(why string)
}

// Acquire waits for a lease, however long that takes. It fails with
// device.ErrNoSuitableDevice if no device can take the workload even if nobody else
// uses it, with an error of device for an invalid request, with ErrDevicesClosed, and
// with the error of ctx. Lease.Release must follow.
func (d *Devices) Acquire(ctx context.Context, r LeaseRequest) (*Lease, error) {
	holder := device.Holder{Kind: r.Kind, Subject: string(r.Run), Instance: d.newID()}
	if err := errors.Join(holder.Validate(), r.Workload.Validate()); err != nil {
		return nil, err
	}
	request := d.requests.Add(1)
	answers := newAnswers()
	err := d.pool.Tell(acquireDevice{Request: request, Holder: holder, Submitted: d.now(), Workload: r.Workload, Answer: answers.add})
	if err != nil {
		return nil, d.failed(err)
	}
	for {
		select {
		case answer := <-answers:
			switch m := answer.(type) {
			case leaseGranted:
				return &Lease{lease: m.Lease, backend: m.Backend, holder: holder, devices: d}, nil
			case leaseRefused:
				return nil, m.Err
			case leaseDeferred:
				if r.Waiting != nil {
					r.Waiting(m.Why)
				}
			case unanswered:
				return nil, errors.Join(errors.New(m.What), d.forget(holder))
			default:
				return nil, errors.Join(fmt.Errorf("%v: unexpected answer %T of the device pool", holder, answer), d.forget(holder))
			}
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), d.forget(holder))
		case <-d.pool.Done():
			return nil, ErrDevicesClosed
		}
	}
}

// forget ends the wait of a holder, and what it was granted meanwhile.
func (d *Devices) forget(holder device.Holder) error {
	return d.failed(d.waiting.forget(d.pool, holder))
}

// failed returns what a failure to tell the pool something means.
func (d *Devices) failed(err error) error {
	if errors.Is(err, actor.ErrStopped) {
		return ErrDevicesClosed
	}
	return err
}

// answers are those to one request. There are few: that the holder has to wait, what
// came of it, and that the pool failed; nobody reads more than these.
type answers chan leaseAnswer

func newAnswers() answers { return make(answers, 4) }

func (a answers) add(_ actor.Sender, answer leaseAnswer) error {
	select {
	case a <- answer:
	default:
	}
	return nil
}

// Lease is the right to use a device until Release. It is used by one goroutine at a
// time.
type Lease struct {
	lease   device.Lease
	backend kernel.Backend
	holder  device.Holder
	devices *Devices

	once sync.Once
	err  error
}

// Recorded returns the lease as the ledger of its device has it.
func (l *Lease) Recorded() device.Lease { return l.lease }

// Backend returns the device. It fails with device.ErrStaleLease once the lease has
// ended: after Release, or because the device became unhealthy.
func (l *Lease) Backend() kernel.Backend { return l.backend }

// Hold keeps the lease until ctx ends, with whose error it fails, or the devices are
// closed, with ErrDevicesClosed. Lease.Release must follow all the same.
func (l *Lease) Hold(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.devices.pool.Done():
		return ErrDevicesClosed
	}
}

// Release ends the lease and returns once that is recorded. Memory on the device must
// have been freed. To release again does nothing.
func (l *Lease) Release() error {
	l.once.Do(func() { l.err = l.release() })
	return l.err
}

func (l *Lease) release() error {
	answers := newAnswers()
	err := l.devices.pool.Tell(releaseDevice{Request: l.devices.requests.Add(1), Holder: l.holder, Allocation: allocationOf(l.lease), Answer: answers.add})
	if err == nil {
		select {
		case answer := <-answers:
			if m, failed := answer.(unanswered); failed {
				return errors.Join(fmt.Errorf("release %v: %s", l.lease, m.What), l.devices.forget(l.holder))
			}
			return nil
		case <-l.devices.pool.Done(): // it has ended every lease
			return nil
		}
	}
	if errors.Is(err, actor.ErrMailboxFull) { // the lease ends, if a little later
		err = l.devices.forget(l.holder)
	}
	if err = l.devices.failed(err); errors.Is(err, ErrDevicesClosed) {
		return nil
	}
	return err
}

package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reprise/actor"
	"reprise/device"
	"reprise/eventstore"
	"reprise/journal"
	"reprise/queue"
)

// devicePool is the actor that owns every device of the process: the ledgers
// that say who may use them, and the drivers that operate them. It decides who
// gets which device (queue.Plan), records the lease, and only then hands out
// the fenced driver. Holders for which there is no device now wait.
type devicePool struct {
	log     *journal.DeviceLog
	drivers map[device.ID]device.Driver
	order   []device.ID
	newID   func() string

	// guards outlive the pool's incarnations, as the fences that ask them do.
	guards map[device.ID]*device.Guard
	// queue outlives them, too.
	queue *runQueue
	// planning says that a planQueue is under way to this incarnation.
	planning bool
	// next is the timer of the next decision, if nothing happens before.
	next *actor.Timer[deviceMessage]
	// holding is the timer of a decision that waits for data to be opened.
	holding *actor.Timer[deviceMessage]
	// gathering says that a decision was made less than gatherInterval ago while runs
	// waited, and late that something has happened since. freed says that what has
	// happened is that a device has changed or was given back.
	gathering, late, freed bool

	records    map[device.ID]journal.DeviceRecord
	instances  map[device.LeaseID]*device.KernelInstance
	repository *device.MemoryRepository
	scheduler  *device.KernelScheduler
}

// planInterval is the time after which those that wait are decided about again, even
// if nothing has happened: who has to give way, and who is promoted, depends on the time,
// and whether a device is healthy is only known once it was tested.
const planInterval = 10 * time.Second

// gatherInterval is how long runs that join others in the queue may wait for a decision,
// so that many that come at once take a few. What frees a device is not delayed.
const gatherInterval = 100 * time.Millisecond

// newGuards returns a guard for each device, to be shared by all incarnations of
// a pool.
func newGuards(drivers []device.Driver) map[device.ID]*device.Guard {
	guards := map[device.ID]*device.Guard{}
	for _, d := range drivers {
		guards[d.Describe().ID()] = &device.Guard{}
	}
	return guards
}

func newDevicePool(log *journal.DeviceLog, drivers []device.Driver, guards map[device.ID]*device.Guard, queue *runQueue, newID func() string) *devicePool {
	p := &devicePool{
		log: log, drivers: map[device.ID]device.Driver{}, newID: newID,
		records: map[device.ID]journal.DeviceRecord{}, guards: guards, queue: queue,
		instances: map[device.LeaseID]*device.KernelInstance{}, repository: device.NewMemoryRepository(),
	}
	for _, d := range drivers {
		id := d.Describe().ID()
		p.drivers[id] = d
		p.order = append(p.order, id)
	}
	p.scheduler = device.NewKernelScheduler(p.repository, func() device.InstanceID { return device.InstanceID(newID()) })
	return p
}

// Started loads the devices' ledgers as recorded, and records devices that are
// new or have changed. Those that waited for an earlier incarnation still wait:
// a lease that it granted to one of them without saying so is ended.
func (p *devicePool) Started(ctx *actor.Context[deviceMessage]) error {
	for _, id := range p.order {
		record, err := p.log.Open(ctx.Context(), id)
		if err != nil {
			return err
		}
		if err := p.publish(record); err != nil {
			return err
		}
	}
	if err := p.queue.log.Open(ctx.Context()); err != nil {
		return err
	}
	for _, c := range p.queue.claims {
		if c.phase != waiting {
			continue
		}
		if err := p.releaseHolder(ctx.Context(), c.asked.Holder, "nobody was told of it"); err != nil {
			return err
		}
	}
	if err := p.describe(ctx.Context()); err != nil {
		return err
	}
	return p.planSoon(ctx)
}

// Stopped ends the leases that are left when the host is closed: of holders that
// were to be forgotten, and of those that did not stop in time. Where that fails
// too, recovery does it.
func (p *devicePool) Stopped(ctx *actor.Context[deviceMessage], cause error) {
	if cause != nil {
		return // the next incarnation picks them up
	}
	for _, id := range p.order {
		if events := p.records[id].Ledger.ReleaseAll("its host was closed"); len(events) > 0 {
			_ = p.append(ctx.Context(), id, events)
		}
	}
}

// Receive grants and ends leases. If it fails or panics, the pool starts over from
// the ledgers; the caller is told, and need not wait for the deadline.
func (p *devicePool) Receive(ctx *actor.Context[deviceMessage], message deviceMessage) error {
	if err := p.queue.late.deliver(ctx); err != nil {
		return err
	}
	switch m := message.(type) {
	case acquireDevice:
		return answering(ctx, m.Request, m.Answer, func() error { return p.acquire(ctx, m) })
	case releaseDevice:
		return answering(ctx, m.Request, m.Answer, func() error { return p.release(ctx, m) })
	case forgetHolder:
		return p.forget(ctx, m)
	case replan:
		return p.planSoon(ctx)
	case deliverLate:
	case planQueue:
		if m.of != p {
			return nil // this incarnation has planned since
		}
		switch m.due {
		case planNow:
			p.planning = false
		case planGathered:
			p.gathering = false
			if !p.late {
				return nil
			}
		case planLater:
			p.next = nil
		case planOpened:
			p.holding = nil
			return p.plan(ctx)
		}
		if p.hold(ctx) {
			return nil
		}
		return p.plan(ctx)
	}
	return nil
}

// answering does what a request asks for. If that fails or panics, it tells the
// caller so; a panic continues afterwards.
func answering(from actor.Sender, request uint64, answer answerLease, do func() error) (err error) {
	failed := errors.New("it panicked")
	defer func() {
		if failed != nil {
			err = errors.Join(err, answer(from, unanswered{Request: request, What: "the device pool failed: " + failed.Error()}))
		}
	}()
	failed = do()
	return failed
}

// acquire lets the holder wait for a device. If one is free, it will not wait long.
func (p *devicePool) acquire(self *actor.Context[deviceMessage], m acquireDevice) error {
	ctx := self.Context()
	// What an earlier incarnation of the run held is in the way of the new one.
	if err := p.releaseHolder(ctx, m.Holder, "superseded by a restart of the run"); err != nil {
		return err
	}
	if err := m.Workload.Validate(); err != nil {
		return p.refuse(self, m, err)
	}
	p.queue.enter(m)
	return p.planSoon(self)
}

// planSoon plans once the messages that are here already have been handled, so
// that many changes at a time take one decision; shortly after another decision that
// left runs waiting, a little later, unless a device may be free.
func (p *devicePool) planSoon(self *actor.Context[deviceMessage]) error {
	if p.planning || !p.queue.waits() {
		return nil
	}
	if p.gathering && !p.freed {
		p.late = true
		return nil
	}
	err := actor.Send[deviceMessage](self, self.Self(), planQueue{of: p, due: planNow})
	if errors.Is(err, actor.ErrMailboxFull) {
		return nil // each of the messages in it leads here again
	}
	p.planning = err == nil
	return err
}

// hold puts a decision off while runs that rank before those that wait open their data,
// so that not the first to have read its files is the first to train. It reports false
// where nothing is to be waited for.
func (p *devicePool) hold(self *actor.Context[deviceMessage]) bool {
	in := p.queue.opening()
	if in == 0 {
		if p.holding != nil {
			p.holding.Stop()
			p.holding = nil
		}
		return false
	}
	if p.holding == nil { // else its time is not extended
		p.holding = self.After(in, planQueue{of: p, due: planOpened})
	}
	return true
}

// plan decides about every holder that waits, and records the decision. It grants what
// is placed, and refuses what no device could take even if nobody held it, since nothing
// that happens in this host would change that. The others are told that they have to
// wait.
func (p *devicePool) plan(self *actor.Context[deviceMessage]) error {
	if !p.queue.waits() {
		return nil
	}
	ctx := self.Context()
	if err := p.examine(ctx); err != nil {
		return err
	}
	if err := p.queue.recall(ctx); err != nil {
		return err
	}
	ledgers := make([]device.Ledger, len(p.order))
	for i, id := range p.order {
		ledgers[i] = p.records[id].Ledger
	}
	snapshot := p.queue.snapshot(ledgers)
	decision := queue.Plan(&snapshot)
	if err := p.record(ctx, snapshot, decision); err != nil {
		return err
	}
	for _, placed := range decision.Placed {
		if err := p.place(self, placed); err != nil {
			return err
		}
	}
	for _, pending := range decision.Pending {
		if err := p.postpone(self, pending); err != nil {
			return err
		}
	}
	p.planAgain(self)
	return nil
}

// planAgain sees to the next decision if runs still wait after one.
func (p *devicePool) planAgain(self *actor.Context[deviceMessage]) {
	p.late, p.freed = false, false
	if p.next != nil {
		p.next.Stop()
		p.next = nil
	}
	if !p.queue.waits() {
		return
	}
	p.next = self.After(planInterval, planQueue{of: p, due: planLater})
	if !p.gathering {
		p.gathering = true
		self.After(gatherInterval, planQueue{of: p, due: planGathered})
	}
}

// record appends a decision to the log. Another worker of the same store may have
// appended one in between.
func (p *devicePool) record(ctx context.Context, snapshot queue.Snapshot, decision queue.Decision) error {
	err := p.queue.log.Record(ctx, snapshot, decision)
	if !errors.Is(err, eventstore.ErrConcurrencyConflict) {
		return err
	}
	if err := p.queue.log.Open(ctx); err != nil {
		return err
	}
	return p.queue.log.Record(ctx, snapshot, decision)
}

// place grants a holder the device that it was placed on.
func (p *devicePool) place(self *actor.Context[deviceMessage], placed queue.Placement) error {
	c := p.queue.claims[placed.Job]
	if len(placed.Preempt) > 0 {
		return p.preempt(self, placed)
	}
	m := c.asked
	lease, err := p.grant(self.Context(), m, placed.On[0])
	if errors.Is(err, device.ErrNoSuitableDevice) || errors.Is(err, device.ErrInvalid) {
		return p.refuse(self, m, err)
	}
	if err != nil {
		return err
	}
	guard := p.guards[lease.Device]
	fenced := device.Fence(p.drivers[lease.Device], func() error { return guard.Check(lease) })
	if err := m.Answer(self, leaseGranted{Request: m.Request, Lease: lease, Backend: fenced}); err != nil {
		return err
	}
	if m.Holder.Kind != device.HolderRun { // it cannot give way: what it holds is not the queue's to divide
		p.queue.leave(placed.Job)
		return nil
	}
	p.queue.turn(c, running, p.queue.clock())
	c.lease, c.yielding = lease.ID, false
	return nil
}

// preempt asks the runs that have to give way to a holder to do so, once. It is placed
// when they have given back their devices.
func (p *devicePool) preempt(self *actor.Context[deviceMessage], placed queue.Placement) error {
	to := p.queue.claims[placed.Job]
	for _, id := range placed.Preempt {
		c := p.queue.claims[id]
		if c == nil || c.yielding {
			continue
		}
		if err := c.asked.Answer(self, giveWay{To: to.asked.Holder, Lease: c.lease}); err != nil {
			return err
		}
		c.yielding = true
	}
	return p.tellToWait(self, to, "runs that have to give way write their checkpoints first")
}

// tellToWait tells a holder, once, that it has to wait, and why.
func (p *devicePool) tellToWait(self *actor.Context[deviceMessage], c *claim, why string) error {
	if c.told {
		return nil
	}
	c.told = true
	return c.asked.Answer(self, leaseDeferred{Request: c.asked.Request, Why: why})
}

// postpone tells a holder that it has to wait, once, or that waiting is in vain.
func (p *devicePool) postpone(self *actor.Context[deviceMessage], pending queue.Pending) error {
	c := p.queue.claims[pending.Job]
	lacksLabel := slices.ContainsFunc(pending.Reasons, func(r queue.Reason) bool { return r.Code == queue.Code(queue.ReasonMissingLabel) })
	if code := pending.Reasons[0].Code; !lacksLabel && (code == queue.CodeTooLarge || code == queue.CodeUnfit) { // a device can be given labels
		if _, err := p.scheduler.Schedule(c.asked.Workload, device.SchedulingPreferences{}); err != nil {
			return p.refuse(self, c.asked, err)
		}
	}
	return p.tellToWait(self, c, pending.Reasons[0].Message)
}

// refuse ends a holder's wait without a device.
func (p *devicePool) refuse(self *actor.Context[deviceMessage], m acquireDevice, err error) error {
	p.queue.leave(jobOf(m.Holder))
	return m.Answer(self, leaseRefused{Request: m.Request, Err: err})
}

// examine tests the devices and records their condition. It runs before every
// lease is granted: a device that computes wrong bits must not be handed out.
func (p *devicePool) examine(ctx context.Context) error {
	for _, id := range p.order {
		_ = p.drivers[id].SelfTest() // kept as the health
	}
	return p.describe(ctx)
}

// describe records the devices as they are now. One that has become unhealthy
// loses the leases that are in force, and their holders are refused from then on;
// how much memory is free is asked of a device that nobody uses.
func (p *devicePool) describe(ctx context.Context) error {
	for _, id := range p.order {
		now := p.drivers[id].Describe()
		ledger := p.records[id].Ledger
		var events []device.Event
		var err error
		if len(ledger.Leases()) == 0 {
			events, err = ledger.Register(now)
		} else {
			events, err = ledger.SetHealth(now.Health())
		}
		if err != nil {
			return err
		}
		if err := p.append(ctx, id, events); err != nil {
			return err
		}
	}
	return nil
}

func (p *devicePool) releaseHolder(ctx context.Context, holder device.Holder, reason string) error {
	for _, id := range p.order {
		if err := p.append(ctx, id, p.records[id].Ledger.ReleaseHolder(holder.String(), reason)); err != nil {
			return err
		}
	}
	return nil
}

// forget ends what a holder that is gone still holds. Where that fails, the next
// incarnation tries again: nobody else would.
func (p *devicePool) forget(ctx *actor.Context[deviceMessage], m forgetHolder) error {
	p.queue.leave(jobOf(m.Holder))
	gone := "its holder no longer waits for it"
	if m.Holder.Kind == device.HolderRun {
		gone = "its run is at rest"
	}
	err := p.releaseHolder(ctx.Context(), m.Holder, gone)
	if err == nil {
		return p.planSoon(ctx)
	}
	return errors.Join(err, ctx.Self().Tell(m))
}

// grant records a lease of the device for the workload.
func (p *devicePool) grant(ctx context.Context, m acquireDevice, on device.ID) (device.Lease, error) {
	instance, err := p.scheduler.Schedule(m.Workload, device.SchedulingPreferences{Policy: device.PolicyNamed, Device: on})
	if err != nil {
		return device.Lease{}, err
	}
	if err := instance.Launch(); err != nil {
		return device.Lease{}, err
	}
	id := instance.Device().ID()
	leaseID := device.LeaseID(p.newID())
	events, err := p.records[id].Ledger.Acquire(m.Holder.String(), leaseID, m.Workload)
	if err != nil {
		return device.Lease{}, err
	}
	if err := p.append(ctx, id, events); err != nil {
		return device.Lease{}, err
	}
	if err := instance.Start(); err != nil {
		return device.Lease{}, err
	}
	p.instances[leaseID] = &instance
	leases := p.records[id].Ledger.Leases()
	return leases[len(leases)-1], nil
}

func (p *devicePool) release(self *actor.Context[deviceMessage], m releaseDevice) error {
	ctx := self.Context()
	id := m.Allocation.Device
	record, ok := p.records[id]
	if !ok {
		return fmt.Errorf("release of device %s, which this process does not have", id)
	}
	for _, lease := range record.Ledger.Leases() {
		if lease.ID != m.Allocation.Lease || lease.Epoch != m.Allocation.Epoch {
			continue
		}
		events, err := record.Ledger.Release(lease, givenBack+string(m.Holder.Kind))
		if err != nil {
			return err
		}
		if err := p.append(ctx, id, events); err != nil {
			return err
		}
	}
	if c := p.queue.claims[jobOf(m.Holder)]; c != nil && c.phase == running {
		p.queue.turn(c, idle, p.queue.clock())
	}
	if err := m.Answer(self, leaseReleased{Request: m.Request, Allocation: m.Allocation}); err != nil {
		return err
	}
	return p.planSoon(self)
}

// append records events of a device and makes the new state known.
func (p *devicePool) append(ctx context.Context, id device.ID, events []device.Event) error {
	next, err := p.log.Append(context.WithoutCancel(ctx), p.records[id], events...)
	if err != nil {
		return err
	}
	p.freed = p.freed || len(events) > 0
	for _, e := range events {
		if released, ok := e.(device.Released); ok {
			if err := p.end(released); err != nil {
				return err
			}
		}
	}
	return p.publish(next)
}

// givenBack begins why a lease ends whose holder needs it no longer.
const givenBack = "given back by the "

// end ends the work under a lease that has ended.
func (p *devicePool) end(e device.Released) error {
	instance, ok := p.instances[e.Lease.ID]
	if !ok {
		return nil // an earlier incarnation granted it
	}
	delete(p.instances, e.Lease.ID)
	if strings.HasPrefix(e.Reason, givenBack) {
		return instance.Complete()
	}
	return instance.Cancel(e.Reason)
}

// publish makes the record the one that leases are checked against and that
// the scheduler sees.
func (p *devicePool) publish(r journal.DeviceRecord) error {
	p.records[r.ID] = r
	p.guards[r.ID].Publish(r.Ledger)
	if r.Ledger.Device().ID() == "" {
		return nil // not registered yet
	}
	return p.repository.Save(r.Ledger.Device())
}

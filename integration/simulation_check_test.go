package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"

	"reprise/datadir"
	"reprise/device"
	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/journal"
	"reprise/training"
)

// runFacts is what the events of a run say, by independent rules.
type runFacts struct {
	outcome training.State // Interrupted, Completed, Failed; "" while it is under way
	failing bool           // it compensates
	devices []training.Allocation
	data    []training.DatasetID
	epoch   uint64 // of the last checkpoint
	step    uint64
}

func (f runFacts) ended() bool { return f.outcome.Terminal() }

func (f runFacts) empty() bool { return len(f.devices) == 0 && len(f.data) == 0 }

// observeRun folds an event and checks it against what came before.
func (h *history) observeRun(r *simRun, event training.Event) {
	id, f := r.id, &r.state
	if f.ended() {
		if !isReleaseEvent(event) {
			h.violate("%s in %s, which is %s", event.EventType(), id, f.outcome)
		}
	}
	if _, last := event.(training.RunFailed); f.failing && !last && !isReleaseEvent(event) {
		h.violate("%s in %s, which has to compensate", event.EventType(), id)
	}
	switch e := event.(type) {
	case training.TrainingStarted:
		r.started = true
		f.epoch, f.step = e.Parent.Epoch(), e.Parent.Step()
		h.count("runs started")
	case training.ResourceAllocated:
		f.devices = append(f.devices, e.Allocation)
	case training.DeviceReleased:
		held := func(l device.Lease) bool { return l.ID == e.Lease && l.Epoch == e.Epoch }
		if l := h.ledgers[e.Device]; l != nil && slices.ContainsFunc(l.leases, held) {
			h.violate("%s has released %s on record, but still holds it", id, e.Device)
		}
		f.devices = slices.DeleteFunc(f.devices, func(a training.Allocation) bool { return a == e.Allocation })
	case training.DatasetLoaded:
		f.data = append(f.data, e.Dataset)
		if p := h.process; p.cacheIsEmpty && !p.opened {
			h.violate("%s was given a data set that had been kept although nobody used it", id)
		}
		h.process.cacheIsEmpty = false
	case training.DatasetUnloaded:
		f.data = slices.DeleteFunc(f.data, func(d training.DatasetID) bool { return d == e.Dataset })
		if p := h.process; p.launched == 1 { // nobody else can be a user of it
			p.cacheIsEmpty, p.opened = true, false
		}
	case training.ModelInitialized:
		if e.Step != f.step {
			h.violate("%s resumes from step %d, its last checkpoint is at step %d", id, e.Step, f.step)
		}
	case training.EpochReproduced:
		h.count("epochs reproduced")
	case training.EvaluationCompleted:
		h.count("evaluations within epochs")
	case training.EarlyStopped:
		h.count("runs stopped early")
	case training.CheckpointCommitted:
		h.count("checkpoints")
		if e.Epoch < f.epoch || e.Step <= f.step {
			h.violate("%s has a checkpoint of epoch %d, step %d after one of epoch %d, step %d", id, e.Epoch, e.Step, f.epoch, f.step)
		}
		f.epoch, f.step = e.Epoch, e.Step
		h.checkDurable(id, e.Checkpoint)
	case training.CheckpointFailed:
		h.count("checkpoints failed")
		f.outcome = training.Interrupted
	case training.TrainingInterrupted:
		h.count("interruptions")
		if strings.HasPrefix(e.Cause, "gave way") {
			h.count("runs that gave way")
		}
		f.outcome = training.Interrupted
	case training.TrainingResumed:
		f.outcome = ""
	case training.ResourceAllocationFailed, training.DatasetLoadFailed, training.ModelInitializationFailed, training.TrainingFailed:
		f.failing, f.outcome = true, ""
		h.checkPermanent(r, event)
	case training.TrainingCompleted:
		h.count("runs completed")
		if r.record.Session.Parent != nil {
			h.count("forks completed")
		}
		f.outcome = training.Completed
	case training.RunFailed:
		h.count("runs failed")
		if !f.failing || !f.empty() {
			h.violate("%s has failed (compensating: %v) but holds %v and %v", id, f.failing, f.devices, f.data)
		}
		f.outcome = training.Failed
	}
	if f.failing && isReleaseEvent(event) {
		h.count("compensation steps")
	}
}

// checkPermanent fails if a run fails for a condition that may pass; what is
// permanent is divergence, or as many panics as its host allows.
func (h *history) checkPermanent(r *simRun, event training.Event) {
	seed := r.record.Session.Hyperparameters.Seed
	if diverges(seed) == 0 && r.panics <= h.restarts.Restarts {
		h.violate("%s fails, but nothing permanent has happened: %s%s", r.id, event.EventType(), details(event))
	}
}

func isReleaseEvent(event training.Event) bool {
	switch event.(type) {
	case training.DeviceReleased, training.DatasetUnloaded:
		return true
	}
	return false
}

// checkDurable fails if an event says that a checkpoint exists, but a loss of
// power could still undo it.
func (h *history) checkDurable(id training.RunID, cp training.Checkpoint) {
	w := datadir.Workspace{Dir: "/data"}
	folder := path.Join(w.CheckpointsDir(id), cp.Dir)
	files := []string{w.SeriesPath(id)}
	for _, name := range []string{"model.safetensors", "optimizer.safetensors", "manifest.json"} {
		files = append(files, path.Join(folder, name))
	}
	for _, file := range files {
		n := h.disk.root
		for part := range pathParts(file) {
			if n = n.onDisk[part]; n == nil {
				h.violate("the checkpoint at step %d of %s is on record, but the name %s in %s is not on the disk", cp.Step, id, part, file)
				return
			}
		}
		if len(n.pending) > 0 || !bytes.Equal(n.synced, n.content) {
			h.violate("the checkpoint at step %d of %s is on record, but %s is not on the disk", cp.Step, id, file)
		}
	}
}

func pathParts(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(name, "/") {
			if len(part) > 0 && !yield(part) {
				return
			}
		}
	}
}

// checkUse fails if a device works for a holder whose lease is not in force.
func (h *history) checkUse(id device.ID) {
	use := h.caller
	if use == nil || h.dirty[id] || h.ledgers[id].holds(use.lease) {
		return
	}
	h.violate("%s worked for %s under %v, which is not in force", id, use.run, use.lease)
}

// checkRecovery checks what a process begins with.
func (h *history) checkRecovery(recovery Recovery, before []device.Lease) {
	if len(recovery.Interrupted)+len(recovery.Failed) > 0 {
		h.count("recoveries")
	}
	h.counts["leases recovered"] += recovery.Leases
	if h.orderly && len(recovery.Interrupted)+len(recovery.Failed)+recovery.Leases > 0 {
		h.violate("a host was closed properly, but %+v had to be recovered", recovery)
	}
	h.orderly = false
	if recovery.Leases != len(before) {
		h.violate("%d leases were recovered, %v had been in force", recovery.Leases, before)
	}
	if held := h.leases(); len(held) > 0 {
		h.violate("after recovery %v are in force", held)
	}
	h.checkJobs("after recovery")
	for _, r := range h.runs {
		if r.started && !r.queued() && (r.state.outcome == "" || !r.state.empty()) {
			h.violate("after recovery %s is %q and holds %v and %v", r.id, r.state.outcome, r.state.devices, r.state.data)
		}
	}
}

// checkRest checks a run that its host says is at rest.
func (h *history) checkRest(p *process, f *simFollow) {
	if p.dead {
		return
	}
	if err := f.run.err; err != nil {
		h.log("%s was left: %v", f.id, err)
		h.count("runs left to recovery")
		p.left = true
		if errors.Is(err, ErrHostClosed) && !h.now.After(p.deadline) {
			h.violate("the host that is being closed did not wait for %s", f.id)
		}
		if p.calm {
			h.violate("without faults, %s did not come to rest: %v", f.id, err)
		}
		return
	}
	live := &f.run.record
	h.log("%s is at rest: %s", f.id, live.Session.State)
	r := h.run(f.id)
	facts := r.state
	if facts.outcome != live.Session.State || !facts.empty() {
		h.violate("%s is at rest as %s; its events say %s, holding %v and %v", f.id, live.Session.State, facts.outcome, facts.devices, facts.data)
	}
	h.sameRecord(live, &r.record)
}

// sameRecord fails unless a record is what the run's events add up to.
func (h *history) sameRecord(got, want *journal.RunRecord) {
	if reflect.DeepEqual(got, want) {
		return
	}
	a, errA := json.Marshal(got)
	b, errB := json.Marshal(want)
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
		h.violate("the record of %s is %s, event by event it is %s (%v)", want.ID, a, b, err)
	}
}

// checkIdle checks a process in which nobody has anything to do.
func (h *history) checkIdle(p *process) {
	if p.store.broken || p.dead || len(h.dirty) > 0 {
		return
	}
	for _, lease := range h.leases() {
		if !slices.ContainsFunc(p.follows, func(f *simFollow) bool { return journal.HolderOf(f.id) == lease.Holder }) {
			h.violate("%v is in force, but its holder is at rest", lease)
		}
	}
	if len(p.follows) > 0 {
		return
	}
	p.cacheIsEmpty, p.opened = true, false
	for _, d := range h.devices {
		if len(d.allocated) > 0 {
			h.violate("%d allocations are left on %s, but every run is at rest", len(d.allocated), d.id)
		}
	}
}

// checkClosed checks what a closed host leaves, and its error.
func (h *history) checkClosed(p *process, err error) {
	if len(p.follows) > 0 {
		h.violate("the host is closed, but nobody knows what became of %s", p.follows[0].id)
	}
	if p.calm && err != nil {
		h.violate("without faults, the host could not be closed: %v", err)
	}
	if err != nil || p.store.failed {
		return // the device pool may have been about to restart
	}
	if held := h.leases(); len(held) > 0 {
		h.violate("the host is closed, but %v are in force", held)
	}
	if p.left {
		return
	}
	h.checkIdle(p)
	for _, r := range h.runs {
		if r.started && !r.queued() && (r.state.outcome == "" || !r.state.empty()) {
			h.violate("the host is closed, but %s is %q and holds %v and %v", r.id, r.state.outcome, r.state.devices, r.state.data)
		}
	}
	h.checkJobs("the host is closed, but")
	kept, err := journal.ProjectionStatuses(context.Background(), h.store)
	for _, s := range kept {
		if s.Lag > 0 {
			h.violate("the host is closed, but the projection %s is %d events behind", s.Name, s.Lag)
		}
	}
	if err != nil {
		h.violate("%v", err)
	}
	h.orderly = true
}

// checkEnd checks what is left when every run has ended.
func (h *history) checkEnd() {
	ctx := context.Background()
	h.process = nil
	if _, err := journal.VerifyLog(ctx, h.store); err != nil {
		h.violate("%v", err)
	}
	timeline := journal.NewTimelineOf(h.logs(HostConfig{}))
	if _, err := eventstore.Walk(ctx, h.store, 0, eventstore.End, timeline.Apply); err != nil {
		h.violate("%v", err)
		return
	}
	end := timeline.State()
	for _, d := range end.Devices {
		if held := d.Ledger.Leases(); len(held) > 0 || len(h.ledgers[d.ID].leases) > 0 || h.ledgers[d.ID].epoch != d.Ledger.Epoch() {
			h.violate("in the end %s is held by %v", d.ID, held)
		}
	}
	h.disk.root.losePower(h.random)
	started := 0
	for _, r := range h.runs {
		if r.started {
			started++
		}
	}
	if len(end.Runs) != started || started < len(h.runs) && !h.submits {
		h.violate("in the end there are %d runs, but %d of %d were started", len(end.Runs), started, len(h.runs))
	}
	for _, j := range end.Jobs {
		if !j.Job.State().Ended() {
			h.violate("in the end job %s is %s", j.Job.ID(), j.Job.State())
		}
	}
	for i := range end.Runs {
		record := &end.Runs[i]
		r := h.run(record.ID)
		h.sameRecord(record, &r.record)
		if record.Session.State != r.state.outcome || !r.state.empty() {
			h.violate("in the end %s is %s, its events say %+v", r.id, record.Session.State, r.state)
		}
		h.checkOutcome(*record)
	}
}

// checkOutcome compares the outcome of a run with that of the same training
// undisturbed, and its files with its events.
func (h *history) checkOutcome(r journal.RunRecord) {
	w := datadir.Workspace{Dir: "/data", Disk: h.disk}
	for i, cp := range r.Checkpoints {
		if err := w.Checkpoints(r.ID).Verify(cp.Ref()); err != nil {
			h.violate("%v", err)
		}
		if i == len(r.Checkpoints)-1 {
			if err := w.Series(r.ID).Verify(stepseries.Digest{Records: cp.Step, SHA256: cp.SeriesSHA256}); err != nil {
				h.violate("%v", err)
			}
		}
	}
	if r.Session.State != training.Completed {
		return
	}
	want, err := h.undisturbed(r.Session)
	if err != nil {
		h.violate("undisturbed, %s fails: %v", r.ID, err)
		return
	}
	last, _ := r.LastCheckpoint()
	if last.WeightsSHA256 != want.weights || !reflect.DeepEqual(r.Metrics, want.metrics) {
		h.violate("%s ended with %s and %+v, undisturbed it ends with %s and %+v", r.ID, last.WeightsSHA256, r.Metrics, want.weights, want.metrics)
	}
}

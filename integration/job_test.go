package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reprise/dataset"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/journal"
	"reprise/queue"
	"reprise/training"
)

// jobRequest is what the jobs of these tests ask for.
type jobRequest struct {
	Seed   uint64 `json:"seed"`
	Epochs uint64 `json:"epochs,omitempty"`
}

func (r jobRequest) change(h *training.Hyperparameters) {
	h.Seed, h.BatchSize, h.Epochs = r.Seed, 128, max(1, r.Epochs)
}

// job returns the submission of a request.
func (r jobRequest) job(id queue.JobID) queue.Submit {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return queue.Submit{Job: id, Submission: queue.Submission{Request: text}}
}

// prepare is HostConfig.Prepare.
func (w *world) prepare(_ context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
	var r jobRequest
	if err := json.Unmarshal(s.Request, &r); err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	return w.requestOf(string(id), r.change), nil
}

// jobHost starts a process that takes jobs.
func (w *world) jobHost(change func(*HostConfig)) *Host {
	w.t.Helper()
	h, _, _ := w.host(func(c *HostConfig) {
		c.Prepare = w.prepare
		if change != nil {
			change(c)
		}
	})
	return h
}

func (w *world) submit(h *Host, submits ...queue.Submit) []queue.JobID {
	w.t.Helper()
	ids, err := h.Submit(context.Background(), submits...)
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// ended waits until a job has ended or is paused, and fails if it is not in that state.
func (w *world) ended(h *Host, id queue.JobID, want queue.State) queue.Job {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	j, err := h.WaitJob(ctx, id)
	if err != nil {
		w.t.Fatalf("job %s: %v", id, err)
	}
	if j.State() != want {
		w.t.Fatalf("job %s is %s (%+v), want %s", id, j.State(), j.Cause(), want)
	}
	return j
}

// until waits until the job is in a state.
func (w *world) until(h *Host, id queue.JobID, want queue.State) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		j, err := h.Job(ctx, id)
		if err != nil {
			w.t.Fatalf("waiting until job %s is %s: %v", id, want, err)
		}
		if j.State() == want {
			return
		}
		changed, err := h.jobs.watch(id)
		if err != nil || changed == nil {
			w.t.Fatalf("job %s is %s, and will not be %s: %v", id, j.State(), want, err)
		}
		if j, err := h.Job(ctx, id); err == nil && j.State() == want { // it changed in between
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// record returns the run of a job.
func (w *world) record(id queue.JobID) journal.RunRecord {
	w.t.Helper()
	r, err := journal.NewRunLog(w.store, time.Now).Load(context.Background(), training.RunID(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// nothingLeft fails if a device is held, or the log contradicts itself.
func (w *world) nothingLeft() {
	w.t.Helper()
	state, err := journal.StateAt(context.Background(), w.store, eventstore.End)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range state.Devices {
		if leases := d.Ledger.Leases(); len(leases) > 0 {
			w.t.Errorf("device %s is still held: %v", d.ID, leases)
		}
	}
	if _, err := journal.VerifyLog(context.Background(), w.store); err != nil {
		w.t.Error(err)
	}
}

// stepGate holds up a run at a step.
type stepGate struct{ reached, open chan struct{} }

func newStepGate(c *HostConfig, id queue.JobID, step uint64) *stepGate {
	g := &stepGate{make(chan struct{}), make(chan struct{})}
	var once atomic.Bool
	before := c.Fault
	c.Fault = func(run training.RunID, at uint64) {
		if before != nil {
			before(run, at)
		}
		if queue.JobID(run) == id && at == step && !once.Swap(true) {
			close(g.reached)
			<-g.open
		}
	}
	return g
}

// jobNews records what an observer is told of jobs.
type jobNews struct {
	noObserver
	mu  sync.Mutex
	got []string
}

func (n *jobNews) JobRecorded(_ training.RunID, e queue.JobEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, strings.TrimSuffix(strings.TrimPrefix(e.EventType(), "queue.job_"), ".v1"))
}

func TestAJobIsPreparedQueuedAndTrained(t *testing.T) {
	r := jobRequest{Seed: 1, Epochs: 2}
	want := reference(t, r.change)
	w := newWorld(t)
	var news jobNews
	h := w.jobHost(func(c *HostConfig) { c.Observer = &news })
	ids := w.submit(h, r.job(""))
	job := w.ended(h, ids[0], queue.StateCompleted)
	if estimate, ok := job.Estimate(); !ok || estimate.Steps == 0 || estimate.Memory.Size == 0 || estimate.Fingerprint != w.data.Fingerprint() {
		t.Errorf("its estimate is %+v", estimate)
	}
	closeHost(t, h)
	sameOutcome(t, w.record(ids[0]), want)
	if s := strings.Join(news.got, " "); s != "submitted preparing prepared placed started completed" {
		t.Errorf("news of the job: %s", s)
	}
	w.nothingLeft()
}

// A slow data set neither delays another job nor holds a device, before a job is prepared
// and after.
func TestASlowDataSetDelaysNoOtherJobAndHoldsNoDevice(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	h := w.jobHost(func(c *HostConfig) {
		c.Preparations = 2
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			if strings.HasPrefix(string(id), "slow") {
				<-release
			}
			return w.prepare(ctx, id, s)
		}
		open := c.OpenDataset
		c.OpenDataset = func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error) {
			if d.Path == "slow" {
				<-release
			}
			return open(ctx, d)
		}
	})
	w.submit(h, jobRequest{Seed: 1}.job("slow1"), jobRequest{Seed: 1}.job("slow2"), jobRequest{Seed: 1}.job("slow3"))
	events := w.requestOf("opening", jobRequest{Seed: 1}.change)
	started := events[0].(training.TrainingStarted)
	started.Dataset.Path, started.Dataset.ID = "slow", "slow"
	if _, err := h.SubmitPrepared(t.Context(), jobRequest{Seed: 1}.job("opening"), []training.Event{started}); err != nil {
		t.Fatal(err)
	}
	w.submit(h, jobRequest{Seed: 2}.job("fast"))
	w.ended(h, "fast", queue.StateCompleted)
	for _, id := range []queue.JobID{"slow1", "slow2", "opening"} {
		if j, err := h.Job(t.Context(), id); err != nil || j.State().HasDevices() || j.State().Ended() {
			t.Errorf("job %s is %s, %v", id, j.State(), err)
		}
	}
	close(release)
	for _, id := range []queue.JobID{"slow1", "slow2", "slow3", "opening"} {
		w.ended(h, id, queue.StateCompleted)
	}
	closeHost(t, h)
	w.nothingLeft()
}

// What may pass is waited for; what cannot, rejects the job with the whole message.
func TestAFailureToPrepareIsWaitedForIfItMayPass(t *testing.T) {
	w := newWorld(t)
	var full, far atomic.Int64
	h := w.jobHost(func(c *HostConfig) {
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			switch {
			case id == "bad":
				return nil, errors.Join(fault.New(fault.Invalid, "one problem"), fault.New(fault.Invalid, "another"))
			case id == "full" && full.Add(1) == 1:
				return nil, fmt.Errorf("open: %w", syscall.ENOSPC)
			case id == "far" && far.Add(1) <= 2:
				return nil, fault.New(fault.Unavailable, "the network is down")
			}
			return w.prepare(ctx, id, s)
		}
	})
	w.submit(h, jobRequest{}.job("bad"), jobRequest{Seed: 1}.job("full"))
	if c := w.ended(h, "bad", queue.StateRejected).Cause(); c.Code != "invalid" || c.Message != "one problem; another" {
		t.Errorf("%+v", c)
	}
	w.ended(h, "full", queue.StateCompleted)
	w.submit(h, jobRequest{Seed: 1}.job("far"))
	w.ended(h, "far", queue.StateCompleted)
	closeHost(t, h)
	var delays []time.Duration
	log := journal.NewJobLog(w.store, time.Now)
	if _, err := eventstore.Walk(t.Context(), w.store, 0, eventstore.End, func(e eventstore.Event) error {
		event, err := journal.EventOf(e)
		if d, ok := event.(queue.JobDeferred); ok && e.Aggregate == "job/far" {
			delays = append(delays, d.RetryAfter)
			if d.Code != "unavailable" || d.Message != "the network is down" {
				t.Errorf("%+v", d)
			}
		}
		return err
	}); err != nil || len(delays) != 2 || delays[0] != firstRetry || delays[1] != 2*firstRetry {
		t.Errorf("it waited %v, %v", delays, err)
	}
	if _, err := log.Load(t.Context(), "far"); err != nil {
		t.Error(err)
	}
	w.nothingLeft()
}

func TestAJobThatCanNeverRunIsRefused(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(func(c *HostConfig) {
		c.Limits = &queue.Limits{Waiting: 2}
		c.Prepare = func(ctx context.Context, _ queue.JobID, _ queue.Submission) ([]training.Event, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	defer closeHost(t, h)
	with := func(change func(*queue.Submission)) queue.Submit {
		s := jobRequest{}.job("")
		change(&s.Submission)
		return s
	}
	for _, c := range []struct {
		submit queue.Submit
		kind   fault.Kind
		names  string
	}{
		{with(func(s *queue.Submission) { s.Devices = 2 }), fault.Invalid, "config.devices"},
		{with(func(s *queue.Submission) { s.Labels = []string{"a100"} }), fault.Invalid, "job.labels"},
		{with(func(s *queue.Submission) { s.Priority = 5000 }), fault.Invalid, "job.priority"},
		{with(func(s *queue.Submission) { s.After = []queue.JobID{"nobody"} }), fault.NotFound, "job.after"},
		{queue.Submit{Job: "../x", Submission: jobRequest{}.job("").Submission}, fault.Invalid, "run_id"},
	} {
		if _, err := h.Submit(t.Context(), c.submit); fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%+v: %v (%v)", c.submit, err, fault.KindOf(err))
		}
	}
	if _, err := h.Submit(t.Context(), jobRequest{}.job("a"), with(func(s *queue.Submission) { s.Devices = 2 })); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	if _, err := h.Job(t.Context(), "a"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a job was recorded whose neighbour was refused: %v", err)
	}
	w.submit(h, jobRequest{}.job("a"), jobRequest{}.job("b"))
	if _, err := h.Submit(t.Context(), jobRequest{}.job("c")); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("a third job of two that may wait: %v", err)
	}
	if _, err := h.Submit(t.Context(), jobRequest{}.job("a")); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second job of the same name: %v", err)
	}
}

// A job can be cancelled and paused in every state, and frees its device.
func TestAJobIsCancelledAndPausedInEveryState(t *testing.T) {
	r := jobRequest{Seed: 3, Epochs: 3}
	want := reference(t, r.change)
	for _, pause := range []bool{false, true} {
		for _, state := range []queue.State{queue.StateSubmitted, queue.StatePreparing, queue.StateQueued, queue.StateRunning} {
			t.Run(fmt.Sprintf("pause=%v/%s", pause, state), func(t *testing.T) {
				w := newWorld(t)
				opened := make(chan struct{})
				var running *stepGate
				h := w.jobHost(func(c *HostConfig) {
					c.Preparations = 1
					running = newStepGate(c, "other", 5)
					if state == queue.StateRunning {
						running = newStepGate(c, "it", 5)
					}
					c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
						preparing := state == queue.StateSubmitted && id == "other" || state == queue.StatePreparing && id == "it"
						if preparing {
							select {
							case <-opened:
							case <-ctx.Done():
								return nil, ctx.Err()
							}
						}
						return w.prepare(ctx, id, s)
					}
				})
				if state == queue.StateSubmitted || state == queue.StateQueued {
					w.submit(h, jobRequest{Seed: 1}.job("other"))
				}
				if state == queue.StateQueued {
					<-running.reached
				}
				w.submit(h, r.job("it"))
				w.until(h, "it", state)
				if state == queue.StateRunning {
					<-running.reached
				}
				do, to := h.Cancel, queue.StateCancelled
				if pause {
					do, to = h.Pause, queue.StatePaused
				}
				for range 2 { // it may be asked twice
					if err := do(t.Context(), Target{Job: "it"}, "enough"); err != nil {
						t.Fatal(err)
					}
				}
				if state == queue.StateRunning {
					close(running.open)
				}
				job := w.ended(h, "it", to)
				if state == queue.StateRunning {
					if r := w.record("it"); len(r.Checkpoints) == 0 || r.Session.State != training.Interrupted {
						t.Errorf("its run is %s with %d checkpoints", r.Session.State, len(r.Checkpoints))
					}
				}
				if !pause {
					if job.Cause() != (queue.Cause{Code: queue.CauseUser, Message: "enough"}) {
						t.Errorf("%+v", job.Cause())
					}
					if err := h.Pause(t.Context(), Target{Job: "it"}, ""); fault.KindOf(err) != fault.Conflict {
						t.Errorf("pausing it: %v", err)
					}
					if err := h.Resume(t.Context(), "it"); fault.KindOf(err) != fault.Conflict {
						t.Errorf("resuming it: %v", err)
					}
				}
				close(opened)
				if state != queue.StateRunning {
					close(running.open)
				}
				if pause {
					if err := h.Unpause(t.Context(), Target{Job: "it"}); err != nil {
						t.Fatal(err)
					}
					w.ended(h, "it", queue.StateCompleted)
					sameOutcome(t, w.record("it"), want)
				}
				if state == queue.StateSubmitted || state == queue.StateQueued {
					w.ended(h, "other", queue.StateCompleted)
				}
				closeHost(t, h)
				w.nothingLeft()
			})
		}
	}
}

// A job runs after others only once they have completed, and not if they have not.
func TestAJobRunsAfterOthers(t *testing.T) {
	w := newWorld(t)
	var first *stepGate
	h := w.jobHost(func(c *HostConfig) { first = newStepGate(c, "a", 5) })
	after := func(id queue.JobID, others ...queue.JobID) queue.Submit {
		s := jobRequest{Seed: 2}.job(id)
		s.After = others
		return s
	}
	w.submit(h, jobRequest{Seed: 1}.job("a"))
	<-first.reached
	w.submit(h, jobRequest{Seed: 1}.job("x"), after("b", "a"), after("c", "b"), after("d", "a", "x"), after("e", "d"))
	w.until(h, "b", queue.StateQueued)
	if err := h.Cancel(t.Context(), Target{Job: "x"}, "no"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []queue.JobID{"d", "e"} { // transitively
		if j := w.ended(h, id, queue.StateCancelled); j.Cause().Code != queue.CausePredecessor {
			t.Errorf("%+v", j.Cause())
		}
	}
	close(first.open)
	w.ended(h, "c", queue.StateCompleted)
	at := func(id queue.JobID) eventstore.Position { return w.record(id).Position }
	if at("a") > at("b") || at("b") > at("c") {
		t.Errorf("they ended at %d, %d and %d", at("a"), at("b"), at("c"))
	}
	// The predecessor may have ended before.
	w.submit(h, after("f", "c"))
	w.ended(h, "f", queue.StateCompleted)
	if _, err := h.Submit(t.Context(), after("g", "c", "d")); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `job.after: d is cancelled`) {
		t.Errorf("a job after one that was cancelled: %v", err)
	}
	closeHost(t, h)
	w.nothingLeft()
}

func TestAGroupIsRetriedTogether(t *testing.T) {
	r := jobRequest{Seed: 1}
	want := reference(t, r.change)
	w := newWorld(t)
	var first *stepGate
	h := w.jobHost(func(c *HostConfig) { first = newStepGate(c, "a", 5) })
	member := func(id queue.JobID, after ...queue.JobID) queue.Submit {
		s := r.job(id)
		s.Group, s.After = "sweep", after
		return s
	}
	done := r.job("done")
	done.Group = "done"
	w.submit(h, done)
	w.ended(h, "done", queue.StateCompleted)
	w.submit(h, member("a"))
	<-first.reached
	w.submit(h, member("b"), member("c", "b"))
	members := func(command func(Target) error) {
		t.Helper()
		for _, id := range []queue.JobID{"a", "b", "c"} {
			if err := command(Target{Job: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	members(func(of Target) error { return h.Pause(t.Context(), of, "") })
	close(first.open)
	for _, id := range []queue.JobID{"a", "b", "c"} {
		w.ended(h, id, queue.StatePaused)
	}
	members(func(of Target) error { return h.SetPriority(t.Context(), of, 7) })
	if err := h.Unpause(t.Context(), Target{Job: "a"}); err != nil {
		t.Fatal(err)
	}
	if j := w.ended(h, "a", queue.StateCompleted); j.Priority() != 7 {
		t.Errorf("its priority is %d", j.Priority())
	}
	if err := h.Cancel(t.Context(), Target{Job: "a"}, ""); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a job that has completed is cancelled: %v", err)
	}
	if err := errors.Join(h.Cancel(t.Context(), Target{Job: "b"}, "all of it"), h.Cancel(t.Context(), Target{Job: "c"}, "all of it")); err != nil {
		t.Fatal(err)
	}
	w.ended(h, "c", queue.StateCancelled)
	// A member that is to run after a job which was cancelled is left, and so is what follows it.
	w.submit(h, jobRequest{Seed: 1, Epochs: 100_000}.job("z"), member("d", "z"), member("e", "d"))
	if err := h.Cancel(t.Context(), Target{Job: "z"}, ""); err != nil {
		t.Fatal(err)
	}
	w.ended(h, "z", queue.StateCancelled)
	w.ended(h, "e", queue.StateCancelled)
	retried, refused, err := h.RetryGroup(t.Context(), "sweep", h.config.newJobID, "")
	if err != nil || len(retried) != 2 || retried[0].RetryOf != "b" || retried[1].RetryOf != "c" {
		t.Fatalf("retried as %v, %v", retried, err)
	}
	if len(refused) != 2 || refused[0].Job != "d" || refused[1].Job != "e" || !strings.Contains(refused[0].Err.Error(), "run z, which was cancelled") {
		t.Errorf("refused were %v", refused)
	}
	for _, s := range retried {
		w.ended(h, s.Job, queue.StateCompleted)
		sameOutcome(t, w.record(s.Job), want)
	}
	if retried, refused, err := h.RetryGroup(t.Context(), "sweep", h.config.newJobID, ""); err != nil || len(retried) != 0 || len(refused) != 2 {
		t.Errorf("retried again, with d and e left: %v, %v, %v", retried, refused, err)
	}
	if _, _, err := h.RetryGroup(t.Context(), "nobody", h.config.newJobID, ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a group that does not exist was retried: %v", err)
	}
	if _, _, err := h.RetryGroup(t.Context(), "done", h.config.newJobID, ""); fault.KindOf(err) != fault.Conflict {
		t.Errorf("retried again: %v", err)
	}
	if err := h.Cancel(t.Context(), Target{Job: "nobody"}, ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a job that does not exist: %v", err)
	}
	closeHost(t, h)
	w.nothingLeft()
}

// Of two that retry a group at the same time, one retries its jobs and the other is told
// that there is nothing left to retry.
func TestAGroupThatIsRetriedTwiceAtTheSameTimeIsRetriedOnce(t *testing.T) {
	w := newWorld(t)
	var h *Host
	ids, armed := 0, false
	second := make(chan error, 1)
	between := func() {
		_, _, err := h.RetryGroup(context.Background(), "sweep", h.config.newJobID, "")
		second <- err
	}
	h = w.jobHost(func(c *HostConfig) {
		c.NewJobID = func() queue.JobID {
			ids++
			if armed {
				armed = false            // the jobs to retry are chosen
				if h.jobs.mu.TryLock() { // somebody else may choose, too
					h.jobs.mu.Unlock()
					between()
				} else {
					go between()
				}
			}
			return queue.JobID(fmt.Sprint("retry-", ids))
		}
	})
	blocker := jobRequest{Seed: 1, Epochs: 100_000}.job("blocker")
	a, b := jobRequest{Seed: 1}.job("a"), jobRequest{Seed: 1}.job("b")
	for _, s := range []*queue.Submit{&a, &b} {
		s.Group, s.After = "sweep", []queue.JobID{"blocker"}
	}
	w.submit(h, blocker, a, b)
	for _, id := range []queue.JobID{"a", "b"} {
		if err := h.Cancel(t.Context(), Target{Job: id}, ""); err != nil {
			t.Fatal(err)
		}
	}
	ids, armed = 0, true
	_, _, first := h.RetryGroup(t.Context(), "sweep", h.config.newJobID, "")
	errs := []error{first, <-second}
	if (errs[0] == nil) == (errs[1] == nil) || fault.KindOf(errors.Join(errs...)) != fault.Conflict {
		t.Errorf("retried: %v", errs)
	}
	retries := 0
	for i := range 20 {
		if _, err := h.Job(t.Context(), queue.JobID(fmt.Sprint("retry-", i))); err == nil {
			retries++
		}
	}
	if retries != 2 {
		t.Errorf("2 jobs were retried as %d", retries)
	}
	if err := h.Cancel(t.Context(), Target{Job: "blocker"}, ""); err != nil { // with those after it
		t.Fatal(err)
	}
	w.ended(h, "blocker", queue.StateCancelled)
	closeHost(t, h)
	w.nothingLeft()
}

func TestAJobThatHasRunForItsMaxDurationIsCancelledWithItsCheckpoint(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(nil)
	s := jobRequest{Seed: 1, Epochs: 100_000}.job("it")
	s.MaxDuration = 300 * time.Millisecond
	w.submit(h, s)
	job := w.ended(h, "it", queue.StateCancelled)
	if job.Cause().Code != queue.CauseMaxDuration || job.Ran() < s.MaxDuration {
		t.Errorf("%+v after %v", job.Cause(), job.Ran())
	}
	if r := w.record("it"); len(r.Checkpoints) == 0 {
		t.Error("it has no checkpoint")
	}
	closeHost(t, h)
	w.nothingLeft()
}

func TestAHigherPriorityIsPlacedFirst(t *testing.T) {
	w := newWorld(t)
	var first *stepGate
	h := w.jobHost(func(c *HostConfig) { first = newStepGate(c, "a", 5) })
	w.submit(h, jobRequest{Seed: 1}.job("a"))
	<-first.reached
	w.submit(h, jobRequest{Seed: 1}.job("b"), jobRequest{Seed: 1}.job("c"))
	w.until(h, "c", queue.StateQueued)
	w.until(h, "b", queue.StateQueued)
	if err := h.SetPriority(t.Context(), Target{Job: "c"}, 1); err != nil {
		t.Fatal(err)
	}
	w.untilWaiting("c", "b")
	close(first.open)
	w.ended(h, "b", queue.StateCompleted)
	closeHost(t, h)
	if got := strings.Join(w.holders(), " "); got != "a c b" {
		t.Errorf("devices were granted to %s", got)
	}
}

// A host that is about to close gives the devices that come back to nobody.
func TestNothingIsPlacedOnceAHostBeginsToClose(t *testing.T) {
	for name, stop := range map[string]func(*Host, *stepGate){
		"closed": func(h *Host, g *stepGate) {
			go func() {
				<-h.closing.Done()
				close(g.open)
			}()
		},
		"its last run is interrupted before": func(h *Host, g *stepGate) {
			h.StopPlacing()
			h.Interrupt("a", "Ctrl-C")
			close(g.open)
			if _, err := h.Wait(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var first *stepGate
			h := w.jobHost(func(c *HostConfig) { first = newStepGate(c, "a", 5) })
			w.submit(h, jobRequest{Seed: 1}.job("a"))
			<-first.reached
			w.submit(h, jobRequest{Seed: 2}.job("b"), jobRequest{Seed: 3}.job("c"))
			for _, id := range []queue.JobID{"b", "c"} {
				w.until(h, id, queue.StateQueued)
			}
			stop(h, first)
			closeHost(t, h)
			for _, id := range []queue.JobID{"b", "c"} {
				events, err := w.store.ReadAggregate(t.Context(), eventstore.AggregateID(journal.JobPrefix+string(id)), 0, 100)
				if err != nil || len(events) == 0 {
					t.Fatalf("%d events, %v", len(events), err)
				}
				for _, e := range events {
					if e.Type == (queue.JobPlaced{}).EventType() {
						t.Errorf("job %s was placed", id)
					}
				}
			}
			w.nothingLeft()
		})
	}
}

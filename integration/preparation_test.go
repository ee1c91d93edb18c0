package integration

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reprise/actor"
	"reprise/checkpoint"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// deferralNews tells of each deferral of a job of a host.
type deferralNews struct {
	noObserver
	got chan queue.JobDeferred
}

func newDeferralNews() *deferralNews { return &deferralNews{got: make(chan queue.JobDeferred, 64)} }

func (n *deferralNews) JobRecorded(_ training.RunID, e queue.JobEvent) {
	if d, ok := e.(queue.JobDeferred); ok {
		n.got <- d
	}
}

// next waits for a deferral, and ends what the job waits for.
func (n *deferralNews) next(t *testing.T, h *Host, id queue.JobID) queue.JobDeferred {
	t.Helper()
	select {
	case d := <-n.got:
		if err := h.Unpause(t.Context(), Target{Job: id}); err != nil {
			t.Fatal(err)
		}
		return d
	case <-time.After(time.Minute):
		t.Fatalf("job %s was not deferred", id)
		return queue.JobDeferred{}
	}
}

// A defect in a preparation, such as a panic, need not come again: the job is prepared
// again, as often as the actor of a run is restarted, and then rejected with the defect.
func TestAPanicWhilePreparingIsMetAsOneWhileTraining(t *testing.T) {
	const restarts = 2
	for name, defect := range map[string]func() error{
		"panic: a defect":       func() error { panic("a defect") },
		"an error with no name": func() error { return errors.New("an error with no name") },
	} {
		for _, passes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/passes=%v", name, passes), func(t *testing.T) {
				w, news := newWorld(t), newDeferralNews()
				var attempts atomic.Int64
				h := w.jobHost(func(c *HostConfig) {
					c.Observer, c.Restarts = news, actor.Intensity{Restarts: restarts, Period: time.Hour}
					c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
						if n := attempts.Add(1); !passes || n <= restarts {
							return nil, defect()
						}
						return w.prepare(ctx, id, s)
					}
				})
				w.submit(h, jobRequest{Seed: 1}.job("it"))
				for i := range restarts {
					if d := news.next(t, h, "it"); d.Code != "internal" || d.Message != name || d.RetryAfter != firstRetry<<i {
						t.Errorf("deferral %d: %+v", i, d)
					}
				}
				if passes {
					w.ended(h, "it", queue.StateCompleted)
				} else if c := w.ended(h, "it", queue.StateRejected).Cause(); c.Code != "internal" || c.Message != "preparing it has failed 3 times in a row: "+name {
					t.Errorf("%+v", c)
				}
				if n := attempts.Load(); n != restarts+1 {
					t.Errorf("it was prepared %d times", n)
				}
				closeHost(t, h)
				w.nothingLeft()
			})
		}
	}
}

// passing are refusals that can pass, by the name of their variable or type. Those of the
// packages that a job meets are all there: TestEveryRefusalThatCanPassIsKnown.
func passing() map[string]error {
	return map[string]error{
		"integration.ErrJobLeft":            ErrJobLeft,
		"integration.ErrHostClosed":         ErrHostClosed,
		"integration.ErrTooManyRuns":        ErrTooManyRuns,
		"integration.ErrDevicesClosed":      ErrDevicesClosed,
		"device.ErrStaleLease":              device.ErrStaleLease,
		"device.StaleLeaseError":            &device.StaleLeaseError{},
		"device.ErrLeaseIDInUse":            device.ErrLeaseIDInUse,
		"device.ErrHeld":                    device.ErrHeld,
		"device.ErrNoSuitableDevice":        device.ErrNoSuitableDevice,
		"device.NoSuitableDeviceError":      &device.NoSuitableDeviceError{Refusals: []device.Refusal{{Device: "cpu0", Reasons: []device.Reason{{Message: "is held", Transient: true}}}}},
		"datadir.ErrDataDirGone":            datadir.ErrDataDirGone,
		"dataset.OfflineError":              &dataset.OfflineError{},
		"checkpoint.ForeignError":           &checkpoint.ForeignError{},
		"eventstore.ErrConcurrencyConflict": eventstore.ErrConcurrencyConflict,
		"eventstore.ConflictError":          &eventstore.ConflictError{},
		"eventstore.ErrEventIDReused":       eventstore.ErrEventIDReused,
		"eventstore.ErrClosed":              eventstore.ErrClosed,
		"eventstore.ErrNotEmpty":            eventstore.ErrNotEmpty,
		"eventstore.ErrLocked":              eventstore.ErrLocked,

		"a full disk":             syscall.ENOSPC,
		"no memory":               syscall.ENOMEM,
		"too many open files":     syscall.EMFILE,
		"a file that is away":     &fs.PathError{Op: "open", Path: "table.csv", Err: fs.ErrNotExist},
		"a file of somebody else": &fs.PathError{Op: "open", Path: "table.csv", Err: fs.ErrPermission},
		"a name that is unknown":  fault.New(fault.NotFound, "no such data set"),
		"what nobody may read":    fault.New(fault.Forbidden, "not yours"),
		"who is not known":        fault.New(fault.Unauthenticated, "log in"),
		"a damaged file":          fault.New(fault.Corrupt, "not what was written"),
		"a cancellation":          context.Canceled,
		"a deadline":              context.DeadlineExceeded,
	}
}

// A refusal that can pass never ends a job: before it has devices the job waits, however
// often the refusal comes, and after that its run is interrupted and waits again.
func TestARefusalThatCanPassNeverEndsAJob(t *testing.T) {
	for name, refusal := range passing() {
		err := fmt.Errorf("on the way: %w", refusal)
		job, again := queue.Job{}, 0
		for _, e := range []queue.JobEvent{queue.JobSubmitted{Job: "it", Submission: jobRequest{}.job("it").Submission}, queue.JobPreparing{}} {
			job = job.Apply(e)
		}
		for ; again < 100; again++ {
			events, wrong := job.Decide(afterFailedPreparation(job, err, 1))
			if wrong != nil {
				t.Fatalf("%s: %v", name, wrong)
			}
			job = job.Apply(events[0])
			if job.State() != queue.StateSubmitted || job.RetryAfter() <= 0 || job.RetryAfter() > longestRetry {
				t.Errorf("%s, for the %dth time: the job is %s, and waits for %v: %+v", name, again+1, job.State(), job.RetryAfter(), job.Cause())
				break
			}
			job = job.Apply(queue.JobPreparing{})
		}
		if outlookOf(err) == neverWorks {
			t.Errorf("%s fails a run for good", name)
		}
	}
}

// The refusals that can pass are found in the sources, so that none is forgotten.
func TestEveryRefusalThatCanPassIsKnown(t *testing.T) {
	// Unexported ones reach a job through one that is known.
	through := map[string]string{"dataset.statusError": "dataset.OfflineError"}
	known, found := passing(), map[string]bool{}
	for _, folder := range []string{".", "../device", "../datadir", "../dataset", "../checkpoint", "../eventstore"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no sources: %v", folder, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, refusal := range refusals(file) {
				found[file.Name.Name+"."+refusal] = true
			}
		}
	}
	if len(found) < 15 {
		t.Errorf("found only %v", slices.Sorted(maps.Keys(found)))
	}
	for name := range found {
		if by := through[name]; by != "" {
			name = by
		}
		if known[name] == nil {
			t.Errorf("%s can pass; add it to the table, so that no job ends of it", name)
		}
	}
}

// refusals returns the errors of a file that can pass: variables that are set to
// fault.New, and types with a method Kind.
func refusals(file *ast.File) (names []string) {
	passes := func(n ast.Node) (found bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			p, ok := s.X.(*ast.Ident)
			found = found || ok && p.Name == "fault" && slices.Contains([]string{"Unavailable", "Exhausted", "Conflict"}, s.Sel.Name)
			return true
		})
		return found
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name != "Kind" || d.Recv == nil || !passes(d.Body) {
				continue
			}
			of := d.Recv.List[0].Type
			if p, ok := of.(*ast.StarExpr); ok {
				of = p.X
			}
			names = append(names, of.(*ast.Ident).Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				v, ok := s.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, value := range v.Values {
					if passes(value) {
						names = append(names, v.Names[i].Name)
					}
				}
			}
		}
	}
	return names
}

// What may pass is waited for, and the job then trains as if it had never been refused.
func TestAJobOutlivesARefusalOfEachKindThatCanPass(t *testing.T) {
	r := jobRequest{Seed: 1}
	want := reference(t, r.change)
	w := newWorld(t)
	refusals, attempts := map[queue.JobID]error{}, map[queue.JobID]*atomic.Int64{}
	for kind := range fault.Forbidden + 1 {
		if kind != fault.Invalid {
			id := queue.JobID(kind.String())
			refusals[id], attempts[id] = fault.New(kind, "refused for now"), new(atomic.Int64)
		}
	}
	h := w.jobHost(func(c *HostConfig) {
		c.Prepare = func(ctx context.Context, id queue.JobID, s queue.Submission) ([]training.Event, error) {
			if attempts[id].Add(1) == 1 {
				return nil, refusals[id]
			}
			return w.prepare(ctx, id, s)
		}
	})
	for id := range refusals {
		w.submit(h, r.job(id))
	}
	for id := range refusals {
		w.ended(h, id, queue.StateCompleted)
		if n := attempts[id].Load(); n != 2 {
			t.Errorf("refused as %s, it was prepared %d times", id, n)
		}
		sameOutcome(t, w.record(id), want)
	}
	closeHost(t, h)
	w.nothingLeft()
}

// A job whose device is out of order waits for it, and is placed once it works again.
func TestAJobWaitsForADeviceThatIsOutOfOrder(t *testing.T) {
	r := jobRequest{Seed: 1}
	want := reference(t, r.change)
	w, news := newWorld(t), newDeferralNews()
	sick := &ailing{Driver: w.driver}
	sick.ill.Store(true)
	h := w.jobHost(func(c *HostConfig) {
		c.Observer, c.Devices, c.Restarts = news, []device.Driver{sick}, actor.Intensity{Restarts: 1, Period: time.Hour}
	})
	w.submit(h, r.job("it"))
	for range 3 {
		if d := news.next(t, h, "it"); d.Code != codeInterrupted || !strings.Contains(d.Message, "a stuck bit") {
			t.Errorf("%+v", d)
		}
	}
	sick.ill.Store(false)
	w.ended(h, "it", queue.StateCompleted)
	sameOutcome(t, w.record("it"), want)
	closeHost(t, h)
	w.nothingLeft()
}

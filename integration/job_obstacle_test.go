package integration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	"reprise/internal/disk"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

// obstacles are errors by the row of docs/durability.md that is about them. The one that is
// about no single error is tested by TestAJobWhoseRestartsAreExhaustedIsLeft.
func obstacles() map[string][]error {
	refusal := func(transient bool) error {
		return &device.NoSuitableDeviceError{Refusals: []device.Refusal{{Device: "cpu0", Reasons: []device.Reason{{Message: "no", Transient: transient}}}}}
	}
	ofData := func(err error) error { return &dataError{asRefused(err)} }
	return map[string][]error{
		"a disk or a quota that is full":                                                  {syscall.ENOSPC, syscall.EDQUOT},
		"too many open files, or no memory, in this process or on this machine":           {syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN},
		"a file system or a disk that does not answer or is not connected":                {syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENXIO, syscall.ENODEV},
		"a lock on the event log that another program holds":                              {eventstore.ErrLocked},
		"a data set that is missing, unreadable or not the one that the run began with":   {ofData(fs.ErrNotExist), ofData(fs.ErrPermission), ofData(errors.New("another fingerprint"))},
		"a device that is unhealthy, in use, or short of memory for now":                  {refusal(true)},
		"no device that could ever take it":                                               {refusal(false)},
		"a file of the run that is missing, or that may not be read or written":           {fs.ErrNotExist, fs.ErrPermission},
		"a file or a folder where the other belongs":                                      {disk.ErrNotRegular, disk.ErrNotFolder, syscall.ENOTDIR, &loop.FilesError{Err: syscall.EISDIR}},
		"a file system that is mounted for reading only, or a limit on the size of files": {syscall.EROFS, syscall.EFBIG},
		"a disk that fails (EIO)":                                                         {syscall.EIO},
		"a data directory that was removed":                                               {datadir.ErrDataDirGone},
		"a checkpoint that is damaged, or another run's":                                  {&loop.FilesError{Err: &checkpoint.CorruptError{}}, training.ErrInvalidCheckpoint},
		"a result that the log contradicts, or an event that contradicts the log":         {training.ErrNotReproducible, training.ErrInvalidTransition, training.ErrNonMonotonicCheckpoint},
		"a model that this version or this device cannot set up":                          {nn.ErrInvalidModel, device.ErrInvalid, datadir.AdviseOr(errors.New("no kernel"), checkDevices)},
		"6 failures of its actor within 24 hours, of which one was no panic":              nil,
	}
}

// asRefused is what the data set cache answers.
func asRefused(err error) error { return refusal(err) }

func TestEachObstacleIsWaitedForOrLeftAsDocumented(t *testing.T) {
	raw, err := os.ReadFile("../docs/durability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(raw), "| what keeps the run from training | the run |\n|---|---|\n")
	if !found {
		t.Fatal("docs/durability.md has no table of obstacles")
	}
	table, _, _ := strings.Cut(text, "\n\n")
	known := obstacles()
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		name, _, _ := strings.Cut(cells[0], " (ESTALE")
		errs, there := known[name]
		want, documented := map[string]outlook{"waits": mayPass, "is left": needsHelp}[cells[len(cells)-1]]
		if !there || !documented {
			t.Errorf("the row %q is not tested, or says neither that the run waits nor that it is left", line)
		}
		for _, err := range errs {
			if got := outlookOf(fmt.Errorf("on the way: %w", err)); got != want {
				t.Errorf("%s: %v has the outlook %d, want %d", name, err, got, want)
			}
			if errors.As(err, new(*dataError)) {
				continue
			}
			if got := passes(err); got != (want == mayPass) {
				t.Errorf("%s, in the way of a checkpoint: passes %t", name, got)
			}
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("the table has no row %q", name)
	}
}

// leftWith waits until nobody works on a job, and fails if it was not left for an obstacle.
func (w *world) leftWith(h *Host, id queue.JobID, reason string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := h.WaitJob(ctx, id)
	j, loaded := h.Job(ctx, id)
	if !errors.Is(err, ErrJobLeft) || loaded != nil || !j.Left() || j.Cause().Code != queue.CauseObstacle || !strings.Contains(j.Cause().Message, reason) {
		w.t.Errorf("job %s is %s (%+v), %v, %v; want it left with %q", id, j.State(), j.Cause(), err, loaded, reason)
	}
}

// What somebody has to mend is met once: the run, and those that come after it, are left,
// and continue to the same bits when they are resumed.
func TestAJobWithAnObstacleThatStaysIsLeftWithItsSuccessors(t *testing.T) {
	r := jobRequest{Seed: 1}
	want := reference(t, r.change)
	w := newWorld(t)
	inTheWay := w.workspace.RunDir("it")
	if err := os.MkdirAll(inTheWay, 0o755); err != nil {
		t.Fatal(err)
	}
	inTheWay += "/checkpoints"
	if err := os.WriteFile(inTheWay, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	h := w.jobHost(nil)
	next, last := r.job("next"), r.job("last")
	next.After, last.After = []queue.JobID{"it"}, []queue.JobID{"next"}
	w.submit(h, r.job("it"), next, last)
	w.leftWith(h, "it", inTheWay+": is not a folder; move it away")
	w.leftWith(h, "next", "it runs after run it, which has to be resumed first")
	w.leftWith(h, "last", "it runs after run it, which has to be resumed first")
	if n := w.record("it").Interruptions; n != 1 {
		t.Errorf("it was interrupted %d times", n)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	for _, id := range []queue.JobID{"last", "next", "it"} {
		if err := h.Unpause(t.Context(), Target{Job: id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []queue.JobID{"it", "next", "last"} {
		w.ended(h, id, queue.StateCompleted)
		sameOutcome(t, w.record(id), want)
	}
	closeHost(t, h)
	w.nothingLeft()
}

// Restarts that are exhausted do not begin again: nobody would know.
func TestAJobWhoseRestartsAreExhaustedIsLeft(t *testing.T) {
	w := newWorld(t)
	h := w.jobHost(func(c *HostConfig) {
		c.Restarts = actor.Intensity{Restarts: 1, Period: time.Hour}
		c.Devices = []device.Driver{&failingDevice{Driver: w.driver}}
	})
	w.submit(h, jobRequest{Seed: 1}.job("it"))
	w.leftWith(h, "it", "a bit flipped")
	closeHost(t, h)
	w.nothingLeft()
}

// Data that are away when a run is about to train are waited for, without a device.
func TestAJobWaitsForDataThatAreAway(t *testing.T) {
	r := jobRequest{Seed: 1}
	want := reference(t, r.change)
	w, news := newWorld(t), newDeferralNews()
	var away atomic.Bool
	away.Store(true)
	h := w.jobHost(func(c *HostConfig) {
		c.Observer = news
		c.OpenDataset = func(context.Context, training.Dataset) (*dataset.Dataset, error) {
			if away.Load() {
				return nil, &fs.PathError{Op: "open", Path: "/mnt/digits", Err: fs.ErrNotExist}
			}
			return w.data, nil
		}
	})
	w.submit(h, r.job("it"))
	for range 3 {
		if d := news.next(t, h, "it"); d.Code != queue.CauseData || d.RetryAfter == 0 || d.Message != "open /mnt/digits: file does not exist; put it back" {
			t.Errorf("%+v", d)
		}
	}
	away.Store(false)
	w.ended(h, "it", queue.StateCompleted)
	sameOutcome(t, w.record("it"), want)
	closeHost(t, h)
	w.nothingLeft()
}

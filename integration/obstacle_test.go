package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/checkpoint"
	"reprise/device"
	"reprise/fault"
	"reprise/journal"
	"reprise/kernel"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// Only what follows from the arithmetic of the request fails a run for ever. What
// may pass on another machine, in another version or after its user did something
// interrupts it, and says what that is.
func TestOnlyWhatNeverWorksIsPermanent(t *testing.T) {
	never := []error{&nn.NumericalError{What: "loss"}, &fault.FieldError{Field: "weights", Cause: checkpoint.ErrContent}}
	for _, err := range never {
		if got := outlookOf(fmt.Errorf("train: %w", err)); got != neverWorks {
			t.Errorf("%v: outlook %d", err, got)
		}
	}
	for _, c := range []struct {
		err error
		fix string
	}{
		{training.ErrNotReproducible, "check this machine's memory and CPU, or resume it with the version and the machine that recorded it"},
		{training.ErrInvalidTransition, "report this defect, and resume it with another version"},
		{training.ErrNonMonotonicCheckpoint, "report this defect, and resume it with another version"},
		{training.ErrInvalidCheckpoint, "put the run's own checkpoint back"},
		{&loop.FilesError{Err: training.ErrInvalidCheckpoint}, "put the run's own checkpoint back"},
		{nn.ErrInvalidModel, "resume it with the version that recorded it, or fork it with other settings"},
		{device.ErrInvalid, "resume it with the version that recorded it, or fork it with other settings"},
	} {
		err := fmt.Errorf("train: %w", c.err)
		if got := outlookOf(err); got != needsHelp {
			t.Errorf("%v: outlook %d", err, got)
		}
		if got := explain(err); got != err.Error()+"; "+c.fix || explain(errors.New(got)) != got {
			t.Errorf("%q", got)
		}
	}
}

// astray is a device whose memory loses a bit after a number of operations.
type astray struct {
	device.Driver
	left int
}

func (d *astray) Prepare(p *kernel.Program, m kernel.Memory) (kernel.Executable, error) {
	x, err := d.Driver.Prepare(p, m)
	return &strayExecutable{Executable: x, device: d, memory: m}, err
}

type strayExecutable struct {
	kernel.Executable
	device *astray
	memory kernel.Memory
}

func (x *strayExecutable) Run(s kernel.Scalars) error {
	if err := x.Executable.Run(s); err != nil {
		return err
	}
	if x.device.left--; x.device.left != 0 {
		return nil
	}
	at, weights := kernel.Span{Len: 8}, make([]float32, 8)
	if err := x.memory.Read(weights, at); err != nil {
		return err
	}
	for i := range weights {
		weights[i] += 0.125
	}
	return x.memory.Write(at, weights)
}

func TestAnEpochThatComesOutDifferentlyInterruptsTheRunAndIsRepeatedElsewhere(t *testing.T) {
	for what, change := range map[string]func(*training.Hyperparameters){
		"epoch 1 came out differently":                  func(h *training.Hyperparameters) { h.CheckpointInterval = 3 },
		"the evaluation at step 5 came out differently": func(h *training.Hyperparameters) { h.CheckpointInterval, h.EvalInterval = 3, 5 },
	} {
		t.Run(what, func(t *testing.T) {
			origin := newWorld(t)
			want, recorded := origin.train(origin.request(change), nil)

			// A process that died after the first epoch, before there was a checkpoint.
			w := newWorld(t)
			first := slices.IndexFunc(recorded.events, func(e training.Event) bool { return e.EventType() == "training.epoch_completed.v1" })
			if _, err := journal.NewRunLog(w.store, time.Now).Append(context.Background(), journal.RunRecord{}, recorded.events[:first+1]...); err != nil {
				t.Fatal(err)
			}
			r := w.resume(want.ID, func(c *HostConfig) { c.Devices = []device.Driver{&astray{Driver: w.driver, left: 3}} })
			if r.Session.State != training.Interrupted || !strings.Contains(r.Reason, what+" from what the log has: ") ||
				!strings.HasSuffix(r.Reason, "; check this machine's memory and CPU, or resume it with the version and the machine that recorded it") {
				t.Errorf("state %s, reason %q", r.Session.State, r.Reason)
			}
			if r.Interruptions != 2 || len(r.Checkpoints) != 0 { // that of the process that died, and this
				t.Errorf("%d interruptions, %d checkpoints", r.Interruptions, len(r.Checkpoints))
			}
			w.checkReleased(r)
			sameOutcome(t, w.resume(want.ID, nil), want)
		})
	}
}

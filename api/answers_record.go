package api

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"reprise/device"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

// MetricsRequest asks for the figures of a run.
type MetricsRequest struct {
	Run string `json:"run"`
}

// MetricsPart is a part of the figures of a run. Only the first has a Head; the steps of
// all parts are in order.
type MetricsPart struct {
	Head  *MetricsHead `json:"head,omitempty"`
	Steps []Step       `json:"steps"`
}

// MetricsHead is what is said once of the figures of a run.
type MetricsHead struct {
	RunID training.RunID `json:"run_id"`
	// Epochs are the completed ones.
	Epochs []Epoch          `json:"epochs"`
	Data   training.Dataset `json:"data"`
	// Monitor names the figure that the run is judged by; "" is the validation loss.
	Monitor string `json:"monitor,omitempty"`
	// Loss is what was minimised; absent where it is the task's own.
	Loss nn.Loss `json:"loss,omitzero"`
	// CanResume says that the run has not ended for good.
	CanResume bool `json:"can_resume"`
	// LastCheckpoint is the step of the run's last checkpoint; 0 if it has none.
	LastCheckpoint uint64 `json:"last_checkpoint"`
}

// Step is an optimizer's step.
type Step struct {
	// Step and Epoch are counted from 1.
	Step  uint64 `json:"step"`
	Epoch uint32 `json:"epoch"`
	// Loss is the mean loss over the batch, before the update.
	Loss float32 `json:"loss"`
	// LearningRate is the rate of the update.
	LearningRate float32 `json:"learning_rate"`
}

// RunMetrics is the figures of a run.
type RunMetrics struct {
	RunID  training.RunID `json:"run_id"`
	Epochs []Epoch        `json:"epochs"`
	Steps  []Step         `json:"steps"`
}

// CollectMetrics puts the parts of a run's figures together.
func CollectMetrics(parts iter.Seq2[MetricsPart, error]) (RunMetrics, MetricsHead, error) {
	var head MetricsHead
	steps := []Step{}
	for part, err := range parts {
		if err != nil {
			return RunMetrics{}, MetricsHead{}, err
		}
		if part.Head != nil {
			head = *part.Head
		}
		steps = append(steps, part.Steps...)
	}
	return RunMetrics{RunID: head.RunID, Epochs: head.Epochs, Steps: steps}, head, nil
}

// ExplainRequest asks why a run waits for a device, or where it was placed.
type ExplainRequest struct {
	Run string `json:"run"`
}

// Explanation is the newest recorded decision about a run.
type Explanation struct {
	RunID training.RunID `json:"run_id"`
	// State is the run's now; the rest is from a decision that may be older.
	State training.State `json:"state"`
	// Job is how the run is queued; null for one that never was.
	Job      *Job         `json:"job,omitempty"`
	Recorded bool         `json:"recorded"`
	Decision *RunDecision `json:"decision"`
	// Predecessors are the runs that it waits for because it comes after them, and Start is
	// when it can start if they end as estimated and a device is free then; null if one of
	// them has no estimate.
	Predecessors []Predecessor `json:"predecessors,omitempty"`
	// Data is where the run's data are. NextAttempt is when they are opened again, or what
	// kept the run from training is tried again; null where nothing is.
	Data        string     `json:"data,omitempty"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	Start       *time.Time `json:"probable_start,omitempty"`
}

// Predecessor is a run that another one comes after.
type Predecessor struct {
	RunID training.RunID `json:"run_id"`
	State training.State `json:"state"`
	// End is when it will probably end, at its pace so far. Where that is not known, Problem
	// says why.
	End     *time.Time `json:"probable_end,omitempty"`
	Problem string     `json:"problem,omitempty"`
}

// Retries reports whether the run waits for its next attempt, since the last one failed.
func (x Explanation) Retries() bool {
	return x.Job != nil && x.Job.RetryAfter > 0 && (x.State == Submitted || x.State == Queued)
}

// Err fails where the decision is not what the rules make of its snapshot.
func (x Explanation) Err() error {
	if x.Decision == nil || x.Decision.Problem == "" {
		return nil
	}
	return &Error{Fault: fault.Corrupt, Message: fmt.Sprintf("event %d: %s: verification failed", x.Decision.Position, x.Decision.Problem)}
}

// Waits reports whether the run still waits for a device.
func (x Explanation) Waits() bool { return x.State == training.Initializing || x.State == Queued }

// StartsWhen says what has to change for a run that waits; "" for any other.
func (x Explanation) StartsWhen() string {
	if !x.Waits() || x.Decision == nil {
		return ""
	}
	for _, r := range x.Decision.Reasons {
		switch {
		case !r.Transient && r.Code == queue.CodeQuota:
			return "the quota of its owner is raised"
		case !r.Transient && slices.ContainsFunc(x.Decision.Reasons, func(r queue.Reason) bool { return r.Code == queue.Code(queue.ReasonMissingLabel) }):
			return "enough devices have the labels that it asks for"
		case !r.Transient:
			return "a device that can take it is added"
		case r.Code == queue.CodePaused:
			return "it is resumed"
		case r.Code == queue.CodeAfter:
			return "the run that it comes after has completed"
		case r.Code == queue.CodeQuota:
			return "other runs of its owner hold fewer devices, or the quota of its owner is raised"
		case r.Code == queue.CodeUnfit:
			return "a device that could take it is healthy again and has enough memory free"
		case r.Code == queue.CodeBusy, r.Code == queue.CodeReserved:
			const free = "a run that holds a device ends, is interrupted or has to give way"
			switch len(x.Decision.Ahead) {
			case 0:
				return free
			case 1:
				return free + ", and the run ahead of it has had its turn"
			}
			return fmt.Sprintf("%s, and the %d runs ahead of it have had their turns", free, len(x.Decision.Ahead))
		}
	}
	return "the reasons above have passed"
}

// RunDecision is what a recorded decision says about a run: whether it was placed or
// waits, and why.
type RunDecision struct {
	RunID training.RunID `json:"run_id"`
	// Position, Time and Version are those of the decision. The log may have newer ones
	// that are about others only.
	Position eventstore.Position `json:"position"`
	Version  eventstore.Version  `json:"version"`
	Time     time.Time           `json:"time"`
	// Outcome is "placed", "waiting", or "taking over" for a run that gets its devices
	// once others have given way.
	Outcome string `json:"outcome"`
	// On are the devices that the run was placed on, and GaveWay the runs that had to
	// give way to it.
	On      []device.ID      `json:"on,omitempty"`
	GaveWay []training.RunID `json:"gave_way,omitempty"`
	// HadToWait says that a run that was placed had to wait before.
	HadToWait bool `json:"had_to_wait"`
	// Place is the run's place in the queue, from 1, if it waits.
	Place   int            `json:"place,omitempty"`
	Reasons []queue.Reason `json:"reasons,omitempty"`
	// Waited is how long the run had waited by then, in all.
	Waited time.Duration `json:"waited_ns"`
	// Holders are the runs that had devices.
	Holders []DeviceHolder `json:"holders,omitempty"`
	// Ahead are the runs that were before it in the queue then, the first one first.
	Ahead []training.RunID `json:"ahead,omitempty"`
	// Owners are, if the run waited and owners share by what they have used, its own owner
	// and those of the runs ahead.
	Owners []OwnerUse `json:"owners,omitempty"`
	// Start is when the run will probably start, after Time, if every run ends after
	// its estimate and none gives way; nil if a run that it waits for has no estimate.
	Start *time.Duration `json:"probable_start_ns,omitempty"`
	// Again says that the recorded snapshot gives the same decision again; if it is
	// false, Problem says what differs.
	Again bool `json:"made_again"`
	// OtherRules says that another version's rules made the decision, so that it cannot
	// be made again.
	OtherRules bool   `json:"other_rules,omitempty"`
	Problem    string `json:"problem,omitempty"`
}

// OwnerUse is what an owner had used of late when a decision was made, and the owner's
// share. The one who has used least for the share comes first.
type OwnerUse struct {
	Owner string        `json:"owner"`
	Used  time.Duration `json:"used_ns"`
	Share float64       `json:"share"`
}

// DeviceHolder is a run that has devices.
type DeviceHolder struct {
	RunID  training.RunID `json:"run_id"`
	On     []device.ID    `json:"on"`
	Served time.Duration  `json:"served_ns"`
	// Remaining is an estimate; 0 is unknown.
	Remaining time.Duration `json:"remaining_ns,omitempty"`
}

// VerifyRequest asks to train a run again and to compare.
type VerifyRequest struct {
	Run string `json:"run"`
	// From is the step of the checkpoint to start from; 0 is the beginning, which for a
	// fork is the checkpoint of its parent.
	From uint64 `json:"from,omitempty"`
	// To is the step of the last checkpoint to compare; 0 is the last there is, and
	// whatever epochs and evaluations are recorded after it.
	To uint64 `json:"to,omitempty"`
	// MovedData is used for this verification, and not recorded.
	MovedData
}

// VerifyUpdate is how far a verification is, or its outcome.
type VerifyUpdate struct {
	Progress *VerifyProgress `json:"progress,omitempty"`
	Report   *VerifyReport   `json:"report,omitempty"`
	// Folder has the files of the run. It comes with the report.
	Folder string `json:"folder,omitempty"`
}

// VerifyProgress says how far a verification has trained.
type VerifyProgress struct {
	RunID training.RunID `json:"run_id"`
	// From is the step that it began at, Step the last one that it has compared, and
	// Last the one that it ends with.
	From uint64 `json:"from"`
	Step uint64 `json:"step"`
	Last uint64 `json:"last"`
}

// VerifyReport is the outcome of a verification.
type VerifyReport struct {
	RunID training.RunID `json:"run_id"`
	// Events is the length of the event chain that was checked, over all runs.
	Events   uint64 `json:"events"`
	FromStep uint64 `json:"from_step"`
	ToStep   uint64 `json:"to_step"`
	// Parent is the checkpoint that a fork was trained again from; verifying the
	// parent shows how the parent arrived at it.
	Parent      *training.Parent    `json:"parent,omitempty"`
	Checkpoints []CheckpointVerdict `json:"checkpoints"`
	// EvaluationsCompared is the number of evaluations within epochs that came out as
	// recorded.
	EvaluationsCompared int `json:"evaluations_compared,omitempty"`
	// EpochsCompared is the number of epochs whose metrics were compared,
	// StepsCompared that of steps whose loss was.
	EpochsCompared int `json:"epochs_compared"`
	StepsCompared  int `json:"steps_compared"`
	// FiguresCompared says that the figures of the best checkpoint were computed again.
	FiguresCompared bool `json:"figures_compared,omitempty"`
	Verified        bool `json:"verified"`
	// Problem names the first thing that differs.
	Problem string `json:"problem,omitempty"`
}

// CheckpointVerdict says whether one checkpoint was reproduced.
type CheckpointVerdict struct {
	Step     uint64 `json:"step"`
	Epoch    uint64 `json:"epoch"`
	Recorded string `json:"recorded_sha256"`
	// Reproduced is the SHA-256 of the weights as trained again; "" where the
	// checkpoint is not after the beginning and only its files were checked.
	Reproduced string `json:"reproduced_sha256,omitempty"`
	// Problem says what differs; "" means that all agree.
	Problem string `json:"problem,omitempty"`
	// Missing says that the problem is that files are not there, as after importing a
	// log alone: nothing is known to be damaged.
	Missing bool `json:"missing,omitempty"`
	// Removed says that the files were removed, as an event tells; the bits are compared
	// all the same.
	Removed bool `json:"removed,omitempty"`
}

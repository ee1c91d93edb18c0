package api

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/spelling"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

// RunsRequest asks for the runs that fit all of its fields; an empty field fits every run.
type RunsRequest struct {
	// Group and Owner are those of the run's job.
	Group string `json:"group,omitempty"`
	Owner string `json:"owner,omitempty"`
	// Name is what the run is called. Tags are all among its own.
	Name string   `json:"name,omitempty"`
	Tags []string `json:"tags,omitempty"`
	// State is the run's state.
	State training.State `json:"state,omitempty"`
}

// Validate returns a *fault.FieldError for a field that no run could fit.
func (q RunsRequest) Validate() error {
	if q.State == "" || slices.Contains(RunStates(), q.State) {
		return nil
	}
	var names []string
	for _, s := range RunStates() {
		names = append(names, string(s))
	}
	fix := "use one of " + strings.Join(names, ", ")
	if near, ok := spelling.Close(string(q.State), names); ok {
		fix = "did you mean " + near + "? Otherwise, " + fix
	}
	return &fault.FieldError{Field: "state", Value: strconv.Quote(string(q.State)), Problem: "is not a state of a run", Fix: fix}
}

// Fits reports whether the request asks for a run.
func (q RunsRequest) Fits(r Run) bool {
	var j Job
	if r.Job != nil {
		j = *r.Job
	}
	return (q.Group == "" || q.Group == j.Group) && (q.Owner == "" || q.Owner == j.Owner) && (q.State == "" || q.State == r.State) &&
		(q.Name == "" || q.Name == r.Name) && r.Tagged(q.Tags)
}

// IsZero reports whether the request asks for every run.
func (q RunsRequest) IsZero() bool {
	return q.Group == "" && q.Owner == "" && q.State == "" && q.Name == "" && len(q.Tags) == 0
}

// Tagged reports whether the run has all of these tags.
func (r Run) Tagged(tags []string) bool {
	return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(r.Tags, tag) })
}

// RunList is runs in the order in which they were submitted, oldest first.
type RunList struct {
	Runs []Run `json:"runs"`
	// Folder is the data directory, RunsFolder the one that files of runs are in.
	Folder     string `json:"folder"`
	RunsFolder string `json:"runs_folder"`
}

// Result is what a run has reached as of its last committed checkpoint, or as of the
// one that it was forked from.
type Result struct {
	RunID training.RunID `json:"run_id"`
	State training.State `json:"state"`
	// Epoch counts the completed epochs, Step the optimizer's steps.
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	// WeightsSHA256 is the hash of the file of the weights, in hexadecimal; "" before
	// the first checkpoint.
	WeightsSHA256 string  `json:"weights_sha256"`
	Metrics       Metrics `json:"metrics"`
}

// Metrics are null before the first epoch is complete. Losses are means over samples;
// the accuracy is a share between 0 and 1, which a regression does not have.
type Metrics struct {
	TrainLoss   *float64 `json:"train_loss"`
	ValLoss     *float64 `json:"val_loss"`
	ValAccuracy *float64 `json:"val_accuracy"`
	// Monitored is the figure that the run is judged by, null where it is undefined;
	// absent if that is the validation loss.
	Monitored training.Monitored `json:"monitored,omitzero"`
}

// Epoch is a completed epoch, counted from 1, and the step at its end.
type Epoch struct {
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	Metrics
}

// Run is a run in a listing.
type Run struct {
	Result
	// Name, Tags and Note are what is noted about the run. Name stands for its id.
	Name string   `json:"name,omitempty"`
	Tags []string `json:"tags,omitempty"`
	Note string   `json:"note,omitempty"`
	// Epochs and TotalSteps are what the whole run has.
	Epochs     uint64 `json:"epochs"`
	TotalSteps uint64 `json:"total_steps"`
	// Dataset is the path of the data, or a name of the catalogue.
	Dataset string `json:"dataset"`
	// StartedAt is when the run was recorded: its data were open, and it did not have a
	// device yet. For a run that is not recorded yet, it is when its job was submitted.
	StartedAt time.Time `json:"started_at"`
	// UpdatedAt is when the last event happened.
	UpdatedAt time.Time `json:"updated_at"`
	// TrainedSeconds is how long the run was under way, without its pauses; what a
	// killed process did after its last event does not count.
	TrainedSeconds float64 `json:"trained_seconds"`
	// Reason is why the run was interrupted or failed.
	Reason string `json:"reason,omitempty"`
	// ForkOf is the run that a fork comes from, and ForkStep the step at which.
	ForkOf   training.RunID `json:"fork_of,omitempty"`
	ForkStep uint64         `json:"fork_step,omitempty"`
	// InitFrom says where initial weights come from that the seed does not give.
	InitFrom string `json:"init_from,omitempty"`
	// FilesMissing says that the files of the last checkpoint are not there, as
	// after importing a log alone.
	FilesMissing bool `json:"files_missing,omitempty"`
	// Job is how the run is queued; null for one that never was, as in older versions.
	// While State is that of a job whose run does not exist yet, all figures are zero.
	Job *Job `json:"job,omitempty"`
}

// RunRequest asks for one run.
type RunRequest struct {
	Run string `json:"run"`
	// At is when; now if it is zero.
	At PointInTime `json:"at,omitzero"`
}

// RunReport is everything about one run.
type RunReport struct {
	Details RunDetails `json:"details"`
	// Position is the position of the log as of which it is reported.
	Position eventstore.Position `json:"position"`
	// BegunAt is when the run first had a device; absent for one that never did.
	BegunAt time.Time `json:"begun_at,omitzero"`
	// CanResume says that the run has not ended for good, as recorded at Position.
	CanResume bool `json:"can_resume"`
	// Evaluations are those within epochs. Stopped says when the run stopped early,
	// if it did.
	Evaluations []training.Evaluation  `json:"evaluations"`
	Stopped     *training.EarlyStopped `json:"early_stopped,omitempty"`
	// BestStep is the step of the checkpoint with the best monitored figure, by default
	// the lowest validation loss, at the end of an epoch; 0 if there is none.
	BestStep uint64 `json:"best_step"`
	// MissingSteps are those of the checkpoints whose files are not there.
	MissingSteps []uint64 `json:"missing_steps"`
	// Folder has the files of the run.
	Folder string `json:"folder"`
}

// AnnotateRequest asks for other notes about a run, in whatever state it is.
type AnnotateRequest struct {
	Run string `json:"run"`
	// Name and Note replace what was there, and remove it if they are empty; nil leaves
	// it.
	Name *string `json:"name,omitempty"`
	Note *string `json:"note,omitempty"`
	// Tag are tags to add, Untag tags to remove.
	Tag   []string `json:"tag,omitempty"`
	Untag []string `json:"untag,omitempty"`
}

// Annotated is what is noted about a run.
type Annotated struct {
	RunID training.RunID `json:"run_id"`
	queue.Annotation
}

// KeptCheckpoints returns the checkpoints whose files were not removed.
func (d RunDetails) KeptCheckpoints() []training.Checkpoint {
	return training.TrainingRun{Checkpoints: d.Checkpoints, Removed: d.RemovedCheckpoints}.Kept()
}

// RunDetails is a run with all that is recorded of it.
type RunDetails struct {
	Run
	SessionID       training.SessionID       `json:"session_id"`
	ModelID         nn.ModelID               `json:"model_id"`
	Architecture    nn.Architecture          `json:"architecture"`
	Data            training.Dataset         `json:"data"`
	Hyperparameters training.Hyperparameters `json:"hyperparameters"`
	// MovedData says where the data are now, if that is not where Data says.
	MovedData *training.DatasetMoved `json:"moved_data,omitempty"`
	// History has the completed epochs.
	History []Epoch `json:"epochs_history"`
	// Figures are those of the best checkpoint on the validation split, once the run has
	// completed. Runs of older versions have none.
	Figures     *training.FiguresComputed `json:"figures,omitempty"`
	Checkpoints []training.Checkpoint     `json:"checkpoints"`
	// RemovedCheckpoints are the steps of those whose files were removed, as config.keep
	// asks.
	RemovedCheckpoints []uint64              `json:"removed_checkpoints,omitempty"`
	CheckpointsDir     string                `json:"checkpoints_dir"`
	Saga               training.TrainingSaga `json:"saga"`
	// Interruptions counts how often training was stopped, Reproduced the epochs that
	// were then trained again, with the same figures.
	Interruptions int `json:"interruptions"`
	Reproduced    int `json:"reproduced_epochs"`
	// Request is the training request in its canonical form.
	Request json.RawMessage `json:"request,omitempty"`
	Lineage
}

// Outcome is what a run has reached, with the figures of its best checkpoint.
type Outcome struct {
	Result
	Figures *training.FiguresComputed `json:"figures,omitempty"`
}

// Outcome returns what the run has reached.
func (d RunDetails) Outcome() Outcome { return Outcome{Result: d.Result, Figures: d.Figures} }

// Lineage is where a run comes from and what came from it.
type Lineage struct {
	Parent *training.Parent `json:"parent,omitempty"`
	// Init says which initial weights do not come from the seed.
	Init *training.Init `json:"init,omitempty"`
	// Changes are the fields of the request that differ from the parent's.
	Changes []Change `json:"changes,omitempty"`
	Forks   []Fork   `json:"forks"`
	// Deleted says when runs were deleted that are named here or in Job.RetryOf.
	Deleted map[training.RunID]time.Time `json:"deleted_relatives,omitempty"`
}

// Fork is a fork in the record of its parent.
type Fork struct {
	RunID training.RunID `json:"run_id"`
	// Step is where the two part.
	Step    uint64         `json:"step"`
	State   training.State `json:"state"`
	Changes []Change       `json:"changes"`
}

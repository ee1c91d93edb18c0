package api

import (
	"encoding/json"

	"reprise/device"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

// MaxRequests bounds the training requests of one submission, and their runs: as many as a
// process lets wait.
const MaxRequests = 1000

// RequestFile is a training request as it was written.
type RequestFile struct {
	// Name is that of the file, for messages, and relative data set paths are looked up
	// from its folder; "-" is standard input.
	Name Text `json:"name"`
	// Content is YAML or JSON.
	Content Text `json:"content"`
	// Unreadable says why whoever submits the file has no content. The submission is
	// refused, together with everything that is wrong with the others.
	Unreadable *Error `json:"unreadable,omitempty"`
}

// Settings change fields of training requests.
type Settings struct {
	// Values are FIELD=VALUE each, with the value in YAML.
	Values []Text `json:"values,omitempty"`
	// Origin is what messages call where they come from; "" stands for "setting".
	Origin string `json:"origin,omitempty"`
}

// Parse returns the settings; see [ParseSetting].
func (s Settings) Parse() []Setting {
	list := make([]Setting, len(s.Values))
	for i, text := range s.Values {
		list[i] = ParseSetting(string(text), s.Origin)
	}
	return list
}

// ValidateRequest asks what a training request would train.
type ValidateRequest struct {
	File     RequestFile `json:"file"`
	Settings Settings    `json:"settings,omitzero"`
	// Folder is the absolute path of the folder that relative paths start from.
	Folder Text `json:"folder"`
}

// Validation describes a request that can be trained.
type Validation struct {
	Valid bool           `json:"valid"`
	Model ValidatedModel `json:"model"`
	// Init says which initial weights do not come from the seed.
	Init            *training.Init           `json:"init,omitempty"`
	Data            training.Dataset         `json:"data"`
	Hyperparameters training.Hyperparameters `json:"hyperparameters"`
	TotalSteps      uint64                   `json:"total_steps"`
	// Folds is how many runs it would train, one for each fold; absent for a single run. The
	// rest is about the first of them.
	Folds   int           `json:"folds,omitempty"`
	Memory  nn.MemoryPlan `json:"memory"`
	Devices []Placement   `json:"devices"`
	// Job is how it would be queued; null for a request that says nothing about that.
	Job *ValidatedJob `json:"job,omitempty"`
}

// ValidatedJob is how a request would be queued.
type ValidatedJob struct {
	Owner    string `json:"owner,omitempty"`
	Group    string `json:"group,omitempty"`
	Priority int    `json:"priority,omitempty"`
	// After are the runs that have to complete first, by their whole ids.
	After []queue.JobID `json:"after,omitempty"`
	// MaxSeconds bounds for how long it has devices; 0 is no bound.
	MaxSeconds float64  `json:"max_seconds,omitempty"`
	Labels     []string `json:"labels,omitempty"`
	queue.Annotation
}

// ValidatedModel is a model and its size.
type ValidatedModel struct {
	Architecture nn.Architecture `json:"architecture"`
	Parameters   int             `json:"parameters"`
}

// Placement says whether a device would take a run, and if not, why.
type Placement struct {
	Device  device.ID       `json:"device"`
	Takes   bool            `json:"takes"`
	Refusal []device.Reason `json:"refusal,omitempty"`
}

// SubmitRequest asks for a run of each of several training requests, or for a run of each
// fold of those that have folds. The folds of a request that names no group are a group of
// their own.
type SubmitRequest struct {
	// Files are 1 to MaxRequests requests, as are the runs that they ask for. Settings change
	// each of them.
	Files    []RequestFile `json:"files"`
	Settings Settings      `json:"settings,omitzero"`
	// Folder is the absolute path of the folder that relative paths start from.
	Folder Text `json:"folder"`
	// Name is what to call the only run, instead of what its request says; folds are called
	// NAME-fold1 and so on. Tags are added to those of each request.
	Name string   `json:"name,omitempty"`
	Tags []string `json:"tags,omitempty"`
	Note string   `json:"note,omitempty"`
	// RunIDs are the ids that the runs shall have, in the order of Runs, for a caller that has
	// to know them even if the answer does not reach it. Without them, the service draws
	// ids.
	RunIDs []training.RunID `json:"run_ids,omitempty"`
}

// Submission is what became of a training request, or of a run to be resumed.
type Submission struct {
	// Index is the place in SubmitRequest.Runs, or among the runs to be resumed, from 0.
	Index int `json:"index"`
	// RunID is the run that was started.
	RunID training.RunID `json:"run_id,omitempty"`
	// Error is why none was; no more were tried then.
	Error *Error `json:"error,omitempty"`
}

// ForkRequest asks for a new run from a checkpoint of another one.
type ForkRequest struct {
	Run string `json:"run"`
	// From is the step of the checkpoint; the last one if it is null.
	From *uint64 `json:"from,omitempty"`
	// Settings change fields of the run's request.
	Settings Settings `json:"settings,omitzero"`
	MovedData
	// NewRun is the id that the fork shall have, as SubmitRequest.RunIDs.
	NewRun training.RunID `json:"new_run,omitempty"`
}

// Forked is a fork that was started.
type Forked struct {
	RunID  training.RunID `json:"run_id"`
	Parent training.RunID `json:"parent"`
	// Step is where the two part.
	Step    uint64   `json:"step"`
	Changes []Change `json:"changes"`
}

// ResumeRequest names runs to be resumed.
type ResumeRequest struct {
	Target
	// MovedData is recorded: from then on the runs find their data there.
	MovedData
}

// MovedData says where the data of runs are now. They must be the data that each of the
// runs was started with, by their fingerprint.
type MovedData struct {
	// Dataset is a name of the catalogue, a folder, a file or a pattern; "" for where the
	// data were last. A relative path starts from Folder or, without it, from the
	// folder that the service runs in.
	Dataset Text `json:"dataset,omitempty"`
	Folder  Text `json:"folder,omitempty"`
}

// FollowRequest names runs to be followed.
type FollowRequest struct {
	Runs []string `json:"runs"`
	// Others asks for the updates of whatever else trains or waits in the process of the
	// service, too, until the named runs are at rest. Without named runs, it is until no
	// run is left in the process.
	Others bool `json:"others,omitempty"`
}

// RunUpdate is something that happened to a run. Exactly one of the other fields is set.
//
// A follower gets the events and the end of a run all and in order. One that comes
// late gets the newest events first, and one that is slow gets steps together.
type RunUpdate struct {
	RunID training.RunID `json:"run_id"`
	// Dropped is how many updates before this one, of any run, the follower was too slow
	// for. The log has their events.
	Dropped int `json:"dropped,omitempty"`
	// Begin is the run as recorded when it was started, or when it was resumed.
	Begin *RunReport `json:"begin,omitempty"`
	// Event was recorded.
	Event *RunEvent `json:"event,omitempty"`
	// Job is an event of the run's job that was recorded. Those before Begin are of a job
	// whose run does not exist yet.
	Job *RunEvent `json:"job,omitempty"`
	// Notice is what there is to say while the job is prepared, such as how far a download
	// is.
	Notice *Notice `json:"notice,omitempty"`
	// Steps were taken.
	Steps *StepsTaken `json:"steps,omitempty"`
	// End is the run at rest: ended, paused or interrupted; see Run.State for one that was
	// never started. Unfinished is why it did not get there, which the next process that
	// holds the data directory settles. Only a run that was paused can have updates after
	// either: it was resumed, or has ended since.
	End        *RunReport `json:"end,omitempty"`
	Unfinished *Error     `json:"unfinished,omitempty"`
}

// RunEvent is an event of a run or its job, with type and payload as the log has them.
type RunEvent struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

// StepsTaken are one or more steps of the optimizer since the update before.
type StepsTaken struct {
	// Step and Epoch are those of the last one, counted from 1.
	Step  uint64 `json:"step"`
	Epoch uint64 `json:"epoch"`
	// Count is the number of steps, Samples that of their samples, Loss the mean of
	// their losses.
	Count        int     `json:"count"`
	Samples      int     `json:"samples"`
	Loss         float64 `json:"loss"`
	LearningRate float32 `json:"learning_rate"`
	// EpochDone says that the last one ends its epoch.
	EpochDone bool `json:"epoch_done,omitempty"`
}

// InterruptRequest names runs to be interrupted.
type InterruptRequest struct {
	Runs []string `json:"runs"`
	// Cause is recorded as why.
	Cause string `json:"cause"`
}

// Interrupted has the runs that were asked to stop: those that are under way.
type Interrupted struct {
	Runs []training.RunID `json:"runs"`
}

// Values returns the figures, with 0 for those that there are not.
func (m Metrics) Values() training.Metrics {
	value := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	return training.Metrics{TrainLoss: value(m.TrainLoss), ValLoss: value(m.ValLoss), ValAccuracy: value(m.ValAccuracy), Monitored: m.Monitored}
}

package training

import (
	"encoding/json"
	"testing"

	"reprise/nn"
	"reprise/tensor"
)

// Events are for ever: a log that was written once must be readable always.
func TestEventsKeepTheirNamesAndJSONForm(t *testing.T) {
	lease := Allocation{Device: "cpu0", Lease: "l", Epoch: 3}
	metrics := Metrics{TrainLoss: 0.5, ValLoss: 0.25, ValAccuracy: 0.75}
	checkpoint := Checkpoint{SessionID: "s", Epoch: 1, Step: 45, Dir: "step-00000045", ManifestSHA256: "aa", WeightsSHA256: "bb", SeriesSHA256: "cc", Loss: 0.5}
	for _, c := range []struct {
		event      Event
		name, form string
	}{
		{TrainingStarted{
			RunID: "r", SessionID: "s", ModelID: "m",
			Architecture: nn.Architecture{Input: tensor.Shape{2}, Layers: nn.Layers{nn.Linear{Units: 2}}},
			Dataset:      Dataset{ID: "d", Path: "p", Fingerprint: "f", Training: 8, Validation: 2, SampleShape: []int{2}, Classes: 2},
			Hyperparameters: Hyperparameters{
				BatchSize: 4, Epochs: 3, Optimizer: nn.Optimizer{Name: nn.SGD, Momentum: 0.5}, Seed: 7, Shards: 1, CheckpointInterval: 1,
				LearningRate: LearningRate{Value: 0.25, Schedule: Schedule{Name: Cosine, WarmupSteps: 1, TotalSteps: 6}},
			},
			Request: json.RawMessage(`{}`),
		}, "training.training_started.v1", `{"run_id":"r","session_id":"s","model_id":"m",` +
			`"architecture":{"input":[2],"layers":[{"type":"linear","units":2}]},` +
			`"dataset":{"id":"d","path":"p","fingerprint":"f","training_samples":8,"validation_samples":2,"sample_shape":[2],"classes":2},` +
			`"hyperparameters":{"batch_size":4,"epochs":3,"optimizer":{"name":"sgd","momentum":0.5},` +
			`"learning_rate":{"value":0.25,"schedule":{"name":"cosine","warmup_steps":1,"total_steps":6}},` +
			`"seed":7,"shards":1,"checkpoint_interval":1},"request":{}}`},
		{ResourceAllocated{lease}, "training.resource_allocated.v1", `{"device":"cpu0","lease":"l","lease_epoch":3}`},
		{ResourceAllocationFailed{"r"}, "training.resource_allocation_failed.v1", `{"reason":"r"}`},
		{DatasetLoaded{"d", "f"}, "training.dataset_loaded.v1", `{"dataset":"d","fingerprint":"f"}`},
		{DatasetLoadFailed{"r"}, "training.dataset_load_failed.v1", `{"reason":"r"}`},
		{ModelInitialized{45, "bb"}, "training.model_initialized.v1", `{"step":45,"weights_sha256":"bb"}`},
		{ModelInitializationFailed{"r"}, "training.model_initialization_failed.v1", `{"reason":"r"}`},
		{EpochCompleted{1, 45, metrics}, "training.epoch_completed.v1", `{"epoch":1,"step":45,"train_loss":0.5,"val_loss":0.25,"val_accuracy":0.75}`},
		{EpochReproduced{1, 45}, "training.epoch_reproduced.v1", `{"epoch":1,"step":45}`},
		{CheckpointCommitted{checkpoint}, "training.checkpoint_committed.v1", `{"session_id":"s","epoch":1,"step":45,"dir":"step-00000045",` +
			`"manifest_sha256":"aa","weights_sha256":"bb","series_sha256":"cc","loss":0.5}`},
		{CheckpointFailed{45, "r"}, "training.checkpoint_failed.v1", `{"step":45,"reason":"r"}`},
		{TrainingInterrupted{"c"}, "training.training_interrupted.v1", `{"cause":"c"}`},
		{TrainingResumed{45, ""}, "training.training_resumed.v1", `{"from_step":45}`},
		{TrainingResumed{45, "a"}, "training.training_resumed.v1", `{"from_step":45,"worker":"a"}`},
		{TrainingFailed{45, "r"}, "training.training_failed.v1", `{"step":45,"reason":"r"}`},
		{TrainingCompleted{1, 45, "bb", metrics}, "training.training_completed.v1", `{"epoch":1,"step":45,"weights_sha256":"bb","train_loss":0.5,"val_loss":0.25,"val_accuracy":0.75}`},
		{DeviceReleased{lease}, "training.device_released.v1", `{"device":"cpu0","lease":"l","lease_epoch":3}`},
		{DatasetUnloaded{"d"}, "training.dataset_unloaded.v1", `{"dataset":"d"}`},
		{RunFailed{"r"}, "training.run_failed.v1", `{"reason":"r"}`},
	} {
		raw, err := json.Marshal(c.event)
		if err != nil || string(raw) != c.form || c.event.EventType() != c.name {
			t.Errorf("%s, %v:\n%s\nwant %s:\n%s", c.event.EventType(), err, raw, c.name, c.form)
		}
	}
}

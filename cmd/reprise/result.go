package main

import (
	"reprise/integration"
	"reprise/training"
)

// result is the one object that `-o json` prints.
type result struct {
	RunID         training.RunID `json:"run_id"`
	State         training.State `json:"state"`
	Epoch         uint64         `json:"epoch"`
	Step          uint64         `json:"step"`
	WeightsSHA256 string         `json:"weights_sha256"`
	Metrics       resultMetrics  `json:"metrics"`
}

// resultMetrics are null before the first epoch is complete; a regression has no
// accuracy.
type resultMetrics struct {
	TrainLoss   *float64 `json:"train_loss"`
	ValLoss     *float64 `json:"val_loss"`
	ValAccuracy *float64 `json:"val_accuracy"`
}

// resultOf describes the run as of its last committed checkpoint, or as of the
// one that it was forked from.
func resultOf(r integration.RunSummary) result {
	out := result{RunID: r.RunID, State: r.State, Epoch: r.Epoch, Step: r.Step, WeightsSHA256: r.WeightsSHA256}
	if m := r.Metrics; m != nil {
		out.Metrics = resultMetrics{TrainLoss: &m.TrainLoss, ValLoss: &m.ValLoss}
		if r.HasAccuracy {
			out.Metrics.ValAccuracy = &m.ValAccuracy
		}
	}
	return out
}

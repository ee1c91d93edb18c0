package main

import (
	"reprise/journal"
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
func resultOf(r journal.RunSummary) result {
	out := result{RunID: r.RunID, State: r.State, Epoch: r.Epoch, Step: r.Step, WeightsSHA256: r.WeightsSHA256}
	if m := r.Metrics; m != nil {
		out.Metrics = metricsOf(*m, r.HasAccuracy)
	}
	return out
}

// metricsOf returns the figures without an accuracy where the task has none.
func metricsOf(m training.Metrics, accurate bool) resultMetrics {
	out := resultMetrics{TrainLoss: &m.TrainLoss, ValLoss: &m.ValLoss}
	if accurate {
		out.ValAccuracy = &m.ValAccuracy
	}
	return out
}

// resultEpoch is a completed epoch.
type resultEpoch struct {
	Epoch uint64 `json:"epoch"`
	Step  uint64 `json:"step"`
	resultMetrics
}

// epochsOf describes the completed epochs of a run; none is an empty list.
func epochsOf(r training.TrainingRun) []resultEpoch {
	list := make([]resultEpoch, len(r.Metrics))
	for i, m := range r.Metrics {
		list[i] = resultEpoch{Epoch: m.Epoch, Step: m.Step, resultMetrics: metricsOf(m.Metrics, r.Session.Dataset.HasAccuracy())}
	}
	return list
}

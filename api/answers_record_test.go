package api_test

import (
	"errors"
	"slices"
	"testing"

	"reprise/api"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

func TestAnExplanationSaysWhatHasToChange(t *testing.T) {
	lasting, unfit, busy := queue.Reason{Code: "memory"}, queue.Reason{Code: queue.CodeUnfit, Transient: true}, queue.Reason{Code: queue.CodeBusy, Transient: true}
	for want, x := range map[string]api.Explanation{
		"":                                   {State: training.Running, Decision: &api.RunDecision{Reasons: []queue.Reason{lasting}}},
		"a device that can take it is added": {State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{lasting, busy}}},
		"a device that could take it is healthy again and has enough memory free": {
			State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{unfit, busy}},
		},
		"a run that holds a device ends, is interrupted or has to give way": {
			State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{busy}},
		},
		"a run that holds a device ends, is interrupted or has to give way, and the run ahead of it has had its turn": {
			State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{busy}, Ahead: []training.RunID{"a"}},
		},
		"a run that holds a device ends, is interrupted or has to give way, and the 2 runs ahead of it have had their turns": {
			State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{busy}, Ahead: []training.RunID{"a", "b"}},
		},
		"it is resumed":                 {State: training.Initializing, Decision: &api.RunDecision{Reasons: []queue.Reason{{Code: queue.CodePaused, Transient: true}}}},
		"the reasons above have passed": {State: training.Initializing, Decision: &api.RunDecision{}},
	} {
		if got := x.StartsWhen(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (api.Explanation{State: training.Initializing}).StartsWhen(); got != "" {
		t.Errorf("without a decision: %q", got)
	}
}

func TestADecisionThatTheRulesDoNotMakeIsCorrupt(t *testing.T) {
	if err := (api.Explanation{Decision: &api.RunDecision{Again: true}}).Err(); err != nil {
		t.Error(err)
	}
	err := api.Explanation{Decision: &api.RunDecision{Position: 7, Problem: "it placed run b first"}}.Err()
	if fault.KindOf(err) != fault.Corrupt || err.Error() != "event 7: it placed run b first: verification failed" {
		t.Errorf("%v", err)
	}
}

func TestFiguresAreCollectedInOrderUpToAnError(t *testing.T) {
	head := api.MetricsHead{RunID: "r", CanResume: true, Epochs: []api.Epoch{}}
	parts := []api.MetricsPart{{Head: &head, Steps: []api.Step{{Step: 1}, {Step: 2}}}, {Steps: []api.Step{{Step: 3}}}}
	damaged := errors.New("damaged")
	for _, last := range []error{nil, damaged} {
		m, got, err := api.CollectMetrics(func(yield func(api.MetricsPart, error) bool) {
			for _, p := range parts {
				if !yield(p, nil) {
					return
				}
			}
			if last != nil {
				yield(api.MetricsPart{}, last)
			}
		})
		if !errors.Is(err, last) {
			t.Fatalf("%v, want %v", err, last)
		}
		if err == nil && (m.RunID != "r" || !got.CanResume || !slices.Equal(m.Steps, []api.Step{{Step: 1}, {Step: 2}, {Step: 3}})) || err != nil && m.Steps != nil {
			t.Errorf("%+v, %+v, %v", m, got, err)
		}
	}
}

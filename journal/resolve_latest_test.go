package journal

import (
	"testing"

	"reprise/eventstore"
	"reprise/queue"
	"reprise/training"
)

// The latest run is the one that was submitted last, though one before it was prepared
// later. A run without a job, as in older logs, counts from its start.
func TestTheLatestRunIsTheOneThatWasSubmittedLast(t *testing.T) {
	job := func(id queue.JobID) JobRecord {
		events, err := queue.Job{}.Decide(queue.Submit{Job: id, Submission: queue.Submission{Request: []byte("{}")}})
		if err != nil {
			t.Fatal(err)
		}
		return JobRecord{Job: queue.Job{}.Apply(events[0]), Version: 1}
	}
	at := func(p eventstore.Position) PositionRange { return PositionRange{First: p, Last: p} }
	jobs := &JobList{Jobs: []JobRecord{job("a"), job("b")}, Spans: []PositionRange{at(10), at(11)}}
	for _, c := range []struct {
		want training.RunID
		runs *RunList
	}{
		{"b", &RunList{}},
		{"b", &RunList{Runs: []RunSummary{{RunID: "a"}}, Spans: []PositionRange{at(12)}}},
		{"b", &RunList{Runs: []RunSummary{{RunID: "b"}, {RunID: "a"}}, Spans: []PositionRange{at(12), at(13)}}},
		{"b", &RunList{Runs: []RunSummary{{RunID: "old"}, {RunID: "a"}}, Spans: []PositionRange{at(9), at(12)}}},
		{"bare", &RunList{Runs: []RunSummary{{RunID: "a"}, {RunID: "bare"}}, Spans: []PositionRange{at(12), at(14)}}},
	} {
		if got, err := Resolve(c.runs, jobs, "latest"); err != nil || got != c.want {
			t.Errorf("of %+v: %s, %v, want %s", c.runs.Runs, got, err, c.want)
		}
	}
}

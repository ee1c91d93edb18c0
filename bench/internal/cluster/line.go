package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// Line is what a replay came to. Times are minutes.
type Line struct {
	Bench    string  `json:"bench"`
	Trace    string  `json:"trace"`
	Policy   string  `json:"policy"`
	Patience float64 `json:"patience,omitempty"`
	// Known says that the policy was told how long each job takes.
	Known          bool    `json:"durations_known,omitempty"`
	Jobs           int     `json:"jobs"`
	Devices        int     `json:"devices"`
	MeanCompletion float64 `json:"mean_completion"`
	MeanWait       float64 `json:"mean_wait"`
	P99Wait        float64 `json:"p99_wait"`
	MaxWait        float64 `json:"max_wait"`
	Preemptions    int     `json:"preemptions"`
	Makespan       float64 `json:"makespan"`
	// Rate is how many jobs a second were decided about; 0 if it was not recorded.
	Rate float64 `json:"decisions_per_second,omitempty"`
}

// Line returns the figures of a result.
func (r Result) Line() Line {
	waits := slices.Sorted(slices.Values(r.Wait))
	return Line{
		Bench: "scheduler", Jobs: len(waits),
		MeanCompletion: mean(r.Completion), MeanWait: mean(r.Wait),
		P99Wait: round(waits[(len(waits)-1)*99/100].Minutes()), MaxWait: round(waits[len(waits)-1].Minutes()),
		Preemptions: r.Preemptions, Makespan: round(r.Makespan.Minutes()),
		Rate: math.Round(float64(r.Verdicts) / r.Planning.Seconds()),
	}
}

// Write writes the line as JSON.
func (l Line) Write(w io.Writer) error { return json.NewEncoder(w).Encode(l) }

func mean(times []time.Duration) float64 {
	sum := 0.0
	for _, t := range times {
		sum += t.Minutes()
	}
	return round(sum / float64(len(times)))
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// ReadLines reads what Write wrote.
func ReadLines(path string) ([]Line, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	var lines []Line
	for decoder := json.NewDecoder(file); ; {
		var l Line
		if err := decoder.Decode(&l); err == io.EOF {
			return lines, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, len(lines)+1, err)
		}
		lines = append(lines, l)
	}
}

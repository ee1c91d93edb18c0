// Package cluster replays a trace of jobs on a simulated cluster, under the
// decisions of a queue.
package cluster

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Job is a line of a trace.
type Job struct {
	ID       string
	Owner    string
	Devices  int
	Submit   time.Duration // since the trace began
	Duration time.Duration // on its devices, without interruption
}

// Read reads a trace as CSV, with a header that names the columns job_id, user,
// num_gpu, submit_time and duration, the last two in minutes; other columns are
// ignored. Jobs without devices or duration are left out. The result is in the
// order of submission.
func Read(r io.Reader) ([]Job, error) {
	rows := csv.NewReader(r)
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header of the trace: %w", err)
	}
	var at [5]int
	for i, name := range []string{"job_id", "user", "num_gpu", "submit_time", "duration"} {
		if at[i] = slices.Index(header, name); at[i] < 0 {
			return nil, fmt.Errorf("the trace has no column %s; it has %q", name, header)
		}
	}
	var jobs []Job
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the trace: %w", err)
		}
		j := Job{ID: row[at[0]], Owner: row[at[1]]}
		var minutes [2]int
		for i, to := range []*int{&j.Devices, &minutes[0], &minutes[1]} {
			if *to, err = strconv.Atoi(row[at[2+i]]); err != nil {
				line, _ := rows.FieldPos(0)
				return nil, fmt.Errorf("line %d of the trace: %w", line, err)
			}
		}
		j.Submit, j.Duration = time.Duration(minutes[0])*time.Minute, time.Duration(minutes[1])*time.Minute
		if j.Devices > 0 && j.Duration > 0 {
			jobs = append(jobs, j)
		}
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return int(a.Submit - b.Submit) })
	return jobs, nil
}

package cluster_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"reprise/bench/internal/cluster"
	"reprise/queue"
)

const header = "job_id,user,num_gpu,submit_time,iterations,duration\n"

func read(t *testing.T, rows string) []cluster.Job {
	t.Helper()
	jobs, err := cluster.Read(strings.NewReader(header + rows))
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func TestReadSortsAndLeavesOutWhatCannotRun(t *testing.T) {
	got := read(t, "7,ada,2,30,9,60\n8,bob,0,1,9,60\n9,bob,1,5,9,0\n10,cat,1,5,9,20\n")
	want := []cluster.Job{
		{ID: "10", Owner: "cat", Devices: 1, Submit: 5 * time.Minute, Duration: 20 * time.Minute},
		{ID: "7", Owner: "ada", Devices: 2, Submit: 30 * time.Minute, Duration: time.Hour},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for text, problem := range map[string]string{
		"job_id,user,num_gpu,submit_time\n": `no column duration`,
		header + "1,ada,one,0,9,60\n":       `line 2 of the trace`,
		"":                                  `header`,
	} {
		if _, err := cluster.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: got %v, want an error with %q", text, err, problem)
		}
	}
}

func TestReplayCountsEveryMinuteThatAJobDoesNotRun(t *testing.T) {
	// One worker of one device. The second job takes it from the first, which has
	// attained more, once the quantum is over; the first then continues.
	jobs := read(t, "1,ada,1,0,9,100\n2,bob,1,50,9,10\n")
	policy := queue.Policy{Preempt: true, Quantum: 30 * time.Minute, Levels: []time.Duration{20 * time.Minute}}
	r, err := cluster.Replay(jobs, cluster.Config{
		Workers: 1, DevicesPerWorker: 1, Policy: policy, Checkpoint: time.Minute, Restart: 2 * time.Minute, Tick: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	// 50 minutes; 1 for the checkpoint, then the second's 10; 2 for the restart, and 50 more.
	if want := []time.Duration{113 * time.Minute, 11 * time.Minute}; !slices.Equal(r.Completion, want) {
		t.Errorf("completion is %v, want %v", r.Completion, want)
	}
	if want := []time.Duration{13 * time.Minute, time.Minute}; !slices.Equal(r.Wait, want) {
		t.Errorf("wait is %v, want %v", r.Wait, want)
	}
	if r.Preemptions != 1 || r.Makespan != 113*time.Minute {
		t.Errorf("%d preemptions and a makespan of %v, want 1 and 1h53m", r.Preemptions, r.Makespan)
	}
}

func TestReplayEndsWhereAPolicyNeverPlaces(t *testing.T) {
	jobs := read(t, "1,ada,1,0,9,100\n")
	_, err := cluster.Replay(jobs, cluster.Config{Workers: 1, DevicesPerWorker: 1, Policy: queue.Policy{Quotas: map[string]int{"ada": 0}}})
	if err == nil || !strings.Contains(err.Error(), "never places them") {
		t.Errorf("got %v", err)
	}
	if _, err := cluster.Replay(read(t, "1,ada,9,0,9,100\n"), cluster.Config{Workers: 1, DevicesPerWorker: 8}); err == nil {
		t.Error("a job that is larger than the cluster is accepted")
	}
}

// In a small cluster under load, every job ends, gangs of a worker's size or less
// are on one worker, and no device has two jobs.
func TestReplayKeepsGangsTogether(t *testing.T) {
	placed := 0
	check := func(s *queue.Snapshot, d queue.Decision) error {
		on := map[string]queue.JobID{}
		gone := map[queue.JobID]bool{}
		for _, p := range d.Placed {
			for _, v := range p.Preempt {
				gone[v] = true
			}
		}
		hold := func(id queue.JobID, devices []string) error {
			workers := map[string]bool{}
			for _, dev := range devices {
				if other, taken := on[dev]; taken {
					return fmt.Errorf("%s and %s are both on %s", id, other, dev)
				}
				on[dev] = id
				workers[strings.Split(dev, ".")[0]] = true
			}
			if want := (len(devices) + 7) / 8; len(workers) != want {
				return fmt.Errorf("%s with %d devices is on %d workers, want %d", id, len(devices), len(workers), want)
			}
			return nil
		}
		for _, j := range s.Jobs {
			if len(j.On) > 0 && !gone[j.ID] {
				if err := hold(j.ID, text(j.On)); err != nil {
					return err
				}
			}
		}
		for _, p := range d.Placed {
			placed++
			if err := hold(p.Job, text(p.On)); err != nil {
				return err
			}
		}
		return nil
	}
	jobs := cluster.Generate(300, 1)
	for i := range jobs {
		jobs[i].Submit /= 20 // as much load as would be in seven hours
	}
	r, err := cluster.Replay(jobs, cluster.Config{
		Workers: 10, DevicesPerWorker: 8, Policy: queue.DefaultPolicy(), Checkpoint: time.Minute, Restart: 2 * time.Minute, Tick: 5 * time.Minute, Check: check,
	})
	if err != nil {
		t.Fatal(err)
	}
	if placed < 300 || r.Preemptions == 0 {
		t.Errorf("%d placements and %d preemptions: nothing was tried", placed, r.Preemptions)
	}
	for i, c := range r.Completion {
		if c < jobs[i].Duration {
			t.Errorf("%s ends after %v, but takes %v", jobs[i].ID, c, jobs[i].Duration)
		}
	}
}

func text[S ~string](list []S) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

func TestGenerateHasTheDistributionsOfTheTrace(t *testing.T) {
	jobs := cluster.Generate(30_756, 1)
	if again := cluster.Generate(30_756, 1); !reflect.DeepEqual(jobs, again) {
		t.Error("the same seed gives another trace")
	}
	sizes := map[int]int{}
	var single []time.Duration
	last := time.Duration(0)
	for _, j := range jobs {
		sizes[j.Devices]++
		if j.Devices == 1 {
			single = append(single, j.Duration)
		}
		if j.Submit < last {
			t.Fatalf("%s is out of order", j.ID)
		}
		last = j.Submit
	}
	slices.Sort(single)
	for _, c := range []struct {
		what     string
		got      float64
		low, top float64
	}{
		{"share of single devices", float64(sizes[1]) / 30_756, 0.91, 0.93},
		{"gangs of eight", float64(sizes[8]), 780, 970},
		{"median duration of single devices, minutes", single[len(single)/2].Minutes(), 54, 60},
		{"its 95th percentile", single[len(single)*95/100].Minutes(), 780, 960},
		{"last submission, days", last.Hours() / 24, 13.9, 14},
	} {
		if c.got < c.low || c.got > c.top {
			t.Errorf("%s: %v, want %v to %v", c.what, c.got, c.low, c.top)
		}
	}
}

package cluster

import (
	"fmt"
	"slices"
	"time"

	"reprise/device"
	"reprise/queue"
)

// Config is a simulated cluster and the policy that it is shared by.
type Config struct {
	Workers, DevicesPerWorker int
	Policy                    queue.Policy
	// Checkpoint is how long a job that gives way still holds its devices, and
	// Restart how long it holds the next ones before it makes progress again.
	Checkpoint, Restart time.Duration
	// Estimates tells the queue how long each job will take.
	Estimates bool
	// Tick is how often the queue decides while jobs wait and nothing else happens.
	Tick time.Duration
	// Check, if set, sees every decision.
	Check func(*queue.Snapshot, queue.Decision) error
}

// Result are the figures of a replay.
type Result struct {
	Completion  []time.Duration // from submission to the end, by job
	Wait        []time.Duration // of these, without progress
	Preemptions int
	Decisions   int           // plans made
	Verdicts    int           // jobs decided about
	Planning    time.Duration // spent in plans
	Makespan    time.Duration
}

// state of a job in the simulation.
type state struct {
	*Job
	seen   queue.Entry   // as the queue sees it
	began  bool          // was placed before
	from   time.Duration // progress is made from then on
	served time.Duration // progress until it was placed
}

// Replay runs the trace until its last job has ended.
func Replay(trace []Job, c Config) (Result, error) {
	s := &simulation{Config: c, jobs: make([]state, len(trace)), at: map[queue.JobID]int{}, usage: map[string]time.Duration{}}
	for i := range trace {
		j := &trace[i]
		if j.Devices > c.Workers*c.DevicesPerWorker {
			return Result{}, fmt.Errorf("job %s wants %d devices, and the cluster has %d", j.ID, j.Devices, c.Workers*c.DevicesPerWorker)
		}
		s.jobs[i] = state{Job: j}
		s.at[queue.JobID(j.ID)] = i
	}
	for w := range c.Workers {
		for d := range c.DevicesPerWorker {
			s.devices = append(s.devices, queue.Device{
				ID: device.ID(fmt.Sprintf("w%04d.gpu%02d", w, d)), Worker: fmt.Sprintf("w%04d", w),
				Description: device.Description{
					ID: device.ID(fmt.Sprintf("w%04d.gpu%02d", w, d)), Kind: device.CUDA, Health: device.Healthy, Slots: 1,
				},
			})
		}
	}
	return s.run()
}

// simulation is the state of one Replay.
type simulation struct {
	Config
	now     time.Duration
	next    int // job to arrive
	jobs    []state
	at      map[queue.JobID]int
	active  []int // submitted and not ended, in the order of arrival
	devices []queue.Device
	vacant  map[device.ID]time.Duration // when a device that a job had to leave is free
	usage   map[string]time.Duration
	result  Result
}

func (s *simulation) run() (Result, error) {
	s.vacant = map[device.ID]time.Duration{}
	s.result.Completion = make([]time.Duration, len(s.jobs))
	s.result.Wait = make([]time.Duration, len(s.jobs))
	for s.next < len(s.jobs) || len(s.active) > 0 {
		if err := s.advance(); err != nil {
			return Result{}, err
		}
		s.end()
		for s.next < len(s.jobs) && s.jobs[s.next].Submit <= s.now {
			j := &s.jobs[s.next]
			j.seen = queue.Entry{ID: queue.JobID(j.ID), Owner: j.Owner, Submitted: j.Submit, Devices: j.Devices}
			s.active = append(s.active, s.next)
			s.next++
		}
		if err := s.plan(); err != nil {
			return Result{}, err
		}
	}
	s.result.Makespan = s.now
	return s.result, nil
}

// progress is how long the job has made progress by now.
func (j *state) progress(now time.Duration) time.Duration {
	if len(j.seen.On) == 0 {
		return j.served
	}
	return j.served + max(0, now-j.from)
}

// ends is when a running job ends if it is left alone.
func (j *state) ends() time.Duration { return j.from + j.Duration - j.served }

// advance moves the time to whatever happens next.
func (s *simulation) advance() error {
	next, waits := time.Duration(-1), false
	sooner := func(t time.Duration) {
		if next < 0 || t < next {
			next = t
		}
	}
	if s.next < len(s.jobs) {
		sooner(s.jobs[s.next].Submit)
	}
	running := false
	for _, i := range s.active {
		if j := &s.jobs[i]; len(j.seen.On) > 0 {
			sooner(j.ends())
			running = true
		} else {
			waits = true
		}
	}
	if waits && !running && s.next == len(s.jobs) {
		return fmt.Errorf("at %v %d jobs wait, none runs, and none will come: the policy never places them", s.now, len(s.active))
	}
	if waits && s.Tick > 0 {
		sooner(s.now + s.Tick)
	}
	s.now = max(next, s.now)
	return nil
}

// end takes the jobs off that have ended.
func (s *simulation) end() {
	s.active = slices.DeleteFunc(s.active, func(i int) bool {
		j := &s.jobs[i]
		if len(j.seen.On) == 0 || j.ends() > s.now {
			return false
		}
		s.usage[j.Owner] += j.progress(s.now) * time.Duration(j.Devices)
		s.result.Completion[i] = s.now - j.Submit
		s.result.Wait[i] = s.now - j.Submit - j.Duration
		return true
	})
}

// plan asks the queue and does what it says.
func (s *simulation) plan() error {
	snapshot := &queue.Snapshot{Now: s.now, Devices: s.devices, Policy: s.Policy, Jobs: make([]queue.Entry, len(s.active))}
	waits := 0
	for k, i := range s.active {
		j := &s.jobs[i]
		j.seen.Served = j.progress(s.now)
		j.seen.Waited = s.now - j.Submit - j.seen.Served
		if s.Estimates {
			j.seen.Remaining = j.Duration - j.seen.Served
		}
		snapshot.Jobs[k] = j.seen
		if len(j.seen.On) == 0 {
			waits++
		}
	}
	if waits == 0 {
		return nil
	}
	snapshot.Usage = s.owners()
	began := time.Now()
	decision := queue.Plan(snapshot)
	s.result.Planning += time.Since(began)
	s.result.Decisions++
	s.result.Verdicts += waits
	if s.Check != nil {
		if err := s.Check(snapshot, decision); err != nil {
			return err
		}
	}
	for _, p := range decision.Placed {
		for _, v := range p.Preempt {
			s.preempt(&s.jobs[s.at[v]])
		}
	}
	for _, p := range decision.Placed {
		s.place(&s.jobs[s.at[p.Job]], p.On)
	}
	return nil
}

// owners is the device time that each owner has used.
func (s *simulation) owners() map[string]time.Duration {
	if s.Policy.Order != queue.OrderShare {
		return nil
	}
	usage := make(map[string]time.Duration, len(s.usage))
	for owner, used := range s.usage {
		usage[owner] = used
	}
	for _, i := range s.active {
		j := &s.jobs[i]
		usage[j.Owner] += j.seen.Served * time.Duration(j.Devices)
	}
	return usage
}

func (s *simulation) preempt(j *state) {
	if len(j.seen.On) == 0 {
		return // named by two placements
	}
	j.served = j.progress(s.now)
	for _, d := range j.seen.On {
		s.vacant[d] = s.now + s.Checkpoint
	}
	j.seen.On = nil
	s.result.Preemptions++
}

func (s *simulation) place(j *state, on []device.ID) {
	j.from = s.now
	for _, d := range on {
		j.from = max(j.from, s.vacant[d])
	}
	if j.began {
		j.from += s.Restart
	}
	j.began = true
	j.seen.On, j.seen.Since = on, s.now
}

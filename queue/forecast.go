package queue

import (
	"math"
	"slices"
	"time"
)

// maxForecast bounds the decisions that a forecast makes.
const maxForecast = 10_000

// Forecast returns when each waiting job will probably start, by making the
// decisions that follow, if every running job ends after its estimate and nothing
// is submitted meanwhile. A job without an estimate runs for ever. Jobs that would
// then never start, or not within some thousands of decisions, are left out.
func Forecast(s *Snapshot) map[JobID]time.Duration {
	f := &forecast{Snapshot: *s, starts: map[JobID]time.Duration{}}
	f.Jobs = slices.Clone(s.Jobs)
	waiting := 0
	for i := range f.Jobs {
		j := &f.Jobs[i]
		j.After = slices.Clone(j.After)
		f.finite = append(f.finite, j.Remaining > 0)
		if len(j.On) == 0 {
			waiting++
		}
	}
	for range maxForecast {
		f.decide()
		if len(f.starts) == waiting || !f.advance() {
			break
		}
	}
	return f.starts
}

// forecast is a snapshot that moves on.
type forecast struct {
	Snapshot
	finite []bool // by job: it has an estimate
	starts map[JobID]time.Duration
}

// decide carries a decision out.
func (f *forecast) decide() {
	at := make(map[JobID]int, len(f.Jobs))
	for i := range f.Jobs {
		at[f.Jobs[i].ID] = i
	}
	d := Plan(&f.Snapshot)
	for _, p := range d.Placed {
		for _, v := range p.Preempt {
			f.Jobs[at[v]].On = nil
		}
	}
	for _, p := range d.Placed {
		j := &f.Jobs[at[p.Job]]
		j.On, j.Since = p.On, f.Now
		if _, began := f.starts[p.Job]; !began {
			f.starts[p.Job] = f.Now
		}
	}
}

// advance moves to the next time at which a decision may differ, and reports
// whether there is one.
func (f *forecast) advance() bool {
	step := never
	in := func(d time.Duration) {
		if d > 0 {
			step = min(step, d)
		}
	}
	top := f.topRunning()
	for i := range f.Jobs {
		j := &f.Jobs[i]
		if len(j.On) == 0 {
			if in(j.NotBefore - f.Now); j.held(f.Now) {
				continue
			}
			in(f.Policy.Patience - j.Waited)
			// Age makes a difference by itself only until it allows the job to take the
			// devices of any other; its place among those that wait is looked at
			// whenever a device becomes free.
			if f.Policy.Ageing > 0 && f.Policy.Preempt && f.Policy.aged(j) <= top {
				in(f.Policy.Ageing - j.Waited%f.Policy.Ageing)
			}
			continue
		}
		if f.finite[i] {
			in(j.Remaining)
		}
		if f.Policy.Preempt {
			in(j.Since + f.Policy.Quantum - f.Now)
			if l := f.Policy.level(j.attained()); l < len(f.Policy.Levels) {
				size := time.Duration(j.size())
				in((f.Policy.Levels[l] - j.attained() + size - 1) / size)
			}
		}
	}
	if step == never {
		return false
	}
	f.Now += step
	f.pass(step)
	return true
}

// topRunning returns the highest priority of the jobs that run.
func (f *forecast) topRunning() int {
	top := math.MinInt
	for i := range f.Jobs {
		if j := &f.Jobs[i]; len(j.On) > 0 {
			top = max(top, f.Policy.aged(j))
		}
	}
	return top
}

// pass lets the jobs run and wait for a time, and removes those that end.
func (f *forecast) pass(step time.Duration) {
	ended := map[JobID]bool{}
	for i := range f.Jobs {
		j := &f.Jobs[i]
		if len(j.On) == 0 {
			if !j.held(f.Now - step) {
				j.Waited += step
			}
			continue
		}
		j.Served += step
		if f.finite[i] {
			j.Remaining -= step
			ended[j.ID] = j.Remaining <= 0
		}
	}
	kept := f.Jobs[:0]
	finite := f.finite[:0]
	for i, j := range f.Jobs {
		if !ended[j.ID] {
			j.After = slices.DeleteFunc(j.After, func(id JobID) bool { return ended[id] })
			kept, finite = append(kept, j), append(finite, f.finite[i])
		}
	}
	f.Jobs, f.finite = kept, finite
}

package queue

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"reprise/fault"
)

// Limits bound how many jobs may wait. The zero value bounds nothing.
type Limits struct {
	// Waiting is how many may wait in all, and WaitingPerOwner how many of one owner;
	// 0 is no bound. Owners has other bounds for some owners.
	Waiting         int
	WaitingPerOwner int
	Owners          map[string]int
}

// DefaultLimits returns the limits of a host that was not told any. Ranked orders so many
// jobs in milliseconds; a decision is about fewer of them, the first in that order, since
// it has to fit in an event.
func DefaultLimits() Limits { return Limits{Waiting: 10_000} }

// Validate fails with a *fault.FieldError, or several of them joined, for a negative
// bound.
func (l Limits) Validate() error {
	var errs fieldErrors
	check := func(field string, bound int) {
		if bound < 0 {
			errs.add(field, strconv.Itoa(bound), "must not be negative", "use the number of jobs that may wait")
		}
	}
	check("waiting", l.Waiting)
	check("waiting_per_owner", l.WaitingPerOwner)
	for _, owner := range slices.Sorted(maps.Keys(l.Owners)) {
		check("owners."+owner, l.Owners[owner])
	}
	return errs.join()
}

// Room fails with fault.Exhausted if no further jobs of these owners can be submitted
// together, with each limit that is in the way. jobs are all that have not ended.
func (l Limits) Room(jobs []Job, owners ...string) error {
	waiting := map[string]int{}
	total := 0
	for _, j := range jobs {
		if j.state.Waits() {
			waiting[j.submission.Owner]++
			total++
		}
	}
	var errs fieldErrors
	full := func(of string, n, more, most int) {
		if n+more > most {
			errs = append(errs, fault.New(fault.Exhausted, "the queue is full%s: %d wait, %d more were submitted, and %d at most may wait; submit again when some have been placed, or cancel some",
				of, n, more, most))
		}
	}
	if l.Waiting > 0 {
		full("", total, len(owners), l.Waiting)
	}
	for _, owner := range slices.Compact(slices.Sorted(slices.Values(owners))) {
		most, named := l.Owners[owner]
		if !named {
			most = l.WaitingPerOwner
		}
		if named || most > 0 {
			more := 0
			for _, o := range owners {
				more += b2i(o == owner)
			}
			full(" for "+ownerName(owner), waiting[owner], more, most)
		}
	}
	return errs.join()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Admit fails with fault.Invalid for a job that these devices and quotas will never
// take, however long it waits, with all that would have to change. What may pass, such
// as a device that is in use or unhealthy, is no obstacle.
//
// A job can be checked twice: when it is submitted, by what its request says, and when
// its data have been opened and its memory is known.
func Admit(s *Snapshot, e Entry) error {
	var errs fieldErrors
	size := e.size()
	if quota, limited := s.Policy.Quotas[e.Owner]; limited && size > quota {
		errs.add("config.devices", strconv.Itoa(size), fmt.Sprintf("is more than the %d that %s may hold", quota, ownerName(e.Owner)), "ask for fewer devices, or raise the quota")
	}
	if size > len(s.Devices) {
		errs.add("config.devices", strconv.Itoa(size), fmt.Sprintf("is more than the number of devices, %d", len(s.Devices)), "ask for fewer devices, or add devices")
		return errs.join() // it says all about what too few can take
	}
	labelled := 0
	known := map[string]bool{}
	for _, d := range s.Devices {
		labelled += b2i(!slices.ContainsFunc(e.Need.Labels, func(l string) bool { return !slices.Contains(d.Labels, l) }))
		for _, l := range d.Labels {
			known[l] = true
		}
	}
	if labelled < size {
		haveLabels := devices(labelled)
		if labelled == 0 {
			haveLabels = "no device"
		}
		fix := "leave job.labels out, or give devices labels: none has any"
		if len(known) > 0 {
			fix = "use labels that enough devices have, or give them to devices; there are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		}
		errs.add("job.labels", "["+strings.Join(e.Need.Labels, ", ")+"]", fmt.Sprintf("are the labels of %s, and %s", haveLabels, wantsDevices(size)), fix)
	}
	rest := e.Need
	rest.Labels = nil
	c := newCluster(&Snapshot{Devices: s.Devices})
	if n := c.need(&rest); c.count(n).ever < size {
		errs = append(errs, fault.New(fault.Invalid, "%s, and %s could ever take it%s", wantsDevices(size), orNone(c.count(n).ever), permanently(n)))
	} else if both := c.need(&e.Need); labelled >= size && c.count(both).ever < size {
		errs = append(errs, fault.New(fault.Invalid, "%s, and %s with the labels %s could ever take it%s", wantsDevices(size), orNone(c.count(both).ever),
			strings.Join(e.Need.Labels, ", "), permanently(both)))
	}
	return errs.join()
}

// CheckPredecessor fails with fault.Invalid, about a field, for a job that another one cannot
// come after: it has ended without having completed, so the other one would be cancelled.
func CheckPredecessor(field string, id JobID, state State) error {
	if !state.Ended() || state == StateCompleted {
		return nil
	}
	return fault.As(fault.Invalid, &fault.FieldError{
		Field: field, Value: string(id), Problem: "is " + string(state) + ", so what comes after it would be cancelled at once",
		Fix: "retry that run and name its retry, or leave it out",
	})
}

func wantsDevices(n int) string { return "it wants " + devices(n) }

// permanently lists the refusals of a need that no waiting mends.
func permanently(n *need) string {
	text := ""
	for _, code := range slices.Sorted(maps.Keys(n.refusals)) {
		if r := n.refusals[code]; !r.Transient {
			text += fmt.Sprintf("; %s: %s", devices(r.Devices), r.Message)
		}
	}
	return text
}

package queue_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/fault"
	"reprise/kernel"
	"reprise/queue"
)

// A job is refused if and only if Plan has a reason to let it wait that does not pass.
func TestAdmitRefusesWhatPlanWouldNeverPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		e := queue.Entry{ID: "new", Owner: rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "owner"), Need: needs(t), Devices: rapid.IntRange(0, 8).Draw(t, "gang")}
		if rapid.Bool().Draw(t, "labelled") {
			e.Need.Labels = []string{"blue"}
		}
		err := queue.Admit(s, e)
		s.Jobs = []queue.Entry{e} // others are in the way for a time only
		d := queue.Plan(s)
		never := false
		for _, p := range d.Pending {
			never = never || p.Job == "new" && !p.Reasons[0].Transient
		}
		if never != (err != nil) {
			t.Fatalf("admitted with %v, decided %+v", err, d)
		}
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("%v is %v", err, fault.KindOf(err))
		}
	})
}

func TestAdmitNamesAllThatWouldHaveToChange(t *testing.T) {
	s := &queue.Snapshot{Devices: host(2), Policy: queue.Policy{Quotas: map[string]int{"ada": 1}}}
	s.Devices[0].Labels = []string{"blue", "large"}
	wide := device.MemoryRequirement{Size: 1 << 40}
	for _, c := range []struct {
		e    queue.Entry
		want string
	}{
		{queue.Entry{Devices: 3}, "config.devices: 3 is more than the number of devices, 2; ask for fewer devices, or add devices"},
		{queue.Entry{Owner: "ada", Devices: 3, Need: queue.Need{Labels: []string{"green"}}},
			"config.devices: 3 is more than the 1 that ada may hold; ask for fewer devices, or raise the quota\nconfig.devices: 3 is more than the number of devices, 2; ask for fewer devices, or add devices"},
		{queue.Entry{Need: queue.Need{Labels: []string{"green"}}}, "job.labels: [green] are the labels of no device, and it wants 1 device; use labels that enough devices have, or give them to devices; there are blue, large"},
		{queue.Entry{Devices: 2, Need: queue.Need{Labels: []string{"blue"}}}, "job.labels: [blue] are the labels of 1 device, and it wants 2 devices; use labels that enough devices have, or give them to devices; there are blue, large"},
		{queue.Entry{Need: queue.Need{Features: []device.Feature{kernel.FP16}}}, "it wants 1 device, and no device could ever take it; 2 devices: "},
		{queue.Entry{Need: queue.Need{Memory: wide, Labels: []string{"green"}}}, "job.labels: [green]"},
		{queue.Entry{Need: queue.Need{Memory: wide, Labels: []string{"green"}}}, "no device could ever take it"},
	} {
		if err := queue.Admit(s, c.e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v\ngot  %v\nwant %s", c.e, err, c.want)
		}
	}
	s.Devices[1].Labels = nil
	s.Devices[0].Labels = nil
	if err := queue.Admit(s, queue.Entry{Need: queue.Need{Labels: []string{"blue"}}}); err == nil || !strings.Contains(err.Error(), "give devices labels: none has any") {
		t.Error(err)
	}
	s.Devices[1].Description.Health, s.Devices[0].HeldSlots = device.Unhealthy, 1
	if err := queue.Admit(s, queue.Entry{Devices: 2}); err != nil {
		t.Errorf("what may pass is refused: %v", err)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	var jobs []queue.Job
	for i, state := range queue.States() { // four of them wait
		for _, owner := range []string{"ada", "bob"} {
			s := submission()
			s.Owner = owner
			commands := to(state)
			commands[0] = queue.Submit{Job: queue.JobID(fmt.Sprint(owner, i)), Submission: s}
			jobs = append(jobs, after(t, commands...))
		}
	}
	for _, c := range []struct {
		limits queue.Limits
		owners []string
		want   string // a part of the error
	}{
		{queue.Limits{}, []string{"ada"}, ""},
		{queue.Limits{Waiting: 9}, []string{"ada"}, ""},
		{queue.Limits{Waiting: 9}, []string{"ada", "bob"}, "the queue is full: 8 wait, 2 more were submitted, and 9 at most may wait"},
		{queue.Limits{WaitingPerOwner: 4}, []string{"ada"}, "the queue is full for ada: 4 wait, 1 more"},
		{queue.Limits{WaitingPerOwner: 4}, []string{"eve", "eve"}, ""},
		{queue.Limits{WaitingPerOwner: 4, Owners: map[string]int{"ada": 5, "bob": 0}}, []string{"ada"}, ""},
		{queue.Limits{WaitingPerOwner: 40, Owners: map[string]int{"bob": 0}}, []string{"ada", "bob"}, "full for bob: 4 wait"},
	} {
		err := c.limits.Room(jobs, c.owners...)
		if c.want == "" && err != nil || c.want != "" && (fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v, %v: %v, want %q", c.limits, c.owners, err, c.want)
		}
	}
	if l := queue.DefaultLimits(); l.Waiting <= 0 {
		t.Errorf("by default nothing bounds the queue: %+v", l)
	}
}

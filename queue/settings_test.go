package queue_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/device"
	"reprise/queue"
)

// changes draws a change of settings.
func changes(t *rapid.T) queue.SettingsChange {
	owners, devices := []string{"ada", "bob", "eve"}, []device.ID{"cpu0", "w/cpu0"}
	c := queue.SettingsChange{Shares: map[string]*float64{}, Quotas: map[string]*int{}, Labels: map[device.ID][]string{}}
	for _, owner := range owners {
		if rapid.Bool().Draw(t, "names "+owner) {
			c.Shares[owner], c.Quotas[owner] = nil, nil
			if rapid.Bool().Draw(t, "sets "+owner) {
				share, quota := rapid.SampledFrom([]float64{0.5, 1, 2}).Draw(t, "share"), rapid.IntRange(0, 3).Draw(t, "quota")
				c.Shares[owner], c.Quotas[owner] = &share, &quota
			}
		}
	}
	for _, id := range devices {
		if rapid.Bool().Draw(t, "labels "+string(id)) {
			c.Labels[id] = rapid.SampledFrom([][]string{nil, {"fast"}, {"small", "fast"}}).Draw(t, "labels")
		}
	}
	return c
}

// A change sets what it names and nothing else, leaves the settings before as they were,
// and settings survive being recorded.
func TestAChangeOfSettingsSetsWhatItNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s queue.Settings
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			before, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			c := changes(t)
			after := s.With(c)
			if again, _ := json.Marshal(s); string(again) != string(before) {
				t.Fatalf("the settings before were %s, and are %s", before, again)
			}
			if err := after.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, owner := range []string{"ada", "bob", "eve"} {
				share, named := c.Shares[owner]
				want, has := s.Shares[owner]
				if named {
					if has = share != nil; has {
						want = *share
					}
				}
				if got, ok := after.Shares[owner]; ok != has || has && got != want {
					t.Fatalf("the share of %s is %v (%v), want %v (%v)", owner, got, ok, want, has)
				}
				quota, named := c.Quotas[owner]
				most, has := s.Quotas[owner]
				if named {
					if has = quota != nil; has {
						most = *quota
					}
				}
				if got, ok := after.Quotas[owner]; ok != has || has && got != most {
					t.Fatalf("the quota of %s is %v (%v), want %v (%v)", owner, got, ok, most, has)
				}
			}
			for _, id := range []device.ID{"cpu0", "w/cpu0"} {
				want := s.Labels[id]
				if labels, named := c.Labels[id]; named {
					want = slices.Sorted(slices.Values(labels))
				}
				if got := after.Labels[id]; !slices.Equal(got, want) {
					t.Fatalf("the labels of %s are %v, want %v", id, got, want)
				}
			}
			text, err := json.Marshal(after)
			if err != nil {
				t.Fatal(err)
			}
			var read queue.Settings
			if err := json.Unmarshal(text, &read); err != nil || !read.Equal(after) {
				t.Fatalf("%s reads as %+v, %v", text, read, err)
			}
			if c.IsZero() && !after.Equal(s) {
				t.Fatal("a change that names nothing changes something")
			}
			s = after
		}
	})
}

// What a host decides with settings follows them, and nothing else of its policy changes;
// a snapshot that does not follow them is found.
func TestSettingsAreInForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := queue.Settings{}.With(changes(t))
		host := queue.DefaultPolicy()
		host.Quotas = map[string]int{"ada": 7, "host": 2}
		snapshot := queue.Snapshot{Policy: s.Policy(host, 3), Devices: []queue.Device{
			{ID: "cpu0", Labels: s.LabelsOf("cpu0", []string{"host"})}, {ID: "other", Labels: s.LabelsOf("other", []string{"host"})},
		}}
		if what := s.Contradiction(&snapshot); what != "" {
			t.Fatal(what)
		}
		if err := snapshot.Policy.Validate(); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(snapshot.Devices[0].Labels, "host") || !slices.Equal(snapshot.Devices[1].Labels, []string{"host"}) {
			t.Fatalf("the labels that a host gives are lost: %+v", snapshot.Devices)
		}
		if quota, ok := s.Quotas["ada"]; snapshot.Policy.Quotas["host"] != 2 || ok && snapshot.Policy.Quotas["ada"] != quota {
			t.Fatalf("the quotas are %v", snapshot.Policy.Quotas)
		}
		plain := snapshot.Policy
		plain.Order, plain.Shares, plain.Quotas, plain.Settings = host.Order, nil, host.Quotas, 0
		if !reflect.DeepEqual(plain, host) {
			t.Fatalf("%+v is not %+v", plain, host)
		}
		other := s.With(queue.SettingsChange{Labels: map[device.ID][]string{"cpu0": {"other"}}})
		if what := other.Contradiction(&snapshot); what == "" {
			t.Fatal("a snapshot without a label that is set goes unnoticed")
		}
		for owner, quota := range s.Quotas {
			more := quota + 1
			if what := s.With(queue.SettingsChange{Quotas: map[string]*int{owner: &more}}).Contradiction(&snapshot); what == "" {
				t.Fatal("a snapshot with another quota goes unnoticed")
			}
		}
		for owner, share := range s.Shares {
			more := share * 2
			if what := s.With(queue.SettingsChange{Shares: map[string]*float64{owner: &more}}).Contradiction(&snapshot); what == "" {
				t.Fatal("a snapshot with another share goes unnoticed")
			}
		}
	})
}

func TestSettingsNameEverythingThatMakesNoSense(t *testing.T) {
	bad := queue.Settings{
		Shares: map[string]float64{"": 1, "ada": 0, "bob": 1e9, "eve": math.NaN()}, Quotas: map[string]int{"ada": -1, "b\nb": 1},
		Labels: map[device.ID][]string{"cpu0": {"fast", "fast", ""}},
	}
	want := `shares: "" is empty; name an owner of jobs
shares.ada: 0 is too small; use a number from 0.001 to 1000; others have the share 1
shares.bob: 1e+09 is too large; use a number from 0.001 to 1000; others have the share 1
shares.eve: NaN is too small; use a number from 0.001 to 1000; others have the share 1
quotas: "b\nb" has characters that cannot be printed; name an owner of jobs
quotas.ada: -1 must not be negative; use the number of devices that the owner may hold, or leave it out for no bound
labels.cpu0[1]: "fast" is there twice; name a label in each entry, each once
labels.cpu0[2]: "" is empty; name a label in each entry, each once`
	if err := bad.Validate(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// Only how shares relate to each other matters, and an owner without one has the share 1.
func TestOnlyTheRatioOfSharesMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		s.Policy.Order = queue.OrderShare
		want := queue.Plan(s)
		named := maps.Clone(s.Policy.Shares)
		if named == nil {
			named = map[string]float64{}
		}
		for _, owner := range []string{"ada", "bob"} {
			if _, ok := named[owner]; !ok {
				named[owner] = 1
			}
		}
		s.Policy.Shares = named
		if got := queue.Plan(s); !reflect.DeepEqual(got, want) {
			t.Fatalf("with the share 1 named: %+v, want %+v", got, want)
		}
		times := 4.0 // exactly
		if named["ada"] > 1 {
			times = 0.25
		}
		s.Policy.Shares = map[string]float64{"ada": times * named["ada"], "bob": times * named["bob"]}
		if got := queue.Plan(s); !reflect.DeepEqual(got, want) {
			t.Fatalf("with shares %v times as large: %+v, want %+v", times, got, want)
		}
	})
}

// Owners who always have jobs waiting get device time in proportion to their shares.
func TestDeviceTimeFollowsShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := map[string]float64{"ada": float64(rapid.IntRange(1, 4).Draw(t, "ada")), "eve": float64(rapid.IntRange(1, 4).Draw(t, "eve"))} // bob has 1
		owners := []string{"ada", "bob", "eve"}
		const turn, turns, halfLife = time.Minute, 600, 24 * 365 * time.Hour // nothing is forgotten
		usage, got, total := queue.NewUsage(halfLife), map[string]int{}, 0.0
		s := queue.Snapshot{
			Devices: []queue.Device{{ID: "cpu0", Description: device.Description{ID: "cpu0", Kind: device.CPU, Health: device.Healthy}}},
			Policy:  queue.Policy{Order: queue.OrderShare, Shares: shares, HalfLife: halfLife},
		}
		for n := range turns {
			s.Now = time.Duration(n) * turn
			s.Usage, s.Jobs = usage.At(s.Now), nil
			for _, owner := range owners {
				s.Jobs = append(s.Jobs, queue.Entry{ID: queue.JobID(fmt.Sprintf("%s-%d", owner, n)), Owner: owner, Submitted: s.Now})
			}
			d := queue.Plan(&s)
			if len(d.Placed) != 1 {
				t.Fatalf("%+v", d)
			}
			for _, j := range s.Jobs {
				if j.ID == d.Placed[0].Job {
					got[j.Owner]++
					usage.Add(j.Owner, 1, s.Now, s.Now+turn)
				}
			}
		}
		for _, owner := range owners {
			total += s.Policy.Share(owner)
		}
		for _, owner := range owners {
			if want := turns * s.Policy.Share(owner) / total; math.Abs(float64(got[owner])-want) > 5 {
				t.Fatalf("%s had %d turns, want about %.0f: %v", owner, got[owner], want, shares)
			}
		}
	})
}

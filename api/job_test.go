package api

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/queue"
	"reprise/training"
)

const jobSection = "job: {priority: -3, owner: ada, group: sweep 7, after: [r1, r2-a_b], max_duration: 1h30m, labels: [large, blue], name: base line, tags: [a, b], note: as agreed}\n"

func TestTheJobSectionSaysHowToQueue(t *testing.T) {
	r := parse(t, jobSection+minimal(", devices: 2"))
	want := JobOptions{Priority: -3, Owner: "ada", Group: "sweep 7", After: []string{"r1", "r2-a_b"}, MaxDuration: 90 * time.Minute, Labels: []string{"large", "blue"},
		Annotation: queue.Annotation{Name: "base line", Tags: []string{"a", "b"}, Note: "as agreed"}}
	if !reflect.DeepEqual(r.Job, want) || r.Config.Devices != 2 {
		t.Errorf("got %+v on %d devices", r.Job, r.Config.Devices)
	}
	if got := parse(t, "job: {after: r1}\n"+minimal("")); !slices.Equal(got.Job.After, []string{"r1"}) || got.Config.Devices != 1 {
		t.Errorf("got %+v on %d devices", got.Job, got.Config.Devices)
	}
	trained, s, err := r.Split("job.yaml", "bob")
	if err != nil || !trained.Job.IsZero() || trained.Config.Devices != 2 {
		t.Errorf("%+v, %v", trained, err)
	}
	wanted := queue.Submission{Request: []byte(canonical(t, r)), Name: "job.yaml", Owner: "ada", Priority: -3, Group: "sweep 7", After: []queue.JobID{"r1", "r2-a_b"},
		MaxDuration: 90 * time.Minute, Devices: 2, Labels: []string{"large", "blue"}, Annotation: want.Annotation}
	if !reflect.DeepEqual(s, wanted) {
		t.Errorf("got  %+v\nwant %+v", s, wanted)
	}
	_, s, err = parse(t, minimal("")).Split("", "bob")
	if wanted := (queue.Submission{Request: []byte(canonical(t, parse(t, minimal("")))), Owner: "bob"}); err != nil || !reflect.DeepEqual(s, wanted) {
		t.Errorf("by default %+v, %v", s, err)
	}
	if _, _, err := r.Split("two\nlines", ""); err == nil {
		t.Error("a name of two lines is accepted")
	}
}

// The same training in another place of the queue has the same canonical form, and one
// that says nothing about devices has the form that it always had.
func TestQueueingIsNotPartOfTheCanonicalForm(t *testing.T) {
	plain := canonical(t, parse(t, minimal("")))
	for _, text := range []string{jobSection + minimal(""), "job: {}\n" + minimal(""), minimal(", devices: 1"), "job: {priority: 0}\n" + minimal("")} {
		if got := canonical(t, parse(t, text)); got != plain {
			t.Errorf("%s\ngives %s\nwant  %s", text, got, plain)
		}
	}
	if strings.Contains(plain, "devices") || strings.Contains(plain, "job") {
		t.Errorf("the canonical form has changed: %s", plain)
	}
	if got := canonical(t, parse(t, minimal(", devices: 2"))); !strings.Contains(got, `"devices":2`) {
		t.Errorf("the devices are lost: %s", got)
	}
}

func TestSettingsKeepAndChangeTheJobSection(t *testing.T) {
	r := parse(t, jobSection+minimal(""))
	changed, err := r.With(Setting{Field: "job.priority", Value: "12"}, Setting{Field: "config.epochs", Value: "9"}, Setting{Field: "job.after", Value: "r9"})
	want := r.Job
	want.Priority, want.After = 12, []string{"r9"}
	if err != nil || !reflect.DeepEqual(changed.Job, want) || changed.Config.Epochs != 9 {
		t.Errorf("%+v, %v", changed.Job, err)
	}
	first, err := parse(t, minimal("")).With(Setting{Field: "job.max_duration", Value: "2h"}, Setting{Field: "config.devices", Value: "3"})
	if err != nil || first.Job.MaxDuration != 2*time.Hour || first.Config.Devices != 3 {
		t.Errorf("%+v, %v", first.Job, err)
	}
	if _, err := r.With(Setting{Field: "job.priority", Value: "5000"}); err == nil {
		t.Error("a bad priority can be set")
	}
}

func TestMistakesOfTheJobSectionAreReportedTogether(t *testing.T) {
	r := parse(t, minimal(""))
	r.Job = JobOptions{Priority: 2000, MaxDuration: -1, After: []string{"con", "a", "a"}}
	if got := requestErrors(t, r.Validate()); len(got) != 4 {
		t.Errorf("of a request made in Go: %v", got)
	}
	text := `job:
  priority: 1001
  owner: 7
  group: " g"
  after: [r1, Run, r1]
  max_duration: 90
  labels: []
  prioritty: 3
` + minimal(", devices: 0")
	_, err := ParseTrainingRequest("job.yaml", []byte(text))
	for _, want := range []string{
		"job.yaml:2:13: job.priority: 1001 must be at most 1000; use a whole number such as 10",
		`job.yaml:3:10: job.owner: 7 is not a text; put it in quotes: "7"`,
		`job.yaml:4:10: job.group: " g" begins or ends with a space; use one line of at most 128 bytes`,
		"job.yaml:5:15: job.after[1]: Run is not the id of a run; write an id as `reprise runs list` shows it",
		"job.yaml:6:17: job.max_duration: 90 is not a duration; write numbers with the units h, m and s, such as 90m or 1h30m",
		"job.yaml:7:11: job.labels: a list of 0 must have at least 1; write a list such as [large]",
		"job.prioritty: is not a known key; did you mean priority?",
		"config.devices: 0 must be at least 1; use a number of devices such as 1",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	for _, c := range []struct{ section, want string }{
		{"after: 20261130", `job.after: 20261130 is not a text; put it in quotes: "20261130"`},
		{"after: [r1, r2, r1]", `job.after[2]: "r1" is there twice`},
		{"after: con", "job.after[0]: \"con\" is reserved by Windows"},
		{"max_duration: 1d", "job.max_duration: 1d is not a duration"},
		{"max_duration: 0.5s", "job.max_duration: 0.5s must be at least 1s"},
		{"max_duration: 99999999h", "job.max_duration: 99999999h is longer than can be counted"},
		{"max_duration: -1h", "job.max_duration: -1h is not a duration"},
		{"priority: high", "job.priority: high is not a whole number"},
		{"priority: -1e2", "job.priority: -1e2 is not written as a whole number; write -100"},
		{"labels: [a, a]", `job.labels[1]: "a" is there twice`},
		{"labels: big", "job.labels: big is not a list; write a list such as [large]"},
		{"after: [R, con]", "job.after[0]: R is not"}, // and con does not take its place
	} {
		_, err := ParseTrainingRequest("job.yaml", []byte("job: {"+c.section+"}\n"+minimal("")))
		var e *RequestError
		if !errors.As(err, &e) || e.Line != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.section, err, c.want)
		}
	}
	if _, err := ParseTrainingRequest("job.yaml", []byte("priority: 3\n"+minimal(""))); err == nil || !strings.Contains(err.Error(), "move it into job") {
		t.Errorf("a key of the section at the top: %v", err)
	}
}

// A mistake that a queue finds later is shown in the request, where it is.
func TestARefusalOfTheQueueHasItsPlace(t *testing.T) {
	r := parse(t, jobSection+minimal(", devices: 2"))
	var e *RequestError
	err := r.Locate(queue.Admit(&queue.Snapshot{}, queue.Entry{Devices: r.Config.Devices}))
	if !errors.As(err, &e) || e.Field != "config.devices" || e.Line == 0 {
		t.Errorf("got %v", err)
	}
}

// Everything that a request says survives its JSON form.
func TestTheJobSectionSurvivesItsJSONForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-z0-9_-]{0,20}x`), 0, 3, rapid.ID)
		r := drawRequest(t)
		r.Job = JobOptions{
			Priority: rapid.IntRange(-1000, 1000).Draw(t, "priority"), Owner: rapid.StringMatching(`[a-zé#:{ ]{0,5}x`).Draw(t, "owner"),
			MaxDuration: time.Duration(rapid.IntRange(0, 1<<20).Draw(t, "seconds")) * time.Second,
		}
		r.Job.Owner = strings.TrimSpace(r.Job.Owner)
		if after := names.Draw(t, "after"); len(after) > 0 {
			r.Job.After = after
		}
		if labels := names.Draw(t, "labels"); len(labels) > 0 {
			r.Job.Labels = labels
		}
		raw, err := r.published()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTrainingRequest("job.json", raw)
		if err != nil || !reflect.DeepEqual(bare(again), r) {
			t.Fatalf("%s\ngot  %+v, %v\nwant %+v", raw, again, err, r)
		}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		before, err := r.Canonical()
		if err != nil || bytes.Contains(before, []byte(`"job"`)) {
			t.Fatalf("%s, %v", before, err)
		}
	})
}

// The schema and the domain have one idea of what the id of a run is, but for names
// that are reserved.
func TestTheSchemaAcceptsTheIDsOfRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-zA-Z0-9_. -]{1,66}`).Draw(t, "id")
		_, err := ParseTrainingRequest("", []byte("job: {after: "+string(quote(id))+"}\n"+minimal("")))
		if valid := training.RunID(id).Validate() == nil; valid != (err == nil) {
			t.Fatalf("%q: %v, the domain says %v", id, err, training.RunID(id).Validate())
		}
	})
}

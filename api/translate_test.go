package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/fault"
	"reprise/nn"
	"reprise/training"
)

// stat is what a service with files passes to DatasetReference.
func stat(path string) error {
	_, err := os.Stat(path)
	return err
}

func library(t *testing.T) *dataset.Library {
	t.Helper()
	l, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func open(t *testing.T, source dataset.Source) *dataset.Dataset {
	t.Helper()
	data, err := library(t).Open(context.Background(), source)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// table writes a CSV file with two features and three classes.
func table(t *testing.T) string {
	t.Helper()
	text := "width,height,kind\n"
	for i := range 60 {
		text += fmt.Sprintf("%d,%d,%c\n", i%7, i%5, 'a'+i%3)
	}
	path := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ids() IDs { return IDs{Run: "run", Session: "session", Model: "model"} }

func TestARequestStartsASessionThatRecordsEverything(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	r := parse(t, strings.NewReplacer("mnist", "digits", "warmup_steps: 100", "warmup_steps: 10").Replace(issueRequest))
	session, events, err := FromExternalRequest(r, source, data, ids())
	if err != nil {
		t.Fatal(err)
	}
	if session.State != training.Initializing || session.ID != "session" || session.ModelID != "model" {
		t.Errorf("session = %+v", session)
	}
	samples := data.Len(dataset.Train)
	perEpoch := uint64((samples + 127) / 128)
	if got := session.Hyperparameters.LearningRate.Schedule.TotalSteps; got != 3*perEpoch {
		t.Errorf("planned for %d steps, want %d", got, 3*perEpoch)
	}
	if want := nn.MLP(data.SampleShape(), []int{256, 128}, "relu", 10); !reflect.DeepEqual(session.Architecture, want) {
		t.Errorf("architecture = %+v", session.Architecture)
	}
	started, ok := events[0].(training.TrainingStarted)
	if !ok || started.RunID != "run" {
		t.Fatalf("first event = %+v", events[0])
	}
	d := started.Dataset
	if d.Path != "digits" || d.Fingerprint != data.Fingerprint() || d.Training != samples || d.Classes != 10 ||
		d.Validation != data.Len(dataset.Validation) || !strings.HasPrefix(string(d.ID), "digits@") || len(d.SampleShape) != 3 {
		t.Errorf("dataset = %+v", d)
	}
	again, err := ParseTrainingRequest("", started.Request)
	if err != nil || !reflect.DeepEqual(bare(again), bare(r)) {
		t.Errorf("the recorded request %s: %v", started.Request, err)
	}
	if !json.Valid(started.Request) {
		t.Error("the recorded request is no JSON")
	}
	same, events2, err := FromExternalRequest(r, source, data, ids())
	if err != nil || !reflect.DeepEqual(same, session) || !reflect.DeepEqual(events2, events) {
		t.Errorf("the same start gave other events, %v", err)
	}
}

func TestAListOfLayersAndACNNAreBuiltForTheData(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	cnn := parse(t, "model: {channels: [4], hidden: []}\n"+strings.Replace(minimal(""), "mlp", "cnn", 1))
	session, _, err := FromExternalRequest(cnn, source, data, ids())
	if want := nn.CNN(data.SampleShape(), []int{4}, []int{}, "relu", 10); err != nil || !reflect.DeepEqual(session.Architecture, want) {
		t.Errorf("%+v, %v", session.Architecture, err)
	}
	list := parse(t, strings.Replace(minimal(""), "mlp", "[{type: flatten}, {type: linear, units: 10}]", 1))
	session, _, err = FromExternalRequest(list, source, data, ids())
	if err != nil || !reflect.DeepEqual(session.Architecture.Layers, nn.Layers{nn.Flatten{}, nn.Linear{Units: 10}}) {
		t.Errorf("%+v, %v", session.Architecture, err)
	}
}

// located checks that an error is traced back to the text at its place.
func located(t *testing.T, r TrainingRequest, text string, err error, field, at string, says ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted", field)
		return
	}
	found := r.Locate(err)
	var e *RequestError
	if !errors.As(found, &e) {
		t.Errorf("%s: not located: %v", field, found)
		return
	}
	checkCaret(t, text, e)
	line := strings.Split(text, "\n")[e.Line-1]
	if e.Field != field || !strings.HasPrefix(line[e.Column-1:], at) || e.Fix == "" {
		t.Errorf("want %s at %q, got %s at %d:%d:\n%v", field, at, e.Field, e.Line, e.Column, found)
	}
	for _, part := range says {
		if !strings.Contains(found.Error(), part) {
			t.Errorf("lacks %q:\n%v", part, found)
		}
	}
	if !errors.Is(found, err) {
		t.Errorf("%s: the domain's error is lost", field)
	}
	if again := r.Locate(found); any(again) != any(found) {
		t.Errorf("%s: located twice", field)
	}
}

func TestWhatTheDomainRefusesIsTracedBackToTheFile(t *testing.T) {
	digits := dataset.Source{Path: "digits"}
	images := open(t, digits)
	columns := dataset.Source{Path: table(t), Target: "kind"}
	rows := open(t, columns)
	layers := func(list string) string { return strings.Replace(minimal(""), "mlp", list, 1) }
	for _, c := range []struct {
		text, field, at string
		rows            bool
		says            []string
	}{
		{strings.Replace(minimal(""), "32", "5000", 1), "config.batch_size", "5000", false, []string{"5000 is larger than the training split", "use at most"}},
		{minimal(", schedule: {name: cosine, warmup_steps: 4000}"), "config.schedule.warmup_steps", "4000", false, []string{"only 135 steps"}},
		{layers("[{type: linear, units: 10}]"), "model_architecture[0]", "{type: linear", false, []string{"[8 8 1]", "flatten"}},
		{layers("[{type: flatten}, {type: linear, units: 5}]"), "model_architecture", "model_architecture", false, []string{"10 classes", "units: 10"}},
		{layers("[{type: max_pool2d, kernel: [2, 99]}, {type: flatten}]"), "model_architecture[0].kernel", "[2, 99]", false, []string{"want at most 8x8"}},
		{layers("[{type: conv2d, channels: 1, kernel: 3, stride: 2, padding: same}]"), "model_architecture[0].padding", "same", false, []string{"stride"}},
		{"model: {channels: [4, 4, 4, 5, 6]}\n" + layers("cnn"), "model.channels[3]", "5, 6", false, []string{"max_pool2d"}},
		{layers("cnn"), "model_architecture", "cnn", true, []string{"needs images", "use mlp"}},
		{"model: {hidden: [16000000, 16000000]}\n" + minimal(""), "model.hidden[1]", "16000000]", false, []string{"at most"}},
	} {
		r := parse(t, c.text)
		source, data := digits, images
		if c.rows {
			source, data = columns, rows
		}
		_, events, err := FromExternalRequest(r, source, data, ids())
		located(t, r, c.text, err, c.field, c.at, c.says...)
		if events != nil {
			t.Errorf("%s: events of a refused request", c.field)
		}
	}
}

func TestErrorsOfTheDataAreTracedBackToTheFile(t *testing.T) {
	path := table(t)
	ragged := filepath.Join(t.TempDir(), "ragged.csv")
	if err := os.WriteFile(ragged, []byte("a,b\n1,2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, options, field, at string
	}{
		{path, "dataset: {target: knd}\n", "dataset.target", "knd"},
		{ragged, "dataset: {target: b}\n", "dataset_path", ragged},
		{"digits", "dataset: {validation_fraction: 0.5}\n", "dataset.validation_fraction", "0.5"},
	} {
		text := c.options + strings.Replace(minimal(""), "digits", c.path, 1)
		r := parse(t, text)
		source, err := r.DatasetReference([]string{"digits"}, "/", stat)
		if err != nil {
			t.Fatal(err)
		}
		_, err = library(t).Open(context.Background(), source)
		located(t, r, text, err, c.field, c.at)
	}
	text := strings.Replace(minimal(""), "digits", path, 1)
	r := parse(t, text)
	_, err := library(t).Open(context.Background(), dataset.Source{Path: path})
	located(t, r, text, err, "dataset.target", path, "kind")

	text = "dataset: {validation_fraction: 0.5}\n" + text
	r = parse(t, text)
	located(t, r, text, err, "dataset.target", "dataset: {", "kind")
}

// What was left out is shown in the syntax that adds it, at what it is about.
func TestWhatIsMissingIsShownAsItWouldBeWritten(t *testing.T) {
	quantity := filepath.Join(t.TempDir(), "quantity.csv")
	text := "a,price: EUR\n"
	for i := range 40 {
		text += fmt.Sprintf("%d,%d.5\n", i, i)
	}
	if err := os.WriteFile(quantity, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := table(t)
	for _, c := range []struct{ path, options, field, at, says string }{
		{kinds, "", "dataset.target", kinds, "; add: dataset: {target: kind}"},
		{kinds, "dataset: {validation_fraction: 0.5}\n", "dataset.target", "dataset:", "; add target: kind to dataset"},
		{quantity, "", "dataset.target", quantity, `; add: dataset: {target: "price: EUR"}`},
		{quantity, "dataset: {target: \"price: EUR\"}\n", "dataset.task", `"price: EUR"`, "classes; add task: regression to dataset, or name a column of classes"},
		{quantity, "dataset: {task: classification, target: \"price: EUR\"}\n", "dataset.task", "classification", "classes; write task: regression in dataset, or name a column of classes"},
	} {
		text := c.options + strings.Replace(minimal(""), "digits", c.path, 1)
		r := parse(t, text)
		source, err := r.DatasetReference(nil, "/", stat)
		if err != nil {
			t.Fatal(err)
		}
		_, err = library(t).Open(context.Background(), source)
		located(t, r, text, err, c.field, c.at, c.says)
	}
	// A default of the model is about the architecture.
	text = strings.Replace(minimal(""), "mlp", "vit", 1)
	r := parse(t, text)
	located(t, r, text, &fault.FieldError{Field: "model.patch", Value: "4", Problem: "does not divide", Fix: "use 2"}, "model.patch", "vit")
}

// Mistakes that do not follow from each other are reported together.
func TestEverythingThatDoesNotFitTheDataIsReportedAtOnce(t *testing.T) {
	data := open(t, dataset.Source{Path: table(t), Target: "kind"})
	text := strings.Replace(strings.Replace(minimal(", augmentation: {flip: true}"), "mlp", "cnn", 1), "32", "5000", 1)
	r := parse(t, text)
	_, _, err := FromExternalRequest(r, dataset.Source{Path: "table.csv"}, data, ids())
	var got []string
	for _, e := range requestErrors(t, r.Locate(err)) {
		checkCaret(t, text, e)
		got = append(got, e.Field)
	}
	if want := "model_architecture config.batch_size config.augmentation.flip"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q:\n%v", got, want, r.Locate(err))
	}
}

func TestOtherErrorsAreLeftAlone(t *testing.T) {
	r := parse(t, issueRequest)
	for _, err := range []error{
		nil, errors.New("disk on fire"), fs.ErrNotExist, &fault.FieldError{Field: "--from", Value: "1"},
		&fault.FieldError{Field: "model id"}, &fault.FieldError{Field: "CacheDir"}, &dataset.HashError{},
	} {
		if got := r.Locate(err); any(got) != any(err) {
			t.Errorf("Locate(%v) = %v", err, got)
		}
	}
	wrapped := fmt.Errorf("prepare: %w", &fault.FieldError{Field: "config.seed", Value: "7", Problem: "is unlucky", Fix: "use 8"})
	if got := r.Locate(wrapped); !strings.HasPrefix(got.Error(), "job.yaml:4:128: config.seed: 7 is unlucky; use 8\n") {
		t.Errorf("%v", got)
	}
	if got := (TrainingRequest{}).Locate(wrapped); got.Error() != "config.seed: 7 is unlucky; use 8" {
		t.Errorf("without a file: %v", got)
	}
}

func TestADatasetPathIsFoundFromTheRequestsFolderFirst(t *testing.T) {
	work := t.TempDir()
	for _, dir := range []string{"jobs/data", "data", "jobs/mnist"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"here.csv", "jobs/there.csv", "both.csv", "jobs/both.csv"} {
		if err := os.WriteFile(filepath.Join(work, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ file, path, want string }{
		{"jobs/job.yaml", "mnist", "mnist"},
		{"jobs/job.yaml", "./mnist", filepath.Join(work, "jobs/mnist")},
		{"jobs/job.yaml", "data", filepath.Join(work, "jobs/data")},
		{"jobs/job.yaml", "both.csv", filepath.Join(work, "jobs/both.csv")},
		{"jobs/job.yaml", "here.csv", filepath.Join(work, "here.csv")},
		{"jobs/job.yaml", "../here.csv", filepath.Join(work, "here.csv")},
		{filepath.Join(work, "jobs/job.yaml"), "there.csv", filepath.Join(work, "jobs/there.csv")},
		{"-", "both.csv", filepath.Join(work, "both.csv")},
		{"job.yaml", "both.csv", filepath.Join(work, "both.csv")},
		{"jobs/job.yaml", filepath.Join(work, "jobs/../both.csv"), filepath.Join(work, "both.csv")},
	} {
		r, err := ParseTrainingRequest(c.file, []byte("dataset: {target: t, validation_fraction: 0.25}\n"+strings.Replace(minimal(""), "digits", c.path, 1)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.DatasetReference([]string{"digits", "mnist"}, work, stat)
		if want := (dataset.Source{Path: c.want, Target: "t", ValidationFraction: 0.25}); err != nil || got != want {
			t.Errorf("%s of %s: %+v, %v, want %+v", c.path, c.file, got, err, want)
		}
	}
}

func TestADatasetThatIsNotThereIsRefusedWithAdvice(t *testing.T) {
	work := t.TempDir()
	for path, says := range map[string]string{
		"mnits": "did you mean mnist?", "~/data": "only a shell expands ~", "$HOME/data": "only a shell expands variables",
		"nowhere.csv": "use one of digits, mnist", "/no/such/file.csv": "does not exist", "nowhere": filepath.Join(work, "jobs") + " or " + work,
	} {
		text := strings.Replace(minimal(""), "digits", path, 1)
		r, err := ParseTrainingRequest("jobs/job.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.DatasetReference([]string{"digits", "mnist"}, work, stat)
		var bad *RequestError
		if !errors.As(err, &bad) || bad.Field != "dataset_path" || bad.Line != 2 || bad.Column != 15 || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
			continue
		}
		checkCaret(t, text, bad)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s lacks %q:\n%v", path, says, err)
		}
	}
}

// A request of 10^10 parameters, 40 GB of weights, takes no more memory to check and to
// translate than a small one of as many layers: weights are drawn where they are trained.
func TestCheckingALargeModelTakesNoMemoryForItsWeights(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	took := func(units int) (bytes uint64, parameters int) {
		hidden := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d, ", units), 20), ", ")
		text := strings.Replace(minimal(""), "model_architecture: mlp", "model_architecture: mlp\nmodel: {hidden: ["+hidden+"]}", 1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		session, _, err := FromExternalRequest(parse(t, text), source, data, ids())
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if parameters, err = session.Architecture.ParameterCount(); err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc, parameters
	}
	_, few := took(8)
	small, _ := took(8)
	large, many := took(23_000)
	if many < 1e10 || few > 1e4 {
		t.Fatalf("%d and %d parameters: the test does not reach what it is for", many, few)
	}
	if large > small+1<<20 {
		t.Errorf("checking %d parameters allocated %d bytes, and %d parameters %d bytes", many, large, few, small)
	}
}

// What parsing has found to be valid is not validated again, but what is changed
// afterwards is; all that is wrong is reported, of the values and of their fit.
func TestARequestThatIsChangedInGoIsValidatedAgain(t *testing.T) {
	source := dataset.Source{Path: "digits"}
	data := open(t, source)
	r := parse(t, minimal(""))
	valid, err := r.validHyperparameters()
	if err != nil || !r.valid.Are(r.Hyperparameters(0)) || valid != r.valid {
		t.Fatalf("%+v, %v: what was parsed is not taken as valid", valid, err)
	}
	r.Config.ClipNorm, r.Config.BatchSize = -1, 5000
	_, _, err = FromExternalRequest(r, source, data, ids())
	for _, field := range []string{"config.clip_norm", "config.batch_size"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want an error that names %s", err, field)
		}
	}
}

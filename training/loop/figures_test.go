package loop

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/kernel/cpu"
	"reprise/metrics"
	"reprise/nn"
	"reprise/training"
)

// trained returns an execution that has taken a few steps, and evaluates the given number
// of rows at a time, or as many as its plan says if that is 0.
func trained(t *testing.T, session training.TrainingSession, data *dataset.Dataset, rows int) *Execution {
	t.Helper()
	backend, err := cpu.NewBackend(cpu.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Close)
	plan, err := PlanOf(session)
	if rows > 0 {
		plan, err = planEvaluating(session, rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewExecutionWith(session, plan, data, backend, NewTrainer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	if err := x.Reset(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := x.Train(); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// sessionOf returns a session that trains a small model of the data in a file.
func sessionOf(t *testing.T, source dataset.Source, name, content string, layers ...nn.Layer) (training.TrainingSession, *dataset.Dataset) {
	t.Helper()
	session, _ := digitsSession(t)
	source.Path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(source.Path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := library.Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	session.Architecture = nn.Architecture{Input: data.SampleShape(), Layers: layers}
	session.Dataset = training.Dataset{
		ID: "file", Path: source.Path, Fingerprint: data.Fingerprint(), Task: data.Task(),
		Training: data.Len(dataset.Train), Validation: data.Len(dataset.Validation),
		SampleShape: data.SampleShape(), Classes: data.Classes(), Targets: data.Targets(),
	}
	session.Hyperparameters.BatchSize, session.Hyperparameters.Shards = 4, 1
	return session, data
}

func figuresOf(t *testing.T, x *Execution, evaluated training.Metrics) training.FiguresComputed {
	t.Helper()
	f, err := x.Figures(evaluated)
	if err != nil || f.Unavailable != "" {
		t.Fatalf("%v %s", err, f.Unavailable)
	}
	return f
}

func near(got *float64, want, tolerance float64) bool {
	return got != nil && math.Abs(*got-want) <= tolerance*max(1, math.Abs(want))
}

func TestFiguresOfClassesAgreeWithTheEvaluation(t *testing.T) {
	session, data := digitsSession(t)
	x := trained(t, session, data, 0)
	f := figuresOf(t, x, training.Metrics{})
	before := x.progress
	e, err := x.Evaluate()
	if err != nil {
		t.Fatal(err)
	}
	if before.Evaluations != 0 {
		t.Error("figures count as an evaluation")
	}
	c := f.Classification
	if c == nil || f.Step != 5 || f.Epoch != 0 || c.Samples != data.Len(dataset.Validation) {
		t.Fatalf("%+v", f)
	}
	if *c.Accuracy != e.ValAccuracy || !near(c.LogLoss, e.ValLoss, 1e-6) {
		t.Errorf("accuracy %v and log loss %v, the evaluation gives %v and %v", *c.Accuracy, *c.LogLoss, e.ValAccuracy, e.ValLoss)
	}
	counts := data.ClassCounts(dataset.Train)
	for i, n := range counts {
		if n > counts[f.MajorityClass.Class] {
			t.Errorf("class %d is more frequent than %d in the training split", i, f.MajorityClass.Class)
		}
		if c.Classes[i].Name != data.ClassNames()[i] {
			t.Errorf("class %d is named %q", i, c.Classes[i].Name)
		}
	}
	if b := f.MajorityClass; b.Name != data.ClassNames()[b.Class] || !near(b.Accuracy, float64(c.Classes[b.Class].Support)/float64(c.Samples), 0) {
		t.Errorf("baseline %+v", b)
	}
}

func TestFiguresDoNotDependOnTheRowsPredictedAtATime(t *testing.T) {
	session, data := digitsSession(t)
	want, err := json.Marshal(figuresOf(t, trained(t, session, data, 0), training.Metrics{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 7, 256} {
		got, err := json.Marshal(figuresOf(t, trained(t, session, data, rows), training.Metrics{}))
		if err != nil || string(got) != string(want) {
			t.Errorf("%d rows at a time: %s, want %s (%v)", rows, got, want, err)
		}
	}
}

func TestFiguresOfARegressionAreInTheUnitOfTheFile(t *testing.T) {
	var table strings.Builder
	table.WriteString("area,price\n")
	for i := range 40 {
		table.WriteString(strings.Join([]string{string(rune('1'+i%9)) + "0", string(rune('1'+i*7%9)) + "000.25\n"}, ","))
	}
	session, data := sessionOf(t, dataset.Source{Task: dataset.Regression, Target: "price"}, "t.csv", table.String(), nn.Linear{Units: 1})
	x := trained(t, session, data, 3)
	f := figuresOf(t, x, training.Metrics{})
	e, err := x.Evaluate()
	if err != nil {
		t.Fatal(err)
	}
	target := data.Targets()[0]
	if len(f.Targets) != 1 || f.Targets[0].Name != "price" || f.Targets[0].Mean.Value != target.Mean {
		t.Fatalf("%+v", f)
	}
	// The loss is the mean squared error of the standardized target.
	if got, want := f.Targets[0].RMSE, math.Sqrt(e.ValLoss)*target.StandardDeviation; !near(got, want, 1e-5) {
		t.Errorf("RMSE %v, want %v", *got, want)
	}
	var mean metrics.ValueTally
	for i := range data.Len(dataset.Validation) {
		if err := mean.Add(data.AppendTargets(nil, dataset.Validation, i)[0], target.Mean); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := f.Targets[0].Mean.RMSE, mean.Figures().RMSE; *got != *want || *want < 500 {
		t.Errorf("the mean has RMSE %v, want %v", *got, *want)
	}
}

func TestFiguresOfTextCountItsBytes(t *testing.T) {
	text := strings.Repeat("äb", 60)
	session, data := sessionOf(t, dataset.Source{Tokenizer: "characters", Context: 4, ValidationFraction: 0.5}, "t.txt", text,
		nn.Embedding{Vocabulary: 2, Width: 4}, nn.Linear{Units: 2})
	f := figuresOf(t, trained(t, session, data, 0), training.Metrics{ValLoss: math.Ln2, ValAccuracy: 0.25})
	windows := data.Len(dataset.Validation)
	if f.Text.Tokens != 4*windows || f.Text.Bytes != 6*windows { // half of the characters have two bytes
		t.Errorf("%d tokens of %d bytes in %d windows of 4", f.Text.Tokens, f.Text.Bytes, windows)
	}
	if !near(f.Text.Perplexity, 2, 1e-15) || !near(f.Text.BitsPerByte, 2.0/3, 1e-15) || !near(f.Text.Accuracy, 0.25, 0) {
		t.Errorf("%+v", f.Text)
	}
	if b := f.TokenFrequencies; !near(b.Perplexity, 2, 1e-3) || !near(b.Accuracy, 0.5, 1e-15) {
		t.Errorf("baseline %+v", b)
	}
}

func TestAPredictionThatIsNotFiniteLeavesNoFigures(t *testing.T) {
	session, data := digitsSession(t)
	x := trained(t, session, data, 0)
	x.trainer = infinite{x.trainer}
	f, err := x.Figures(training.Metrics{})
	if err != nil || f.Classification != nil || f.MajorityClass != nil || !strings.Contains(f.Unavailable, "-Inf, which is not finite") || f.Step != 5 {
		t.Errorf("%+v, %v", f, err)
	}
}

// infinite predicts -Inf.
type infinite struct{ Trainer }

func (t infinite) Predict(_ nn.Batch, outputs []float32) error {
	for i := range outputs {
		outputs[i] = float32(math.Inf(-1))
	}
	return nil
}

// heldOut returns a session of a table whose validation and test split are files.
func heldOut(t *testing.T, task dataset.Task, validation, test string) (training.TrainingSession, *dataset.Dataset) {
	t.Helper()
	folder := t.TempDir()
	split := dataset.SplitOptions{Method: dataset.SplitFiles, ValidationPath: filepath.Join(folder, "validation.csv"), TestPath: filepath.Join(folder, "test.csv")}
	for path, content := range map[string]string{split.ValidationPath: validation, split.TestPath: test} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target, units := "kind", 2
	if task == dataset.Regression {
		target, units = "weight", 1
	}
	source := dataset.Source{Task: task, Target: target, Table: dataset.TableOptions{Split: split}}
	if task == dataset.Regression {
		source.Table.Columns = `{"kind":{"type":"ignored"}}`
	}
	return sessionOf(t, source, "train.csv",
		"size,weight,kind\n1,1.5,cat\n9,8.25,dog\n2,2,cat\n8,7.5,dog\n3,3.5,cat\n7,6.75,dog\n", nn.Linear{Units: units})
}

const (
	someAnimals  = "size,weight,kind\n2.5,2.25,cat\n6,5.5,dog\n5,5,cat\n"
	otherAnimals = "size,weight,kind\n4,4.5,dog\n1.5,1.25,cat\n8.5,9,dog\n9.5,9.25,cat\n0.5,1,cat\n"
)

// The test split has the figures that it would have for validation.
func TestTheTestSplitIsMeasuredAsValidationIs(t *testing.T) {
	for _, task := range []dataset.Task{dataset.Classification, dataset.Regression} {
		session, data := heldOut(t, task, someAnimals, otherAnimals)
		f := figuresOf(t, trained(t, session, data, 0), training.Metrics{})
		session, data = heldOut(t, task, otherAnimals, someAnimals)
		swapped := figuresOf(t, trained(t, session, data, 0), training.Metrics{})
		if f.Test == nil || f.Test.Samples != 5 || swapped.Test == nil || swapped.Test.Samples != 3 {
			t.Fatalf("%s: %+v and %+v", task, f.Test, swapped.Test)
		}
		if !reflect.DeepEqual(f.Test.Figures, swapped.Figures) || !reflect.DeepEqual(f.Figures, swapped.Test.Figures) || reflect.DeepEqual(f.Figures, f.Test.Figures) {
			t.Errorf("%s: validation %s, test %s; swapped %s and %s", task, training.Headline(f.Figures, ""), training.Headline(f.Test.Figures, ""),
				training.Headline(swapped.Figures, ""), training.Headline(swapped.Test.Figures, ""))
		}
	}
}

// Two runs whose data differ in the test split alone are the same up to their last epoch:
// weights, figures of epochs, learning rates and when they stop.
func TestNothingInTrainingSeesTheTestSplit(t *testing.T) {
	type epoch struct {
		training.EpochMetrics
		Stopped  bool
		Rate     float32
		Weights  string
		Progress training.Progress
	}
	history := func(test string) (list []epoch) {
		session, data := heldOut(t, dataset.Classification, someAnimals, test)
		h := &session.Hyperparameters
		h.Epochs, h.EarlyStopping = 30, training.EarlyStopping{Patience: 3, MinDelta: 0.05}
		h.LearningRate = training.LearningRate{Value: 1.5, Schedule: training.Schedule{Name: training.ReduceOnPlateau, Patience: 1, Gamma: 0.5, Threshold: 0.9}}
		x := trained(t, session, data, 0)
		if err := x.Reset(); err != nil {
			t.Fatal(err)
		}
		for {
			step, err := x.Train()
			if err != nil {
				t.Fatal(err)
			}
			if !step.EpochDone {
				continue
			}
			m, err := x.FinishEpoch()
			if err != nil {
				t.Fatal(err)
			}
			sha, err := x.WeightsSHA256()
			if err != nil {
				t.Fatal(err)
			}
			_, stopped := x.Stopped()
			list = append(list, epoch{m, stopped, step.LearningRate, sha, x.progress})
			if stopped || m.Epoch == h.Epochs {
				return list
			}
		}
	}
	one, other := history(otherAnimals), history("size,weight,kind\n100,100,dog\n")
	if !reflect.DeepEqual(one, other) {
		t.Errorf("with another test split: %+v\nwant %+v", other, one)
	}
	if last := one[len(one)-1]; !last.Stopped || last.Rate == one[0].Rate {
		t.Errorf("training neither stopped early nor reduced its rate, so this shows nothing: %+v", last)
	}
}

func TestATestSplitThatIsOutOfScaleHasNoFigures(t *testing.T) {
	session, data := heldOut(t, dataset.Classification, someAnimals, "size,weight,kind\n3e38,1,dog\n")
	session.Hyperparameters.LearningRate.Value = 30 // weights so large that the logits overflow
	x := trained(t, session, data, 0)
	f := figuresOf(t, x, training.Metrics{})
	if f.Classification == nil || f.Test == nil || f.Test.Samples != 1 || !f.Test.None() || !strings.Contains(f.Test.Unavailable, "not finite") {
		t.Errorf("%+v of %+v", f.Test, f)
	}
	if said := f.Remark(); !strings.Contains(said, "; on the test split none: ") {
		t.Errorf("%q", said)
	}
}

// rowCounter is a trainer that counts the rows of each prediction.
type rowCounter struct {
	Trainer
	rows map[int]int
}

func (c rowCounter) Predict(b nn.Batch, outputs []float32) error {
	c.rows[b.Rows]++
	return c.Trainer.Predict(b, outputs)
}

// The test split is measured once, at the end, also where a figure of the validation split
// is measured after each epoch.
func TestAMonitoredFigureIsNotMeasuredOnTheTestSplit(t *testing.T) {
	session, data := heldOut(t, dataset.Classification, someAnimals, otherAnimals)
	session.Hyperparameters.Monitor = "f1_macro"
	x := trained(t, session, data, 0)
	counter := rowCounter{x.trainer, map[int]int{}}
	x.trainer = counter
	const times = 4
	for range times {
		if _, err := x.Evaluate(); err != nil {
			t.Fatal(err)
		}
	}
	validation, test := data.Len(dataset.Validation), data.Len(dataset.Test)
	if validation == test || counter.rows[validation] != times || len(counter.rows) != 1 {
		t.Errorf("%d validation and %d test rows; predictions by their rows: %v", validation, test, counter.rows)
	}
}

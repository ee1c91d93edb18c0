package main

import (
	"bytes"
	bits "encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"reprise/api"
	"reprise/dataset"
	"reprise/dataset/columns"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/export/bundle"
	"reprise/inference"
	"reprise/kernel/cpu"
	"reprise/nn"
	"reprise/training"
)

// invoke runs a command line in this process with nothing in its environment but home.
func invoke(t *testing.T, home string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	getenv := func(key string) string {
		if key == "HOME" {
			return home
		}
		return ""
	}
	if code := run(append([]string{"reprise"}, args...), strings.NewReader(""), &stdout, &stderr, getenv); code != 0 {
		t.Fatalf("reprise %s: exit code %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.String()
}

// outputsInTraining returns the outputs for the validation split, as an evaluation in
// training computes them: with a plan for training, from the data as it was gathered.
func outputsInTraining(t *testing.T, data *dataset.Dataset, b bundle.Bundle) []float32 {
	t.Helper()
	backend, err := cpu.NewBackend(cpu.Config{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	config := nn.PlanConfig{BatchSize: 7, Optimizer: nn.Optimizer{Name: nn.SGD}}
	if data.Task() == dataset.Regression {
		config.Objective = nn.MeanSquaredError
	}
	plan, err := nn.NewPlan(b.Architecture, config)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := nn.NewTrainer(backend, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.Load(nn.State{Parameters: b.Weights}); err != nil {
		t.Fatal(err)
	}
	index := make([]int, data.Len(dataset.Validation))
	for i := range index {
		index[i] = i
	}
	batch := data.NewBatch(len(index))
	data.GatherBatch(dataset.Validation, index, batch)
	outputs := make([]float32, len(index)*plan.Outputs())
	if err := trainer.Predict(nn.Batch{Rows: len(index), Inputs: batch.Inputs}, outputs); err != nil {
		t.Fatal(err)
	}
	return outputs
}

// rowsAsRead returns the validation split of a table of numbers as a CSV file.
func rowsAsRead(data *dataset.Dataset) string {
	var b strings.Builder
	fmt.Fprintln(&b, strings.Join(data.ColumnNames(), ","))
	for i := range data.Len(dataset.Validation) {
		row, _, _ := data.AppendRaw(nil, dataset.Validation, i)
		cells := make([]string, len(row))
		for j, v := range row {
			cells[j] = strconv.FormatFloat(v, 'g', -1, 64)
		}
		fmt.Fprintln(&b, strings.Join(cells, ","))
	}
	return b.String()
}

// imagesAsRead returns the validation split of images as an IDX file.
func imagesAsRead(data *dataset.Dataset) string {
	shape := data.SampleShape()
	raw := []byte{0, 0, 8, 4}
	for _, n := range append([]int{data.Len(dataset.Validation)}, shape...) {
		raw = bits.BigEndian.AppendUint32(raw, uint32(n))
	}
	for i := range data.Len(dataset.Validation) {
		row, _, _ := data.AppendRaw(nil, dataset.Validation, i)
		for _, v := range row {
			raw = append(raw, byte(v))
		}
	}
	return string(raw)
}

// rowsWithTarget returns the validation split of a table of numbers, with its target, as a CSV
// file.
func rowsWithTarget(data *dataset.Dataset, target preprocess.Target) string {
	var b strings.Builder
	names := data.ColumnNames()
	for _, q := range target.Quantities {
		names = append(names, q.Name)
	}
	if target.Column != "" {
		names = append(names, target.Column)
	}
	fmt.Fprintln(&b, strings.Join(names, ","))
	for i := range data.Len(dataset.Validation) {
		row, label, _ := data.AppendRaw(nil, dataset.Validation, i)
		row = data.AppendTargets(row, dataset.Validation, i)
		cells := make([]string, len(row))
		for j, v := range row {
			cells[j] = strconv.FormatFloat(v, 'g', -1, 64)
		}
		if target.Column != "" {
			cells = append(cells, data.ClassNames()[label])
		}
		fmt.Fprintln(&b, strings.Join(cells, ","))
	}
	return b.String()
}

// labelsOf returns the classes of the validation split of images as an IDX file.
func labelsOf(data *dataset.Dataset) string {
	n := data.Len(dataset.Validation)
	raw := bits.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(n))
	for i := range n {
		raw = append(raw, byte(data.Label(dataset.Validation, i)))
	}
	return string(raw)
}

// checkEvaluation compares the figures of a bundle on the validation split, as a file, with
// those that its run has recorded.
func checkEvaluation(t *testing.T, home, empty, archive, file string) {
	t.Helper()
	var run api.RunDetails
	var got api.ModelEvaluation
	for to, text := range map[any]string{
		&run: invoke(t, home, "runs", "show", "latest", "-o", "json"), &got: invoke(t, empty, "evaluate", archive, "--data", file, "-o", "json"),
	} {
		if err := json.Unmarshal([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	if run.Figures == nil || run.Figures.None() || !reflect.DeepEqual(got.Figures, run.Figures.Figures) || got.Samples != run.Data.Validation {
		t.Errorf("evaluated on %d samples: %s; the run has %s", got.Samples, training.Headline(got.Figures, ""), training.Headline(run.Figures.Figures, ""))
	}
}

// checkAlone compares the prediction of each row of a CSV file with that of the row alone.
func checkAlone(t *testing.T, empty, archive, rows, together string) {
	t.Helper()
	header, rest, _ := strings.Cut(rows, "\n")
	lines := strings.Split(strings.TrimSpace(rest), "\n")
	predicted := strings.Split(strings.TrimSpace(together), "\n")
	path := filepath.Join(t.TempDir(), "row.csv")
	for i, line := range lines[:min(len(lines), 5)] {
		if err := os.WriteFile(path, []byte(header+"\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, want := invoke(t, empty, "predict", archive, "--input", path), predicted[0]+"\n"+predicted[i+1]+"\n"; got != want {
			t.Errorf("row %d alone: %s, among others %s", i, got, want)
		}
	}
}

// checkParquet compares the Parquet output of predictions with that in CSV.
func checkParquet(t *testing.T, parquet, inCSV string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "predictions.parquet")
	if err := os.WriteFile(path, []byte(parquet), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := tablefile.Open(t.Context(), tablefile.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // it was only read
	records, err := csv.NewReader(strings.NewReader(inCSV)).ReadAll()
	if err != nil || !slices.Equal(rows.Columns(), records[0]) {
		t.Fatalf("columns %q, want %q, %v", rows.Columns(), records[0], err)
	}
	cells := make([]tablefile.Cell, len(records[0]))
	for i, want := range records[1:] {
		if _, err := rows.Next(t.Context(), cells); err != nil {
			t.Fatal(err)
		}
		for j, cell := range cells {
			if got := columns.Label(cell); got != want[j] && (cell.Kind != tablefile.Number || strconv.FormatFloat(cell.Number, 'g', -1, 64) != want[j]) {
				t.Fatalf("row %d: %s of %q, want %q", i, rows.Columns()[j], got, want[j])
			}
		}
	}
	if _, err := rows.Next(t.Context(), cells); !errors.Is(err, io.EOF) {
		t.Errorf("after the last row: %v", err)
	}
}

const (
	petsTable = "kind,size,colour,born\ncat,3,black,2020-01-02\ndog,9,brown,2021-03-04\ncat,4,,2020-05-06\ndog,8,black,2022-07-08\n" +
		"cat,2,white,2020-09-10\ndog,11,brown,2023-11-12\ncat,,white,2021-02-03\ndog,7,black,2022-04-05\n"
	petsHeldOut = "kind,size,colour,born\ncat,3.5,green,2020-01-09\ndog,,brown,2024-06-07\ncat,12,,2021-08-09\n"
	// The same rows, without the target and with the columns in another order.
	petsUnknown = "born,size,colour\n2020-01-09,3.5,green\n2024-06-07,,brown\n2021-08-09,12,\n"
)

const (
	reviewsTable = "verdict,review,stars,shop\ngood,a very good film about a dog,5,north\nbad,a bad film and a bad end,1,south\ngood,very good and about you,4,north\n" +
		"bad,the end of a bad dog,2,north\ngood,good good good end,,south\nbad,bad from the start to the end,1,south\n" +
		"good,you start very good,5,north\nbad,the bad end of you,2,south\n"
	reviewsHeldOut = "verdict,review,stars,shop\ngood,a GOOD start,3,west\nbad,,2,south\nbad,what nobody has ever said before in any film that there is,1,north\n"
	// The same rows, without the target and with the columns in another order.
	reviewsUnknown = "shop,review,stars\nwest,a GOOD start,3\nsouth,,2\nnorth,what nobody has ever said before in any film that there is,1\n"
	reviewsDataset = "{target: verdict, columns: {review: text, shop: {kind: category, encode: embedding}}, split: {method: files, validation_path: later.csv}}"
	reviewsOptions = `{"columns":{"review":{"kind":"text"},"shop":{"kind":"category","encode":"embedding"}},"split":{"method":"files"}}`
)

// What a bundle predicts, on a machine that has nothing else, has the bits of the
// validation in training.
func TestABundlePredictsAsInTraining(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held := write("held-out.csv", petsHeldOut)
	write("later.csv", reviewsHeldOut)
	write("reviews.csv", reviewsTable)
	reviews := dataset.Source{Path: filepath.Join(folder, "reviews.csv"), Target: "verdict"}
	if err := json.Unmarshal([]byte(reviewsOptions), &reviews.Table); err != nil {
		t.Fatal(err)
	}
	reviews.Table.Split.ValidationPath = filepath.Join(folder, "later.csv")
	write("pets.csv", petsTable)
	const config = "config: {batch_size: 8, learning_rate: 0.01, epochs: 2}\n"
	const mlp = "model_architecture: mlp\nmodel: {hidden: [5]}\n"
	for _, c := range []struct {
		name, request, ending string
		source                dataset.Source
		input                 func(*dataset.Dataset) string
	}{
		{"classes of a table of numbers", mlp + "dataset_path: wine\n" + config, ".csv", dataset.Source{Path: "wine"}, rowsAsRead},
		{"quantities", mlp + "dataset_path: diabetes\n" + config, ".csv", dataset.Source{Path: "diabetes"}, rowsAsRead},
		{"digits", "model_architecture: cnn\nmodel: {channels: [2], hidden: [4]}\ndataset_path: digits\nconfig: {batch_size: 64, learning_rate: 0.002, epochs: 1}\n",
			"-ubyte", dataset.Source{Path: "digits"}, imagesAsRead},
		{"a table with categories", mlp + "dataset_path: pets.csv\ndataset: {target: kind, split: {method: files, validation_path: held-out.csv}}\n" + config, ".csv",
			dataset.Source{Path: filepath.Join(folder, "pets.csv"), Target: "kind",
				Table: dataset.TableOptions{Split: dataset.SplitOptions{Method: dataset.SplitFiles, ValidationPath: held}}},
			func(*dataset.Dataset) string { return petsUnknown }},
		{"a table with text", mlp + "dataset_path: reviews.csv\ndataset: " + reviewsDataset + "\n" + config, ".csv", reviews,
			func(*dataset.Dataset) string { return reviewsUnknown }},
		{"a transformer of text", "model_architecture: transformer\nmodel: {layers: 1, heads: 2, width: 4}\ndataset_path: reviews.csv\ndataset: " + reviewsDataset + "\n" + config,
			".csv", reviews, func(*dataset.Dataset) string { return reviewsUnknown }},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			var result api.Result
			out := invoke(t, home, "train", write("job.yaml", c.request), "-o", "json")
			if err := json.Unmarshal([]byte(out), &result); err != nil {
				t.Fatal(err)
			}
			elsewhere := t.TempDir()
			archive, dir := filepath.Join(elsewhere, "model.tar"), filepath.Join(elsewhere, "model")
			invoke(t, home, "export", "latest", "--format", "bundle", "--out", archive)
			invoke(t, home, "export", "latest", "--format", "bundle", "--out", dir)

			library, err := dataset.NewLibrary(dataset.Config{})
			if err != nil {
				t.Fatal(err)
			}
			data, err := library.Open(t.Context(), c.source)
			if err != nil {
				t.Fatal(err)
			}
			b, err := bundle.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if b.Lineage.DatasetFingerprint != data.Fingerprint() {
				t.Fatalf("the run was trained on %s, the test opened %s", b.Lineage.DatasetFingerprint, data.Fingerprint())
			}
			input := write("input"+c.ending, c.input(data))
			empty := t.TempDir()
			first := invoke(t, empty, "predict", archive, "--input", input)
			for _, args := range [][]string{{dir}, {dir, "--threads", "1"}, {archive, "--cpu-features", "none"}} {
				if again := invoke(t, empty, append([]string{"predict", "--input", input}, args...)...); again != first {
					t.Errorf("%v: another prediction", args)
				}
			}
			if again := invoke(t, home, "predict", "latest", "--input", input); again != first {
				t.Error("the run predicts otherwise than its bundle")
			}
			comparePredictions(t, first, outputsInTraining(t, data, b), data)
			checkParquet(t, invoke(t, empty, "predict", archive, "--input", input, "-o", "parquet"), first)
			labelled := c.source.Table.Split.ValidationPath
			switch {
			case b.Preprocessing.Pixels != nil:
				labelled = write("input-images-idx3-ubyte", c.input(data))
				write("input-labels-idx1-ubyte", labelsOf(data))
			case c.source.Table.IsZero():
				labelled = write("labelled.csv", rowsWithTarget(data, b.Preprocessing.Target))
			}
			checkEvaluation(t, home, empty, archive, labelled)
			if c.ending == ".csv" {
				checkAlone(t, empty, archive, c.input(data), first)
			}
			if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
				t.Errorf("predicting left %v in the home folder, %v", entries, err)
			}
		})
	}
}

// comparePredictions compares what was printed with the outputs of the network, bit for bit.
func comparePredictions(t *testing.T, printed string, outputs []float32, data *dataset.Dataset) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(printed)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := records[1:]
	if len(rows) != data.Len(dataset.Validation) {
		t.Fatalf("%d predictions of %d rows", len(rows), data.Len(dataset.Validation))
	}
	each := len(outputs) / len(rows)
	for i, row := range rows {
		want := outputs[i*each : (i+1)*each]
		var values []float64
		if data.Task() == dataset.Regression {
			for j, target := range data.Targets() {
				values = append(values, target.Restore(want[j]))
			}
		} else {
			best := 0
			for j, v := range want {
				if v > want[best] {
					best = j
				}
			}
			if row[0] != data.ClassNames()[best] {
				t.Errorf("row %d: class %q, want %q", i, row[0], data.ClassNames()[best])
			}
			row = row[1:]
			values = inference.Softmax(want)
		}
		for j, v := range values {
			got, err := strconv.ParseFloat(row[j], 64)
			if err != nil || math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("row %d: %s, want %v", i, row[j], v)
			}
		}
	}
}

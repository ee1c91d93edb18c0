package main

import (
	"bytes"
	bits "encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"reprise/api"
	"reprise/dataset"
	"reprise/export/bundle"
	"reprise/inference"
	"reprise/kernel/cpu"
	"reprise/nn"
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
		row, _ := data.AppendRaw(nil, dataset.Validation, i)
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
		row, _ := data.AppendRaw(nil, dataset.Validation, i)
		for _, v := range row {
			raw = append(raw, byte(v))
		}
	}
	return string(raw)
}

const (
	petsTable = "kind,size,colour,born\ncat,3,black,2020-01-02\ndog,9,brown,2021-03-04\ncat,4,,2020-05-06\ndog,8,black,2022-07-08\n" +
		"cat,2,white,2020-09-10\ndog,11,brown,2023-11-12\ncat,,white,2021-02-03\ndog,7,black,2022-04-05\n"
	petsHeldOut = "kind,size,colour,born\ncat,3.5,green,2020-01-09\ndog,,brown,2024-06-07\ncat,12,,2021-08-09\n"
	// The same rows, without the target and with the columns in another order.
	petsUnknown = "born,size,colour\n2020-01-09,3.5,green\n2024-06-07,,brown\n2021-08-09,12,\n"
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
			if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
				t.Errorf("predicting left %v in the home folder, %v", entries, err)
			}
		})
	}
}

// A model of a folder of images, and one of a table of their paths, predicts the files
// themselves, of any size if it was trained to, with the bits of the validation in training.
func TestABundlePredictsFilesOfImagesAsInTraining(t *testing.T) {
	folder := t.TempDir()
	var table strings.Builder
	table.WriteString("weight,file\n")
	for i := range 20 {
		m := image.NewNRGBA(image.Rect(0, 0, 3+i%4, 5))
		for j := range m.Pix {
			m.Pix[j] = byte(j*i + 31*i)
		}
		var content bytes.Buffer
		if err := png.Encode(&content, m); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s/%s/%d.png", []string{"train", "train", "val"}[i%3], []string{"cat", "dog"}[i%2], i)
		fmt.Fprintf(&table, "%d.5,images/%s\n", i*i%13, name)
		path := filepath.Join(folder, "images", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	rows := strings.SplitAfter(table.String(), "\n")
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trained, held := write("train.csv", strings.Join(rows[:15], "")), write("held.csv", rows[0]+strings.Join(rows[15:], ""))
	options := dataset.ImageOptions{Size: [2]int{2, 3}}
	for _, c := range []struct {
		request, input string
		source         dataset.Source
	}{
		{"dataset_path: images\ndataset: {image: {size: [2, 3]}}\n", filepath.Join(folder, "images", "val"),
			dataset.Source{Path: filepath.Join(folder, "images"), Image: options}},
		{"dataset_path: train.csv\ndataset: {target: weight, task: regression, image: {size: [2, 3]}, split: {method: files, validation_path: held.csv}}\n", held,
			dataset.Source{Path: trained, Target: "weight", Task: dataset.Regression, Image: options,
				Table: dataset.TableOptions{Split: dataset.SplitOptions{Method: dataset.SplitFiles, ValidationPath: held}}}},
	} {
		home := t.TempDir()
		invoke(t, home, "train", write("job.yaml", "model_architecture: mlp\nmodel: {hidden: [5]}\nconfig: {batch_size: 8, learning_rate: 0.01, epochs: 1}\n"+c.request))
		archive := filepath.Join(t.TempDir(), "model.tar")
		invoke(t, home, "export", "latest", "--format", "bundle", "--out", archive)
		library, err := dataset.NewLibrary(dataset.Config{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := library.Open(t.Context(), c.source)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Open(archive)
		if err != nil || b.Lineage.DatasetFingerprint != data.Fingerprint() {
			t.Fatalf("trained on %s, opened %s, %v", b.Lineage.DatasetFingerprint, data.Fingerprint(), err)
		}
		out := invoke(t, t.TempDir(), "predict", archive, "--input", c.input)
		var plain strings.Builder
		for line := range strings.Lines(out) {
			name, rest, _ := strings.Cut(line, ",")
			if plain.Len() > 0 && !strings.HasSuffix(name, ".png") {
				t.Errorf("%q names no image", line)
			}
			plain.WriteString(rest)
		}
		comparePredictions(t, plain.String(), outputsInTraining(t, data, b), data)
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

package main

import (
	"bytes"
	bits "encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/dataset"
	"reprise/export/bundle"
)

// A model of a folder of images, and one of a table of their paths, predicts the files
// themselves, of any size if it was trained to, with the bits of the validation in training,
// and has the figures that its run has recorded.
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
		empty := t.TempDir()
		out := invoke(t, empty, "predict", archive, "--input", c.input)
		var plain strings.Builder
		for line := range strings.Lines(out) {
			name, rest, _ := strings.Cut(line, ",")
			if plain.Len() > 0 && !strings.HasSuffix(name, ".png") {
				t.Errorf("%q names no image", line)
			}
			plain.WriteString(rest)
		}
		comparePredictions(t, plain.String(), outputsInTraining(t, data, b), data)
		checkParquet(t, invoke(t, empty, "predict", archive, "--input", c.input, "-o", "parquet"), out)
		checkEvaluation(t, home, empty, archive, c.input)
		// The same pixels in one file have no names.
		if stored := invoke(t, empty, "predict", archive, "--input", write("same-images-idx3-ubyte", colorImages(data))); stored != plain.String() {
			t.Errorf("from IDX %s, from files %s", stored, plain.String())
		}
	}
}

// colorImages returns the validation split of images with three channels as an IDX file.
func colorImages(data *dataset.Dataset) string {
	n := data.Len(dataset.Validation)
	raw := []byte{0, 0, 8, 4}
	for _, size := range append([]int{n}, data.SampleShape()...) {
		raw = bits.BigEndian.AppendUint32(raw, uint32(size))
	}
	for i := range n {
		pixels, _, _ := data.AppendRaw(nil, dataset.Validation, i)
		for _, v := range pixels {
			raw = append(raw, byte(v))
		}
	}
	return string(raw)
}

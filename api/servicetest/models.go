package servicetest

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"reprise/api"
	"reprise/fault"
)

// modelCalls are calls of the operations that use models.
func modelCalls() []call {
	return []call{
		{"models.predict", `{"run":"latest","folder":"/","input":{"path":"none.csv"}}`},
		{"models.predict", `{"run":"no such run","input":{"path":"none.csv"}}`},
		{"models.predict", `{"bundle":"none.tar","folder":"/","step":3,"input":{}}`},
		{"models.predict", `{"bundle":"/none.tar","input":{"path":"none.csv"}}`},
		{"models.evaluate", `{"run":"latest"}`},
		{"models.evaluate", `{"run":"latest","split":"test","step":1000000}`},
		{"models.evaluate", `{"run":"latest","folder":"/","data":{"path":"none.csv"}}`},
		{"models.evaluate", `{"bundle":"/none.tar","run":"a","split":"train"}`},
		{"runs.plot", `{"run":"latest","kinds":["curves"]}`},
		{"runs.plot", `{"run":"latest","kinds":["residuals"]}`},
		{"runs.plot", `{"run":"no such run","kinds":[""],"split":"train"}`},
	}
}

// writeDigits writes images of digits, and the file with their classes beside them.
func writeDigits(t *testing.T, images ...[]byte) string {
	t.Helper()
	folder := t.TempDir()
	pixels := []byte{0, 0, 8, 3}
	labels := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(len(images)))
	for _, n := range []int{len(images), 8, 8} {
		pixels = binary.BigEndian.AppendUint32(pixels, uint32(n))
	}
	for i, image := range images {
		pixels, labels = append(pixels, image...), append(labels, byte(i))
	}
	path := filepath.Join(folder, "new-images-idx3-ubyte")
	if err := errors.Join(os.WriteFile(path, pixels, 0o600), os.WriteFile(filepath.Join(folder, "new-labels-idx1-ubyte"), labels, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// predicted returns what is predicted for a file, and the error.
func predicted(t *testing.T, s api.Service, r api.PredictRequest) (head *api.PredictionHead, list []api.Prediction, failed *api.Error) {
	t.Helper()
	for part, err := range s.Predict(t.Context(), r) {
		switch {
		case err != nil:
			if !errors.As(err, &failed) {
				t.Errorf("%#v", err)
			}
		case (part.Head != nil) == (head != nil) || part.Head != nil && part.Predictions != nil:
			t.Errorf("%+v after %d predictions", part, len(list))
		case part.Head != nil:
			head = part.Head
		default:
			list = append(list, part.Predictions...)
		}
	}
	return head, list, failed
}

// evaluated returns the figures of a model, and the error.
func evaluated(t *testing.T, s api.Service, r api.EvaluateRequest) (result *api.ModelEvaluation, failed *api.Error) {
	t.Helper()
	for u, err := range s.Evaluate(t.Context(), r) {
		if err != nil {
			if !errors.As(err, &failed) {
				t.Errorf("%#v", err)
			}
			continue
		}
		if result != nil {
			t.Errorf("%+v comes after the result", u)
		}
		result = u.Result
	}
	return result, failed
}

func usedModels(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	run := submitted(t, s, "config.epochs=1")[0]
	end := followed(t, s, []string{run}, nil)[0].Details
	model := api.TrainedModel{Run: run}
	images := make([][]byte, 5)
	for i := range images {
		images[i] = slices.Repeat([]byte{byte(i * 3), byte(i), 16, byte(i * i)}, 16)
	}
	path := writeDigits(t, images...)
	input := api.Rows{Path: api.Text(path)}
	head, list, err := predicted(t, s, api.PredictRequest{TrainedModel: model, Input: input})
	if err != nil || head == nil || len(list) != len(images) || len(head.Classes) != 10 || head.Quantities != nil {
		t.Fatalf("%+v, %d predictions, %v", head, len(list), err)
	}
	if m := head.Model; string(m.RunID) != run || m.Step != end.Step || m.WeightsSHA256 != end.WeightsSHA256 || !m.Best || m.Bundle != "" {
		t.Errorf("predicted with %+v, the run is %+v", m, end.Run)
	}
	for i, image := range images {
		// The same bits alone, and with a path that starts from a folder.
		alone := model
		single := writeDigits(t, image)
		alone.Folder = api.Text(filepath.Dir(single))
		_, one, err := predicted(t, s, api.PredictRequest{TrainedModel: alone, Input: api.Rows{Path: api.Text(filepath.Base(single))}})
		if err != nil || len(one) != 1 || !reflect.DeepEqual(one[0], list[i]) || len(one[0].Values) != 10 {
			t.Errorf("image %d alone: %+v, among others %+v, %v", i, one, list[i], err)
		}
	}
	e, err := evaluated(t, s, api.EvaluateRequest{TrainedModel: model, Data: &input})
	if err != nil || e == nil || e.Samples != len(images) || e.Classification == nil || e.MajorityClass == nil || e.Recorded != nil || e.Data != input.Path {
		t.Fatalf("%+v, %v", e, err)
	}
	right := 0
	for i, p := range list {
		if p.Class == i {
			right++
		}
		if e.Classification.Confusion[i][p.Class] != 1 {
			t.Errorf("image %d is predicted as %d, the confusion is %v", i, p.Class, e.Classification.Confusion[i])
		}
	}
	if got := *e.Classification.Accuracy; got != float64(right)/float64(len(images)) {
		t.Errorf("accuracy %v with %d right", got, right)
	}
	// Its own validation split has the figures on record.
	own, err := evaluated(t, s, api.EvaluateRequest{TrainedModel: model})
	if err != nil || own == nil || own.Recorded == nil || !*own.Recorded || own.Split != "validation" || !reflect.DeepEqual(own.Figures, end.Figures.Figures) {
		t.Errorf("%+v, %v", own, err)
	}
	for _, err := range s.Predict(t.Context(), api.PredictRequest{TrainedModel: model, Input: input}) {
		if err != nil {
			t.Error(err)
		}
		break // which ends it
	}
	step := uint64(7)
	for _, c := range []struct {
		kind   fault.Kind
		fields []string
		failed func() *api.Error
	}{
		{fault.Invalid, []string{"run", "input.path"}, func() *api.Error {
			_, _, err := predicted(t, s, api.PredictRequest{})
			return err
		}},
		{fault.Invalid, []string{"step"}, func() *api.Error {
			_, _, err := predicted(t, s, api.PredictRequest{TrainedModel: api.TrainedModel{Run: run, Step: &step}, Input: input})
			return err
		}},
		{fault.Invalid, []string{"input.separator"}, func() *api.Error {
			_, _, err := predicted(t, s, api.PredictRequest{TrainedModel: model, Input: api.Rows{Path: input.Path, Separator: ";"}})
			return err
		}},
		{fault.Invalid, []string{"data.path", "split"}, func() *api.Error {
			_, err := evaluated(t, s, api.EvaluateRequest{TrainedModel: api.TrainedModel{Bundle: "b.tar"}, Split: "train"})
			return err
		}},
		{fault.Invalid, []string{"split"}, func() *api.Error {
			_, err := evaluated(t, s, api.EvaluateRequest{TrainedModel: model, Split: "test"})
			return err
		}},
	} {
		err := c.failed()
		if err == nil {
			t.Errorf("%q: nothing failed", c.fields)
			continue
		}
		var fields []string
		for _, m := range err.Mistakes {
			fields = append(fields, m.Field)
		}
		if err.Fault != c.kind || !slices.Equal(fields, c.fields) {
			t.Errorf("the mistakes are in %q, want %q: %v", fields, c.fields, err)
		}
	}
}

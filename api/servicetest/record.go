package servicetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/api"
	"reprise/dataset"
	"reprise/export"
	"reprise/fault"
)

// recordCalls are calls of the operations on what runs have recorded, and on data sets.
func recordCalls() []call {
	return []call{
		{"runs.metrics", `{"run":"latest"}`},
		{"runs.metrics", `{"run":"no such run"}`},
		{"runs.explain", `{"run":"latest"}`},
		{"runs.explain", `{"run":"no such run"}`},
		{"runs.verify", `{"run":"latest"}`},
		{"runs.verify", `{"run":"latest","from":1,"to":2}`},
		{"runs.verify", `{"run":"no such run"}`},
		{"runs.generate", `{"run":"latest","tokens":3,"prompt":"a"}`},
		{"runs.generate", `{"run":"latest","temperature":-1,"seed":7}`},
		{"runs.export", `{"run":"latest","format":"onnx"}`},
		{"runs.export", `{"run":"latest","format":"safetensors","step":1000000}`},
		{"runs.export", `{"run":"latest","format":"pickle","step":1,"best":true}`},
		{"datasets.list", `{}`},
		{"datasets.fetch", `{"name":"digits"}`},
		{"datasets.fetch", `{"name":"dgits"}`},
		{"datasets.fetch", `{"name":"mnist"}`},
		{"datasets.inspect", `{"path":"wine"}`},
		{"datasets.inspect", `{"path":"wine","task":"sorting","context":7}`},
		{"datasets.inspect", `{"path":{"base64":"Y2Fm6Q=="}}`},
	}
}

func figures(t *testing.T, h Harness) {
	for _, name := range h.Names(t) {
		s := h.Open(t, h.Dir(t, name))
		list, err := s.Runs(t.Context(), api.RunsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Runs {
			m, head, err := api.CollectMetrics(s.Metrics(t.Context(), api.MetricsRequest{Run: string(r.RunID)}))
			if r.Epochs == 0 { // only its job is recorded
				var e *api.Error
				if !errors.As(err, &e) || e.Code != api.NotBegun && e.Code != api.RunStopped || e.Run != r.RunID {
					t.Errorf("%s: run %s: %v", name, r.RunID, err)
				}
				continue
			}
			if err != nil || m.RunID != r.RunID || m.Steps == nil || m.Epochs == nil {
				t.Errorf("%s: run %s: %+v, %v", name, r.RunID, m, err)
				continue
			}
			report, err := s.Run(t.Context(), api.RunRequest{Run: string(r.RunID)})
			if err != nil || len(m.Epochs) != len(report.Details.History) || head.CanResume != report.CanResume || head.Data.Path != report.Details.Data.Path {
				t.Errorf("%s: run %s: %+v and %+v, %v", name, r.RunID, head, report, err)
			}
		}
	}
}

// verified verifies a run and returns its report and error.
func verified(t *testing.T, s api.Service, r api.VerifyRequest) (report *api.VerifyReport, progress int, failed error) {
	t.Helper()
	for u, err := range s.Verify(t.Context(), r) {
		switch {
		case failed != nil:
			t.Errorf("after %v: %+v, %v", failed, u, err)
		case err != nil:
			failed = err
		case u.Report != nil:
			report = u.Report
			if u.Folder == "" {
				t.Errorf("%+v", u)
			}
		case report != nil || u.Progress == nil || u.Progress.Step <= u.Progress.From || u.Progress.Step > u.Progress.Last:
			t.Errorf("%+v", u)
		default:
			progress++
		}
	}
	return report, progress, failed
}

// The log is there, the files of the checkpoints are not.
func verification(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	list, err := s.Runs(t.Context(), api.RunsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r := api.VerifyRequest{Run: string(list.Runs[0].RunID)} // the others are forks
	report, progress, err := verified(t, s, r)
	if report == nil || report.Verified || report.Problem == "" || progress == 0 {
		t.Fatalf("%+v, %d, %v", report, progress, err)
	}
	for _, c := range report.Checkpoints {
		if !c.Missing || c.Reproduced != c.Recorded {
			t.Errorf("%+v", c)
		}
	}
	var e *api.Error
	if !errors.As(err, &e) || e.Fault != fault.Corrupt || !strings.Contains(e.Message, report.Problem) {
		t.Errorf("%#v", err)
	}
	for u, err := range s.Verify(t.Context(), r) {
		if u.Progress == nil || err != nil {
			t.Errorf("%+v, %v", u, err)
		}
		break // which ends it
	}
}

func verifiedRange(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "digits"))
	for field, r := range map[string]api.VerifyRequest{
		"from": {Run: "latest", From: 7},
		"to":   {Run: "latest", To: 7},
	} {
		report, _, err := verified(t, s, r)
		var e *api.Error
		if report != nil || !errors.As(err, &e) || e.Fault != fault.Invalid || len(e.Mistakes) != 1 || e.Mistakes[0].Field != field ||
			e.Mistakes[0].Value != "7" || !strings.HasPrefix(e.Mistakes[0].Fix, "use ") {
			t.Errorf("%s: %+v, %#v", field, report, err)
		}
	}
}

// generated returns a text and the error of generating it.
func generated(t *testing.T, s api.Service, r api.GenerateRequest) (string, *api.Error) {
	t.Helper()
	var text strings.Builder
	for piece, err := range s.Generate(t.Context(), r) {
		if err != nil {
			var e *api.Error
			if !errors.As(err, &e) {
				t.Errorf("%#v", err)
			}
			return text.String(), e
		}
		text.WriteString(string(piece.Text))
	}
	return text.String(), nil
}

func generation(t *testing.T, h Harness) {
	for name, c := range map[string]struct {
		kind fault.Kind
		says string
	}{
		"digits": {fault.Invalid, "not trained on text"},
		"text":   {fault.Corrupt, "checkpoint is missing"},
	} {
		text, err := generated(t, h.Open(t, h.Dir(t, name)), api.GenerateRequest{Run: "latest", Tokens: 3, Prompt: "a\xff"})
		if text != "" || err == nil || err.Fault != c.kind || !strings.Contains(err.Message, c.says) {
			t.Errorf("%s: %q, %#v", name, text, err)
		}
	}
}

func generationRequest(t *testing.T, h Harness) {
	s := h.Open(t, h.Dir(t, "text"))
	step := uint64(3)
	_, err := generated(t, s, api.GenerateRequest{Run: "latest", Best: true, Step: &step, TopK: 3, TopP: 2, Seed: 1})
	if err == nil {
		t.Fatal("it was accepted")
	}
	var fields []string
	for _, m := range err.Mistakes {
		fields = append(fields, m.Field)
	}
	if got := strings.Join(fields, " "); err.Fault != fault.Invalid || got != "best tokens top_p top_k seed" {
		t.Errorf("the mistakes are in %q: %v", got, err)
	}
}

// modelParts returns the files of an exported model by name, what is said about it, and
// the error.
func modelParts(t *testing.T, s api.Service, r api.ExportModelRequest) (files map[string][]byte, model *api.ExportedModel, failed *api.Error) {
	t.Helper()
	files = map[string][]byte{}
	last := ""
	for part, err := range s.ExportModel(t.Context(), r) {
		switch {
		case err != nil:
			if !errors.As(err, &failed) {
				t.Errorf("%#v", err)
			}
		case part.Model != nil:
			if model != nil || len(files) > 0 || part.File != "" || part.Data != nil {
				t.Errorf("%+v comes after %d files", part.Model, len(files))
			}
			model = part.Model
		default:
			if _, begun := files[part.File]; begun && part.File != last || part.File == "" || len(part.Data) == 0 {
				t.Errorf("a part of %q comes after one of %q", part.File, last)
			}
			last = part.File
			files[last] = append(files[last], part.Data...)
		}
	}
	return files, model, failed
}

func exportedModel(t *testing.T, h Harness) {
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	// Large enough for several parts.
	runs := submitted(t, s, "model.hidden=[1500]", "config.epochs=1")
	end := followed(t, s, runs, nil)[0].Details
	for format, want := range map[export.Format][]string{
		export.ONNX: {"model.onnx"}, export.Safetensors: {"model.py", "model.safetensors"},
	} {
		files, model, err := modelParts(t, s, api.ExportModelRequest{Run: runs[0], Format: format})
		if err != nil || model == nil || model.RunID != end.RunID || model.Format != format || model.Step != end.Step ||
			model.Epoch != 1 || model.WeightsSHA256 != end.WeightsSHA256 {
			t.Fatalf("%s: %+v, want %+v, %v", format, model, end.Run, err)
		}
		if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, want) {
			t.Errorf("%s: files %q", format, names)
		}
		for name, content := range files {
			if !strings.HasSuffix(name, ".py") && len(content) < 1500*74*4 {
				t.Errorf("%s has only %d bytes", name, len(content))
			}
			if !bytes.Contains(content, []byte(runs[0])) && !strings.HasSuffix(name, ".safetensors") {
				t.Errorf("%s does not name the run", name)
			}
		}
	}
	files, model, failed := modelParts(t, s, api.ExportModelRequest{Run: runs[0], Format: export.Bundle})
	if failed != nil || model == nil || !model.Best || model.WeightsSHA256 != end.WeightsSHA256 {
		t.Fatalf("bundle: %+v, %v", model, failed)
	}
	names := slices.Sorted(maps.Keys(files))
	if want := []string{"manifest.json", "model.json", "model.safetensors", "preprocessing.json"}; !slices.Equal(names, want) {
		t.Errorf("a bundle has the files %q, want %q", names, want)
	}
	if sum := sha256.Sum256(files["model.safetensors"]); hex.EncodeToString(sum[:]) != end.WeightsSHA256 {
		t.Error("the weights of a bundle are not those of the checkpoint")
	}
	step := uint64(2)
	_, _, err := modelParts(t, s, api.ExportModelRequest{Run: runs[0], Format: "pickle", Best: true, Step: &step})
	if err == nil || err.Fault != fault.Invalid || len(err.Mistakes) != 2 || err.Mistakes[0].Field != "format" || err.Mistakes[1].Field != "best" {
		t.Errorf("%#v", err)
	}
	_, _, err = modelParts(t, s, api.ExportModelRequest{Run: runs[0], Format: export.ONNX, Step: &step})
	if err == nil || err.Fault != fault.Invalid || len(err.Mistakes) != 1 || err.Mistakes[0].Field != "step" {
		t.Errorf("%#v", err)
	}
	for _, err := range s.ExportModel(t.Context(), api.ExportModelRequest{Run: runs[0], Format: export.ONNX}) {
		if err != nil {
			t.Error(err)
		}
		break // which ends it
	}
	_, model, err = modelParts(t, h.Open(t, h.Dir(t, "digits")), api.ExportModelRequest{Run: "latest", Format: export.ONNX})
	if err == nil || err.Fault != fault.Corrupt || model != nil {
		t.Errorf("without the files of the checkpoint: %+v, %#v", model, err)
	}
}

func dataSets(t *testing.T, h Harness) {
	// A service without runs has data sets.
	s := h.Open(t, filepath.Join(t.TempDir(), "none"))
	list, err := s.DataSets(t.Context(), api.DataSetsRequest{})
	if err != nil || len(list.DataSets) < 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if d, err := s.FetchDataSet(t.Context(), api.FetchDataSetRequest{Name: "digits"}); err != nil || d.Name != "digits" || d.Status != dataset.StatusEmbedded {
		t.Errorf("%+v, %v", d, err)
	}
	var e *api.Error
	if _, err := s.FetchDataSet(t.Context(), api.FetchDataSetRequest{Name: "dgits"}); !errors.As(err, &e) || e.Fault != fault.Invalid ||
		len(e.Mistakes) != 1 || e.Mistakes[0].Field != "name" {
		t.Errorf("%#v", err)
	}
	x, err := s.InspectDataSet(t.Context(), api.InspectDataSetRequest{Path: "digits", Samples: 1000})
	if err != nil || len(x.Samples) != api.MaxInspectedSamples || len(x.Samples[0].Pixels) != 64 || x.Summary.Entry == nil || x.Summary.Train.Samples < 1000 {
		t.Errorf("%+v, %v", x, err)
	}
	text := "caf\xe9 and the"
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat(text, 60)), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err = s.InspectDataSet(t.Context(), api.InspectDataSetRequest{Path: api.Text(path), Context: 8, Samples: 3})
	if err != nil || !strings.HasPrefix(string(x.Text), text) || x.Samples != nil || x.Summary.Entry != nil {
		t.Errorf("%+v, %v", x, err)
	}
	same, err := s.InspectDataSet(t.Context(), api.InspectDataSetRequest{Path: "text.txt", Folder: api.Text(filepath.Dir(path)), Context: 8})
	if err != nil || same.Summary.Fingerprint != x.Summary.Fingerprint {
		t.Errorf("%+v, %v", same, err)
	}
	if _, err := s.InspectDataSet(t.Context(), api.InspectDataSetRequest{Path: "caf\xe9.csv"}); !errors.As(err, &e) || !strings.Contains(e.Message, "is not UTF-8") {
		t.Errorf("%#v", err)
	}
}

package servicetest

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
	"reprise/training"
)

// write writes a file, and the folders that it lies in.
func write(t *testing.T, path string, content []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = os.WriteFile(path, content, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rows returns a table with a class.
func rows(from, to int) []byte {
	out := []byte("x,shade,kind\n")
	for i := from; i < to; i++ {
		out = fmt.Appendf(out, "%d,%s,%c\n", i*7%13, []string{"dark", "light"}[i/3%2], 'a'+i%2)
	}
	return out
}

// submittedFile submits one request, and returns its run.
func submittedFile(t *testing.T, s api.Service, folder, content string) string {
	t.Helper()
	var run string
	for submission, err := range s.Submit(t.Context(), api.SubmitRequest{Folder: api.Text(folder), Files: []api.RequestFile{{Name: "it.yaml", Content: api.Text(content)}}}) {
		if err != nil || submission.Error != nil {
			t.Fatalf("%+v, %v", submission, err)
		}
		run = string(submission.RunID)
	}
	return run
}

// trainsAgain returns whether a run has the same bits when it is trained again, and the error.
func trainsAgain(t *testing.T, s api.Service, q api.VerifyRequest) (ok bool, err error) {
	t.Helper()
	for update, failed := range s.Verify(t.Context(), q) {
		if err = failed; update.Report != nil {
			ok = update.Report.Verified
		}
	}
	return ok, err
}

// Data of every kind may be moved: verify and fork find them where the request says, and
// a fork remembers the place.
func movedData(t *testing.T, h Harness) {
	folder := t.TempDir()
	for _, kind := range []string{"a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"} {
		m, out := image.NewGray(image.Rect(0, 0, 3, 2)), bytes.Buffer{}
		m.Set(1, 1, color.Gray{Y: kind[0] + kind[2]})
		if err := png.Encode(&out, m); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "photos", kind), out.Bytes())
	}
	for _, split := range []string{"train", "t10k"} {
		write(t, filepath.Join(folder, "idx", split+"-images-idx3-ubyte"), append([]byte("\x00\x00\x08\x03\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00\x03"), make([]byte, 24)...))
		write(t, filepath.Join(folder, "idx", split+"-labels-idx1-ubyte"), []byte("\x00\x00\x08\x01\x00\x00\x00\x04\x00\x01\x00\x01"))
	}
	write(t, filepath.Join(folder, "parts", "1.csv"), rows(0, 20))
	write(t, filepath.Join(folder, "parts", "2.csv"), rows(20, 40))
	write(t, filepath.Join(folder, "split", "t.csv"), rows(0, 30))
	write(t, filepath.Join(folder, "split", "held", "out.csv"), rows(30, 40))
	write(t, filepath.Join(folder, "book.txt"), []byte(strings.Repeat("Once upon a time there was a table. ", 60)))
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	for _, c := range []struct{ name, from, path, to, now, request string }{
		{"a folder of images", "photos", "photos", "pictures", "pictures", "model_architecture: mlp"},
		{"IDX", "idx", "idx", "digits-of-mine", "digits-of-mine", "model_architecture: mlp"},
		{"several files", "parts", "parts/*.csv", "pieces", "pieces/*.csv", "model_architecture: mlp\ndataset: {target: kind}"},
		{"files of each split", "split", "split/t.csv", "apart", "apart/t.csv",
			"model_architecture: mlp\ndataset: {target: kind, split: {method: files, validation_path: split/held/out.csv}}"},
		{"text", "book.txt", "book.txt", "novel.txt", "novel.txt", "model_architecture: gpt\nmodel: {layers: 1, width: 8, heads: 1}\ndataset: {context: 8}"},
	} {
		run := submittedFile(t, s, folder, fmt.Sprintf("%s\ndataset_path: %s\nconfig: {batch_size: 4, learning_rate: 0.01, epochs: 1}\n", c.request, c.path))
		followed(t, s, []string{run}, nil)
		if err := os.Rename(filepath.Join(folder, c.from), filepath.Join(folder, c.to)); err != nil {
			t.Fatal(err)
		}
		var err error
		for tries := 0; err == nil && tries < 1000; tries++ { // whoever trained may hold the data for a moment
			_, err = trainsAgain(t, s, api.VerifyRequest{Run: run})
		}
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s that are gone: %v", c.name, err)
		}
		now := api.MovedData{Dataset: api.Text(c.now), Folder: api.Text(folder)}
		if ok, err := trainsAgain(t, s, api.VerifyRequest{Run: run, MovedData: now}); !ok || err != nil {
			t.Errorf("%s: verified %t, %v", c.name, ok, err)
		}
		first := uint64(0)
		if r, err := s.Run(t.Context(), api.RunRequest{Run: run}); err != nil || r.Details.MovedData != nil {
			t.Errorf("%s: a verification has recorded %+v, %v", c.name, r.Details.MovedData, err)
		} else {
			first = r.Details.Checkpoints[0].Step
		}
		longer := api.ForkRequest{Run: run, From: &first, Settings: api.Settings{Values: []api.Text{"config.epochs=2"}}, MovedData: now}
		for range 2 { // a fork of the fork finds the data by itself
			forked, err := s.Fork(t.Context(), longer)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				break
			}
			d := followed(t, s, []string{string(forked.RunID)}, nil)[0].Details
			if want := filepath.Join(folder, filepath.FromSlash(c.now)); d.State != training.Completed || d.MovedData == nil || d.MovedData.Path != want || d.Data.Path == want {
				t.Errorf("%s: the fork is %s, with data at %+v", c.name, d.State, d.MovedData)
			}
			last := d.Checkpoints[0].Step
			longer = api.ForkRequest{Run: string(forked.RunID), From: &last, Settings: api.Settings{Values: []api.Text{"config.epochs=3"}}}
		}
	}
}

// A run that is interrupted continues on data that were moved, with the same bits, and
// remembers where they are. Other data are refused with what differs, and nothing is recorded.
func resumedOnMovedData(t *testing.T, h Harness) {
	folder := t.TempDir()
	s := h.Open(t, filepath.Join(t.TempDir(), "new"))
	write(t, filepath.Join(folder, "t.csv"), rows(0, 40))
	run := submittedFile(t, s, folder, "model_architecture: mlp\nmodel: {hidden: [4]}\ndataset_path: t.csv\ndataset: {target: kind}\n"+
		"config: {batch_size: 32, learning_rate: 0.01, epochs: 200, checkpoint_interval: 50}\n")
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event != nil && u.Event.Type == "training.epoch_completed.v1" {
			break
		}
	}
	wrong := api.MovedData{Folder: api.Text(folder)}
	if _, err := s.Interrupt(t.Context(), api.InterruptRequest{Runs: []string{run}, Cause: "a test"}); err != nil {
		t.Fatal(err)
	}
	if end := followed(t, s, []string{run}, nil)[0].Details; end.State != training.Interrupted {
		t.Fatalf("it was not interrupted: %s", end.State)
	}
	if err := os.Rename(filepath.Join(folder, "t.csv"), filepath.Join(folder, "moved.csv")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"rows":    {rows(0, 30), "24 rows for training instead of 32"},
		"columns": {bytes.Replace(rows(0, 40), []byte("shade"), []byte("color"), 1), `it lacks the column "shade" and it also has the column "color"`},
		"target":  {bytes.Replace(rows(0, 40), []byte("kind"), []byte("sort"), 1), `kind`},
		"values":  {bytes.Replace(rows(0, 40), []byte("\n7,"), []byte("\n8,"), 1), "it has as many rows, and other values"},
		"nothing": {nil, "does not exist"},
	} {
		wrong.Dataset = api.Text(name + ".csv")
		if c.content != nil {
			write(t, filepath.Join(folder, name+".csv"), c.content)
		}
		for submission, err := range s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{run}}, MovedData: wrong}) {
			var e *api.Error
			if !errors.As(err, &e) || !strings.Contains(e.Error(), c.want) || len(e.Mistakes) != 1 || e.Mistakes[0].Field != "dataset" {
				t.Errorf("other %s: %+v, %v, want %q", name, submission, err, c.want)
			}
		}
	}
	r, err := s.Run(t.Context(), api.RunRequest{Run: run})
	if err != nil || r.Details.MovedData != nil || r.Details.State != training.Interrupted {
		t.Errorf("data that are not the run's were recorded: %+v, %v", r.Details.MovedData, err)
	}
	there := api.MovedData{Dataset: "moved.csv", Folder: api.Text(folder)}
	for submission, err := range s.Resume(t.Context(), api.ResumeRequest{Target: api.Target{Runs: []string{run}}, MovedData: there}) {
		if err != nil || submission.Error != nil {
			t.Fatalf("%+v, %v", submission, err)
		}
	}
	end := followed(t, s, []string{run}, nil)[0].Details
	want := training.DatasetMoved{Path: filepath.Join(folder, "moved.csv"), Fingerprint: end.Data.Fingerprint}
	if end.State != training.Completed || end.MovedData == nil || *end.MovedData != want || end.Data.Path != filepath.Join(folder, "t.csv") {
		t.Errorf("%+v, data at %+v", end.Run, end.MovedData)
	}
	if ok, err := trainsAgain(t, s, api.VerifyRequest{Run: run}); !ok || err != nil {
		t.Errorf("without being told where the data are: verified %t, %v", ok, err)
	}
}

package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reprise/api"
	"reprise/checkpoint"
	"reprise/dataset/preprocess"
	"reprise/export"
	"reprise/export/bundle"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/figures"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// resolveInitial returns the request with the full id of the run, or the absolute path, that
// its model.init means now, so that it means the same whenever and wherever it is prepared.
func (s *Service) resolveInitial(ctx context.Context, request api.TrainingRequest, folder string) (api.TrainingRequest, error) {
	from := request.Model.Init
	if from == "" {
		return request, nil
	}
	paths, onlyPath := request.InitPaths(folder)
	if !onlyPath {
		f, err := s.find(ctx, from)
		if err == nil {
			defer f.close()
			request.Model.Init = string(f.id)
			return request, nil
		}
		if fault.KindOf(err) != fault.NotFound && fault.KindOf(err) != fault.Invalid {
			return request, err
		}
	}
	for _, path := range paths {
		if disk.Exists(path) {
			request.Model.Init = path
			return request, nil
		}
	}
	bad := &fault.FieldError{Field: training.FieldInit, Value: strconv.Quote(from), Problem: "is neither a run nor a file",
		Fix: "name a run that `reprise runs list` shows, or the path of a bundle or a .safetensors file", Cause: fs.ErrNotExist}
	if onlyPath {
		bad.Problem = "does not exist: there is no " + figures.Or(paths)
		bad.Fix = "correct the path"
	}
	return request, invalid(request.Locate(bad))
}

// takenWeights are weights that a model takes from elsewhere.
type takenWeights struct {
	init    training.Init
	weights []tensor.Tensor
	// document says what the inputs of the model that they come from mean; the zero value
	// where that is not known.
	document preprocess.Document
}

// takeInitial reads the weights of what resolveInitial returned, as far as they fit the
// model.
func (s *Service) takeInitial(ctx context.Context, from string, arch nn.Architecture) (t takenWeights, err error) {
	specs, err := arch.Parameters()
	if err != nil {
		return t, err
	}
	switch {
	case !filepath.IsAbs(from):
		t, err = s.takeFromRun(ctx, from, specs)
	case strings.HasSuffix(from, bundle.ArchiveSuffix), isFolder(from):
		t, err = takeFromBundle(from, specs)
	default:
		t, err = takeFromFile(from, arch, specs)
	}
	var field *fault.FieldError
	if errors.As(err, &field) && field.Field == training.FieldInit && field.Value == "" {
		named := *field
		named.Value = strconv.Quote(from)
		return t, &named
	}
	if err != nil {
		return t, err
	}
	for _, w := range t.weights {
		if at := slices.IndexFunc(w.Data, func(v float32) bool { return v-v != 0 }); at >= 0 {
			return t, &fault.FieldError{Field: training.FieldInit, Value: strconv.Quote(from), Problem: fmt.Sprintf("has %v in %s, at element %d", w.Data[at], w.Name, at),
				Fix: "use weights that are finite as 32-bit floats"}
		}
	}
	t.init.WeightsSHA256, err = checkpoint.WeightsSHA256(t.weights)
	return t, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// takeFrom takes what fits of weights that are in memory.
func takeFrom(weights []tensor.Tensor, specs []nn.ParameterSpec) (t takenWeights, err error) {
	offered := make([]training.Offered, len(weights))
	for i, w := range weights {
		offered[i] = training.Offered{Name: w.Name, Shape: w.Shape}
	}
	taken, init, err := training.Match(specs, offered)
	for i := range taken {
		if taken[i] {
			t.weights = append(t.weights, weights[i])
		}
	}
	t.init = init
	return t, err
}

// takeFromRun takes the weights of the checkpoint that a run is judged by.
func (s *Service) takeFromRun(ctx context.Context, run string, specs []nn.ParameterSpec) (t takenWeights, err error) {
	r, err := s.findBegun(ctx, run)
	if err != nil {
		return t, err
	}
	defer r.close()
	cp, content, err := s.readCheckpoint(ctx, &r, nil, true)
	if err != nil {
		return t, err
	}
	if t, err = takeFrom(content.Weights, specs); err != nil {
		return t, err
	}
	t.init.RunID, t.init.Step, t.init.SourceSHA256 = r.run.ID, cp.Step, cp.WeightsSHA256
	if content.Preprocessing != nil {
		t.document, err = preprocess.Parse(content.Preprocessing)
	}
	return t, err
}

func takeFromBundle(path string, specs []nn.ParameterSpec) (t takenWeights, err error) {
	b, err := bundle.Open(path)
	if err != nil {
		return t, err
	}
	if t, err = takeFrom(b.Weights, specs); err != nil {
		return t, err
	}
	t.document = b.Preprocessing
	t.init.Path = path
	if run := training.RunID(b.Lineage.Run); run.Validate() == nil {
		t.init.RunID, t.init.Step = run, b.Lineage.Step
	}
	t.init.SourceSHA256, err = checkpoint.WeightsSHA256(b.Weights)
	return t, err
}

// takeFromFile takes tensors of a file in PyTorch's layout.
func takeFromFile(path string, arch nn.Architecture, specs []nn.ParameterSpec) (t takenWeights, err error) {
	bad := func(problem, fix string, cause error) error {
		return &fault.DataError{File: path, Problem: problem, Fix: fix, Cause: cause}
	}
	if filepath.Ext(path) != ".safetensors" {
		return t, bad("is not a .safetensors file", "name a .safetensors file, or a bundle: a folder or a .tar file", nil)
	}
	if disk.Exists(filepath.Join(filepath.Dir(path), "manifest.json")) {
		return t, bad("is part of a checkpoint or a bundle, whose weights are laid out otherwise", "name the run, or the folder of the bundle", nil)
	}
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return t, bad("cannot be read: "+err.Error(), "check the path and who may read it", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return t, err
	}
	layout, err := export.NewPyTorch(arch)
	if err != nil {
		return t, err
	}
	sum := sha256.New()
	var unfit *fault.FieldError
	weights, err := checkpoint.ReadForeign(io.TeeReader(f, sum), info.Size(), func(list []checkpoint.Described) (taken []bool, err error) {
		offered := make([]training.Offered, len(list))
		for i, d := range list {
			turned := layout.Undo(tensor.Tensor{Name: d.Name, Shape: d.Shape})
			offered[i] = training.Offered{Name: turned.Name, Shape: turned.Shape}
			if !d.Readable() {
				offered[i].DType = d.DType
			}
		}
		taken, t.init, err = training.Match(specs, offered)
		errors.As(err, &unfit)
		return taken, err
	})
	if unfit != nil {
		return t, unfit
	}
	if err != nil {
		return t, bad("is not a safetensors file that can be read: "+err.Error(), "save the weights again", err)
	}
	for _, w := range weights {
		t.weights = append(t.weights, layout.Undo(w))
	}
	t.init.Path, t.init.SourceSHA256 = path, hex.EncodeToString(sum.Sum(nil))
	return t, nil
}

// keepInitial keeps the initial weights that a session was started with below its run. It
// fails if what it took them from has changed since.
func (s *Service) keepInitial(ctx context.Context, run training.RunID, from string, session training.TrainingSession) error {
	if session.Init == nil {
		return nil
	}
	t, err := s.takeInitial(ctx, from, session.Architecture)
	if err != nil {
		return err
	}
	if got, want := t.init.WeightsSHA256, session.Init.WeightsSHA256; got != want {
		return fault.New(fault.Unavailable, "the weights of %s have changed while the run was submitted: their SHA-256 is %s instead of %s", t.init.Origin(), got, want)
	}
	return s.workspace.KeepInitial(run, t.weights)
}

// mostDrawn bounds the parameters that a note lists.
const mostDrawn = 8

// notes says what was taken, and where the inputs of the new model mean something else than
// those of the one that the weights come from.
func (t takenWeights) notes(now preprocess.Document) []string {
	notes := []string{fmt.Sprintf("initial weights: %s from %s", t.init.Amount(), t.init.Origin())}
	if n := len(t.init.Drawn); n > 0 {
		var list []string
		for _, d := range t.init.Drawn[:min(n, mostDrawn)] {
			list = append(list, d.Name+" ("+d.Why()+")")
		}
		if n > mostDrawn {
			list = append(list, fmt.Sprintf("%d more", n-mostDrawn))
		}
		notes[0] += "; drawn from the seed: " + strings.Join(list, ", ")
	}
	if n := t.init.Unused; n > 0 {
		names := slices.Clone(t.init.UnusedNames[:min(len(t.init.UnusedNames), mostDrawn)])
		if n > len(names) {
			names = append(names, fmt.Sprintf("%d more", n-len(names)))
		}
		notes[0] += "; not in the model: " + strings.Join(names, ", ")
	}
	if t.document.Version == "" {
		return notes
	}
	if what := inputsDiffer(t.document, now); what != "" {
		notes = append(notes, fmt.Sprintf("the inputs of this model do not mean what those of %s do: %s; the weights of the first layers may be of no use", t.init.Origin(), what))
	}
	return notes
}

// inputsDiffer says in what the inputs of two models differ in meaning; "" if in nothing.
func inputsDiffer(was, now preprocess.Document) string {
	kind := func(d preprocess.Document) string {
		switch {
		case d.Text != nil:
			return "text"
		case d.Pixels != nil:
			return "pixels"
		}
		return "the columns of a table"
	}
	switch a, b := kind(was), kind(now); {
	case a != b:
		return fmt.Sprintf("they are %s instead of %s", b, a)
	case was.Text != nil && was.Text.Tokenizer != now.Text.Tokenizer:
		return "their tokenizer is another one"
	case was.Text != nil:
		return ""
	case was.Pixels != nil && was.Pixels.Divisor != now.Pixels.Divisor:
		return fmt.Sprintf("pixels are divided by %d instead of %d", now.Pixels.Divisor, was.Pixels.Divisor)
	case was.Pixels != nil:
		return ""
	}
	for i := range max(len(was.Columns), len(now.Columns)) {
		column := func(d preprocess.Document) string {
			if i >= len(d.Columns) {
				return "none"
			}
			return fmt.Sprintf("%q (%s)", d.Columns[i].Name, d.Columns[i].Kind)
		}
		a, b := column(was), column(now)
		if a != b {
			return fmt.Sprintf("column %d is %s instead of %s", i+1, b, a)
		}
		if i < len(was.Columns) && !slices.Equal(was.Columns[i].Categories, now.Columns[i].Categories) {
			return fmt.Sprintf("the categories of column %q are others", now.Columns[i].Name)
		}
	}
	return ""
}

package api

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"reprise/dataset"
	"reprise/internal/spelling"
)

// DatasetReference returns the data that the request means. catalogue has the
// names that Library.Entries lists, workingDir is absolute. stat returns nil for a path
// or pattern where there is something, and fs.ErrNotExist where there is nothing:
// os.Stat and filepath.Glob, for whoever has the files.
//
// A dataset_path that is in the catalogue stays as it is, even if a folder has the
// same name (./mnist is the folder). Any other is a folder or file: a
// relative one is looked up from the folder of the request's file, then from
// workingDir; it comes back absolute and cleaned. A request without a file, or
// from standard input ("-"), is looked up from the working directory only.
//
// It fails with a *RequestError if there is no such folder or file. It does not read
// the content; Library.Open does.
func (r TrainingRequest) DatasetReference(catalogue []string, workingDir string, stat func(path string) error) (dataset.Source, error) {
	source := r.source()
	if slices.Contains(catalogue, r.DatasetPath) {
		return source, nil
	}
	found := false
	for _, path := range r.candidates(r.DatasetPath, workingDir) {
		err := stat(path)
		if err == nil {
			source.Path, found = path, true
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return dataset.Source{}, r.badPath(fmt.Sprintf("cannot be used: %v", err), "check the path and who may read it", err)
		}
	}
	if !found {
		return dataset.Source{}, r.noSuchData(catalogue, workingDir)
	}
	split := &source.Table.Split
	for key, path := range map[string]*string{"split.validation_path": &split.ValidationPath, "split.test_path": &split.TestPath, "root": &source.Table.Root} {
		if *path == "" {
			continue
		}
		candidates := r.candidates(*path, workingDir)
		at := slices.IndexFunc(candidates, func(c string) bool { return stat(c) == nil })
		if at < 0 {
			what := "is not a file"
			if key == "root" {
				what = "is not a folder"
			}
			return dataset.Source{}, r.at("dataset."+key, RequestError{Value: shorten(*path), Problem: what, Fix: "check the path", cause: fs.ErrNotExist})
		}
		*path = candidates[at]
	}
	return source, nil
}

// source returns how to open the data, with the path as the request has it.
func (r TrainingRequest) source() dataset.Source {
	source := dataset.Source{
		Path: r.DatasetPath, Task: dataset.Task(r.Dataset.Task), Target: r.Dataset.Target,
		ValidationFraction: r.Dataset.ValidationFraction, Vocabulary: r.Dataset.Vocabulary, Context: r.Dataset.Context,
	}
	assign(&source.Tokenizer, r.Dataset.Tokenizer)
	source.Table = dataset.TableOptions{
		Columns: r.Dataset.Columns, Missing: r.Dataset.Missing, Encoding: r.Dataset.Encoding, Separator: r.Dataset.Separator, Root: r.Dataset.Root, Split: r.Dataset.Split,
	}
	source.Image = r.Dataset.Image
	return source
}

// assign sets a field of a type that this package does not import.
func assign[T ~string](field *T, text string) { *field = T(text) }

// InitPaths returns the absolute paths that model.init may mean, the preferred one first,
// and whether it can only be a path: one that has a folder or the ending of a file of
// weights. workingDir is absolute.
func (r TrainingRequest) InitPaths(workingDir string) (paths []string, only bool) {
	from := r.Model.Init
	only = strings.ContainsAny(from, `/\`) || strings.HasSuffix(from, ".safetensors") || strings.HasSuffix(from, ".tar")
	return r.candidates(from, workingDir), only
}

// candidates returns the absolute paths that a path of the request may mean, the
// preferred one first.
func (r TrainingRequest) candidates(path, workingDir string) []string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return []string{filepath.Clean(path)}
	}
	var out []string
	if file := r.File(); file != "" && file != "-" {
		folder := filepath.Dir(file)
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(workingDir, folder)
		}
		out = append(out, filepath.Join(folder, path))
	}
	if here := filepath.Join(workingDir, path); !slices.Contains(out, here) {
		out = append(out, here)
	}
	return out
}

func (r TrainingRequest) noSuchData(catalogue []string, workingDir string) error {
	path := r.DatasetPath
	fix := "correct the path, or use one of " + strings.Join(catalogue, ", ")
	switch near, ok := spelling.Nearest(path, catalogue); {
	case ok:
		fix = fmt.Sprintf("did you mean %s?", near)
	case strings.HasPrefix(path, "~"):
		fix = "write out the home directory: only a shell expands ~"
	case strings.Contains(path, "$"):
		fix = "write out the path: only a shell expands variables"
	}
	if filepath.IsAbs(path) {
		return r.badPath("does not exist", fix, fs.ErrNotExist)
	}
	folders := make([]string, 0, 2)
	for _, c := range r.candidates(path, workingDir) {
		folders = append(folders, strings.TrimSuffix(c, string(filepath.Separator)+filepath.Clean(filepath.FromSlash(path))))
	}
	return r.badPath("is not in the catalogue, and there is no such folder or file in "+strings.Join(folders, " or "), fix, fs.ErrNotExist)
}

func (r TrainingRequest) badPath(problem, fix string, cause error) error {
	e := r.at("dataset_path", RequestError{Value: shorten(r.DatasetPath), Problem: problem, Fix: fix})
	e.cause = cause
	return e
}

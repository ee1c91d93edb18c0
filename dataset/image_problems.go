package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"reprise/dataset/imagefile"
)

// imageProblems counts what is wrong with files, by kind.
type imageProblems map[string]*imageProblem

type imageProblem struct {
	imagefile.Error
	count int
	first string // the name of the first file
}

// The problems of files and folders, beside those of package imagefile:

func problemBeside() *imagefile.Error {
	return &imagefile.Error{One: "is an image in no folder of a class", Many: "are images in no folder of a class", Fix: "put each into the folder of its class"}
}

func problemEmptyClass() *imagefile.Error {
	return &imagefile.Error{One: "is a folder without images", Many: "are folders without images", Fix: "put in the images of the class, or remove the folder"}
}

func problemUntrained() *imagefile.Error {
	return &imagefile.Error{One: "is a class without images for training", Many: "are classes without images for training",
		Fix: "put images of the class into the folder for training, or take it out of the others"}
}

func problemName() *imagefile.Error {
	return &imagefile.Error{One: "has a name that is not UTF-8", Many: "have names that are not UTF-8", Fix: "rename what cannot be recorded"}
}

func problemIrregular() *imagefile.Error {
	return &imagefile.Error{One: "is not a regular file", Many: "are not regular files", Fix: "replace or remove what is not a file"}
}

func problemLoop() *imagefile.Error {
	return &imagefile.Error{One: "is a link to a folder that it lies in", Many: "are links to folders that they lie in", Fix: "remove the link"}
}

func problemEmptyFile() *imagefile.Error {
	return &imagefile.Error{One: "is empty", Many: "are empty", Fix: "copy again what was cut off, or remove it"}
}

func problemChanged() *imagefile.Error {
	return &imagefile.Error{One: "changed while it was read", Many: "changed while they were read", Fix: "try again once nothing writes to the images"}
}

// add counts a problem of a file. Errors other than those of package imagefile are about
// reading it.
func (p imageProblems) add(name string, err error) {
	bad := new(imagefile.Error)
	if !errors.As(err, &bad) {
		why := err
		if at := new(fs.PathError); errors.As(err, &at) {
			why = at.Err
		}
		bad = &imagefile.Error{One: "cannot be read: " + why.Error(), Many: "cannot be read: " + why.Error(), Fix: "check the paths and who may read them", Cause: err}
		if errors.Is(err, fs.ErrNotExist) {
			bad.One, bad.Many = "does not exist", "do not exist"
		}
	}
	if p[bad.One] == nil {
		p[bad.One] = &imageProblem{Error: *bad, first: name}
	}
	p[bad.One].count++
}

// addAll adds what is wrong with files, of which failed has an error or nil for each.
func (p imageProblems) addAll(files []imageSource, failed []error) {
	for i, file := range files {
		if err := failed[i]; err != nil {
			p.add(file.name, err)
		}
	}
}

// errors returns an error for each kind of problem of the files in a folder or a table.
func (p imageProblems) errors(at string) []error {
	list := make([]error, 0, len(p))
	for _, one := range slices.Sorted(maps.Keys(p)) {
		problem := p[one]
		e := &DataError{File: at, Value: showPath(problem.first), Problem: problem.One, Fix: problem.Fix, Cause: problem.Cause}
		if problem.first == filepath.ToSlash(at) {
			e.Value = "" // it would be said twice
		}
		if problem.count > 1 {
			e.Value, e.Problem = fmt.Sprintf("%d files, the first of them %s,", problem.count, showPath(problem.first)), problem.Many
		}
		if problem.Cause != nil && problem.One == "cannot be decoded" {
			e.Problem += " (" + problem.Cause.Error() + ")"
		}
		list = append(list, e)
	}
	return list
}

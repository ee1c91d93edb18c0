package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/dataset/imagefile"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/spelling"
	"reprise/tensor"
)

// InputImage is an image that a trained model is given.
type InputImage struct {
	// Name is the path of its file: below the folder, as the table has it, or as it was
	// given. It is "" for one of several images in a file.
	Name string
	// Class is the name of the folder that it lies in, directly below the one that was
	// given; "" for none, and where no folder was given.
	Class string
	// Pixels are as preprocess.Pixels wants them.
	Pixels []byte
}

// NamesImages reports whether a path is that of a table from which a model with the document's
// pixels takes the paths of images.
func NamesImages(path string, p preprocess.Pixels) bool {
	return p.Column != "" && !HasImageFiles(path) && (isTable(path) || isCSV(path) || isPattern(path) || holdsTable(path))
}

// HasImageFiles reports whether a path is that of a folder, or of the file of one image.
func HasImageFiles(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Mode().IsRegular() && (imagefile.HasEnding(path) || looksLikeImage(path)))
}

// SplitFolder returns the first folder of a split in a folder that has one of a class in it,
// for callers that take the images of one split. ok is false if there is none, or it is a class.
func SplitFolder(path string, classes []string) (folder string, ok bool) {
	folders, _, err := subfolders(path)
	if err != nil {
		return "", false // whoever reads it says why
	}
	for _, name := range folders {
		if _, split := splitOf(name); !split || slices.Contains(classes, name) {
			continue
		}
		inside, _, err := subfolders(filepath.Join(path, name))
		if err == nil && slices.ContainsFunc(inside, func(class string) bool { return slices.Contains(classes, class) }) {
			return filepath.Join(path, name), true
		}
	}
	return "", false
}

// inputChunk is how many files are decoded before they are given away.
const inputChunk = 256

// EachImage calls emit with each image of a path, as a model with the document's pixels
// takes it: of a folder, in which the images may lie at any depth, in the order of a
// data set; of a file of an image; or of a file of IDX or CIFAR-10, as ReadImages reads it.
//
// It holds a few hundred images at a time, but for those of IDX and CIFAR-10. It fails with
// a *DataError for files that cannot be used, all of them at once as far as their headers
// tell, a *fault.FieldError for what the model does not take, and the errors of emit.
func EachImage(ctx context.Context, path string, p preprocess.Pixels, room *ImageRoom, emit func(InputImage) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(path, err)
	}
	problems := imageProblems{}
	var files []imageSource
	switch {
	case info.IsDir():
		err = walkImages(ctx, path, "", problems, func(at imageSource) { files = append(files, at) }, func(string) {})
		slices.SortFunc(files, func(a, b imageSource) int { return compareFiles(a.name, b.name) })
		if err == nil && len(files) == 0 && len(problems) == 0 {
			return &DataError{File: path, Problem: "has no images", Fix: "name a folder of images, or the file of one"}
		}
	case HasImageFiles(path):
		files = []imageSource{{path: path, name: filepath.ToSlash(path)}}
		if !looksLikeImage(path) {
			err = checkHoldsImages(path, p, false)
		}
	default:
		return eachStored(ctx, path, p, emit)
	}
	if err != nil {
		return err
	}
	return eachFile(ctx, path, files, p, room, problems, func(image InputImage) error {
		if class, _, ok := strings.Cut(image.Name, "/"); info.IsDir() && ok {
			image.Class = class
		}
		return emit(image)
	})
}

// eachStored is EachImage for a file that holds images.
func eachStored(ctx context.Context, path string, p preprocess.Pixels, emit func(InputImage) error) error {
	if err := checkHoldsImages(path, p, false); err != nil {
		return err
	}
	shape, raw, err := ReadImages(ctx, path)
	if err != nil {
		return err
	}
	size, err := shape.NumElements()
	if err != nil {
		return err
	}
	if size != p.Size() {
		return &DataError{File: path, Value: fmt.Sprintf("images of shape %v", shape), Problem: fmt.Sprintf("are not of the shape %v of the model's", p.Shape),
			Fix: "use images of the size that the model was trained on"}
	}
	for ; len(raw) > 0; raw = raw[size:] {
		if err := emit(InputImage{Pixels: raw[:size]}); err != nil {
			return err
		}
	}
	return nil
}

// EachImageOfTable is EachImage for the images that the rows of a table have the paths of, in
// the column that the model was trained with. path is what errors call the table. All rows
// are read before the first image.
func EachImageOfTable(ctx context.Context, path string, rows tablefile.Reader, d preprocess.Document, room *ImageRoom, emit func(InputImage) error) error {
	files, err := inputPaths(ctx, path, rows, columns.NewMissing(d.Missing), d.Pixels.Column)
	if err != nil {
		return err
	}
	return eachFile(ctx, path, files, *d.Pixels, room, imageProblems{}, emit)
}

// inputPaths returns the images that a column of a table has the paths of.
func inputPaths(ctx context.Context, path string, rows tablefile.Reader, missing columns.Missing, column string) (files []imageSource, err error) {
	names := rows.Columns()
	at := slices.Index(names, column)
	if at < 0 {
		fix := "add it, with the paths of the images"
		if near, ok := spelling.Nearest(column, names); ok {
			fix = fmt.Sprintf("rename %q, if that is it", near)
		}
		return nil, &DataError{File: path, Column: column, Problem: "is missing, and the model takes the images that it names", Fix: fix}
	}
	row := make([]tablefile.Cell, len(names))
	var errs []error
	for {
		place, err := rows.Next(ctx, row)
		switch {
		case errors.Is(err, io.EOF):
			return files, joinAll(cutErrors(errs, "row"))
		case err != nil:
			return nil, err
		case missing.Is(row[at]):
			errs = append(errs, preprocess.BadCell(place, column, row[at], "names no image", "fill it in, or remove the row"))
			continue
		}
		name := strings.Clone(columns.Label(row[at]))
		files = append(files, imageSource{path: pathBelow(filepath.Dir(place.File), name), name: name})
	}
}

// eachFile is EachImage for a file of each image.
func eachFile(ctx context.Context, at string, files []imageSource, p preprocess.Pixels, room *ImageRoom, problems imageProblems, emit func(InputImage) error) error {
	shape := tensor.Shape(p.Shape)
	if len(shape) != 3 || shape[2] != 1 && shape[2] != 3 || p.Divisor != 255 {
		return &fault.FieldError{Field: FieldImage, Value: showPath(at), Problem: fmt.Sprintf("does not fit a model of images of shape %v with values of 0 to %d", p.Shape, p.Divisor),
			Fix: "give it an IDX file of such images"}
	}
	infos, failed := make([]imagefile.Info, len(files)), make([]error, len(files))
	err := eachImage(ctx, at, len(files), func(i int) {
		infos[i], failed[i] = probeImage(files[i].path)
		if failed[i] == nil && p.Resize == "" && (infos[i].Height != shape[0] || infos[i].Width != shape[1]) {
			failed[i] = problemSize(shape)
		}
	})
	if err != nil {
		return err
	}
	problems.addAll(files, failed)
	for from := 0; from < len(files) && len(problems) == 0; from += inputChunk {
		chunk := files[from:min(from+inputChunk, len(files))]
		pixels := make([][]byte, len(chunk))
		err := eachImage(ctx, at, len(chunk), func(i int) {
			failed[from+i] = decodeImage(ctx, chunk[i].path, infos[from+i], room, func(image imagefile.Pixels) {
				pixels[i] = fitImage(image, shape).Data
			})
		})
		if err != nil {
			return err
		}
		problems.addAll(chunk, failed[from:])
		for i := 0; i < len(chunk) && len(problems) == 0; i++ {
			if err := emit(InputImage{Name: chunk[i].name, Pixels: pixels[i]}); err != nil {
				return err
			}
		}
	}
	return joinAll(problems.errors(at))
}

func problemSize(shape tensor.Shape) *imagefile.Error {
	size := fmt.Sprintf("%d x %d", shape[0], shape[1])
	return &imagefile.Error{
		One: "is not " + size + " pixels, as the images that the model was trained on", Many: "are not " + size + " pixels, as the images that the model was trained on",
		Fix: "resize what differs, or train with " + sizeLine([2]int{shape[0], shape[1]}) + ": then the model resizes its images",
	}
}

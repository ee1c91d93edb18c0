package dataset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reprise/fault"
	"reprise/internal/disk"
)

// pairFiles are the names of the two files of a split within a folder.
type pairFiles struct {
	prefix         string
	images, labels string // "" where it is missing
}

// testPrefixes are the prefixes of validation files; the first one found is used.
// Data that has both validation and test files reserves the test set, which
// training must not see.
func testPrefixes() []string { return []string{"val", "validation", "test", "t10k"} }

// openIDXFolder reads a folder of IDX files, each plain or gzipped: the pair
// train-images-idx3-ubyte and train-labels-idx1-ubyte (or with a dot:
// train-images.idx3-ubyte), and the same with val, validation, test or t10k for
// validation. Without the second pair a fraction is split off; with it, a fraction
// is refused.
func (r reading) openIDXFolder(ctx context.Context, folder string, fraction float64) (*Dataset, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, unreadable(folder, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	files, err := findPairs(folder, names)
	if err != nil {
		return nil, err
	}
	if len(files) == 2 && fraction != 0 {
		return nil, &fault.FieldError{Field: FieldValidationFraction, Value: fmt.Sprint(fraction),
			Problem: fmt.Sprintf("does not fit %s, which has validation samples of its own (%s)", folder, files[1].images),
			Fix:     "leave it out"}
	}
	share, err := checkFraction(fraction)
	if err != nil {
		return nil, err
	}
	var pairs []idxPair
	for _, f := range files {
		pair, err := readPairFiles(ctx, filepath.Join(folder, f.images), filepath.Join(folder, f.labels))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair)
	}
	return r.idxDataset(filepath.Base(folder), pairs, share, nil)
}

func readPairFiles(ctx context.Context, imagesPath, labelsPath string) (idxPair, error) {
	images, closeImages, err := openIDXFile(imagesPath)
	if err != nil {
		return idxPair{}, err
	}
	defer closeImages()
	labels, closeLabels, err := openIDXFile(labelsPath)
	if err != nil {
		return idxPair{}, err
	}
	defer closeLabels()
	return readIDXPair(ctx, images, labels)
}

func openIDXFile(path string) (idxInput, func(), error) {
	info, err := os.Stat(path)
	if err != nil {
		return idxInput{}, nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return idxInput{}, nil, &DataError{File: path, Problem: "is not a file", Fix: "put an IDX file there"}
	}
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return idxInput{}, nil, unreadable(path, err)
	}
	in := idxInput{name: path, Reader: f, size: info.Size(), gzip: strings.HasSuffix(path, ".gz")}
	return in, func() { _ = f.Close() }, nil // nothing was written
}

func unreadable(path string, err error) error {
	return &DataError{File: path, Problem: "cannot be read: " + err.Error(), Fix: "check the path and its permissions", Cause: err}
}

// findPairs returns the training pair and, if there is one, the validation
// pair.
func findPairs(folder string, names []string) ([]pairFiles, error) {
	train := findPair(names, "train")
	if train.images == "" || train.labels == "" {
		return nil, missingIDX(folder, names, train)
	}
	for _, prefix := range testPrefixes() {
		p := findPair(names, prefix)
		switch {
		case p.images == "" && p.labels == "":
			continue
		case p.images == "" || p.labels == "":
			return nil, missingIDX(folder, names, p)
		}
		return []pairFiles{train, p}, nil
	}
	return []pairFiles{train}, nil
}

func findPair(names []string, prefix string) pairFiles {
	return pairFiles{prefix: prefix, images: findIDX(names, prefix+"-images", "234"), labels: findIDX(names, prefix+"-labels", "1")}
}

// findIDX returns the first name, in ascending order of digit, that is
// STEM-idxN-ubyte or STEM.idxN-ubyte with N in digits, a plain file before a
// gzipped one.
func findIDX(names []string, stem, digits string) string {
	for _, digit := range digits {
		for _, end := range []string{"", ".gz"} {
			for _, separator := range "-." {
				name := fmt.Sprintf("%s%cidx%c-ubyte%s", stem, separator, digit, end)
				if slices.Contains(names, name) {
					return name
				}
			}
		}
	}
	return ""
}

// missingIDX says which files of a pair a folder lacks, and which files it has.
func missingIDX(folder string, names []string, p pairFiles) error {
	var missing []string
	if p.images == "" {
		missing = append(missing, p.prefix+"-images-idx3-ubyte")
	}
	if p.labels == "" {
		missing = append(missing, p.prefix+"-labels-idx1-ubyte")
	}
	const most = 8
	has := "it is empty"
	if len(names) > 0 {
		shown := names[:min(len(names), most)]
		has = "it has " + strings.Join(shown, ", ")
		if more := len(names) - len(shown); more > 0 {
			has += fmt.Sprintf(" and %d more", more)
		}
	}
	return &DataError{File: folder, Problem: "the folder lacks " + strings.Join(missing, " and ") + " (" + has + ")",
		Fix: "put the IDX files there under these names, plain or with .gz"}
}

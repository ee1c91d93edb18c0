package dataset

import (
	"context"
	"path/filepath"
	"strings"

	"reprise/dataset/preprocess"
	"reprise/internal/disk"
	"reprise/tensor"
)

// ReadLabelledImages returns the images of one file, as ReadImages does, with the class of
// each, counted from 0: that in the records of CIFAR-10 or, for an IDX file of images, that
// in the file of labels beside it, which is called the same but for "labels" and "idx1" instead
// of "images" and "idx3". It fails with a *DataError for anything else, which says what a
// model with the document's pixels wants.
func ReadLabelledImages(ctx context.Context, path string, p preprocess.Pixels) (tensor.Shape, []byte, []int32, error) {
	if err := checkHoldsImages(path, p, true); err != nil {
		return nil, nil, nil, err
	}
	if filepath.Ext(path) == ".bin" {
		r := cifarReader{classes: 256, left: MaxBytes}
		all, err := r.read(ctx, []string{path})
		if err != nil {
			return nil, nil, nil, err
		}
		return tensor.Shape{cifarSide, cifarSide, cifarChannels}, all.raw, all.labels, nil
	}
	labels, ok := labelsBeside(path)
	if !ok {
		return nil, nil, nil, &DataError{File: path, Problem: "has no classes, and there is no file of labels beside it",
			Fix: "put an IDX file of labels there, such as test-labels-idx1-ubyte beside test-images-idx3-ubyte"}
	}
	pair, err := readPairFiles(ctx, path, labels)
	if err != nil {
		return nil, nil, nil, err
	}
	b := pair.block()
	return pair.sampleShape(), b.raw, b.labels, nil
}

// labelsBeside returns the file of labels that belongs to a file of images, compressed or
// not.
func labelsBeside(path string) (string, bool) {
	folder, name := filepath.Split(path)
	name = strings.TrimSuffix(name, ".gz")
	if !strings.Contains(name, "images") {
		return "", false
	}
	name = strings.Replace(name, "images", "labels", 1)
	for _, rank := range []string{"idx2", "idx3", "idx4"} {
		name = strings.Replace(name, rank, "idx1", 1)
	}
	for _, candidate := range []string{folder + name, folder + name + ".gz"} {
		if disk.Exists(candidate) {
			return candidate, true
		}
	}
	return "", false
}

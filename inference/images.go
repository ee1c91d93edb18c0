package inference

import (
	"context"

	"reprise/dataset"
	"reprise/fault"
)

// PredictImageFiles calls emit with each image of a path and its prediction, in order: of a
// folder, a file of an image, a table of paths, or a file of IDX or CIFAR-10, as
// dataset.EachImage has it. It fails with the errors of that, of PredictImages and of emit.
func (m *Model) PredictImageFiles(ctx context.Context, path string, emit func(image dataset.InputImage, p Prediction) error) error {
	if !m.TakesImages() {
		return &fault.FieldError{Field: "images", Value: fault.ShowPath(path), Problem: "does not fit a model of tables", Fix: "give it rows"}
	}
	var images []dataset.InputImage
	flush := func() error {
		pixels := make([][]byte, len(images))
		for i, image := range images {
			pixels[i] = image.Pixels
		}
		list, err := m.PredictImages(pixels)
		if err != nil {
			return err
		}
		for i, p := range list {
			if err := emit(images[i], p); err != nil {
				return err
			}
		}
		images = images[:0]
		return ctx.Err()
	}
	err := dataset.EachImage(ctx, path, *m.bundle.Preprocessing.Pixels, func(image dataset.InputImage) error {
		if images = append(images, image); len(images) < batchRows {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

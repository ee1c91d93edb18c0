package inference

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"reprise/dataset"
	"reprise/dataset/columns"
	"reprise/dataset/table"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/metrics"
)

// NamesImages reports whether PredictFile names the image of each prediction: each then has a
// file of its own.
func (m *Model) NamesImages(f File) bool {
	return m.TakesImages() && (dataset.NamesImages(f.Path, *m.bundle.Preprocessing.Pixels) || dataset.HasImageFiles(f.Path))
}

// predictImages is PredictFile for a model of images.
func (m *Model) predictImages(ctx context.Context, f File, emit func(image string, p Prediction) error) (err error) {
	named := func(image dataset.InputImage, p Prediction) error { return emit(image.Name, p) }
	if !dataset.NamesImages(f.Path, *m.bundle.Preprocessing.Pixels) {
		return m.eachImageFile(ctx, f, named)
	}
	rows, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return m.inBatches(ctx, named, func(take func(dataset.InputImage) error) error {
		return dataset.EachImageOfTable(ctx, f.Path, rows, m.bundle.Preprocessing, m.images, take)
	})
}

// eachImageFile predicts the images of a path that is not a table.
func (m *Model) eachImageFile(ctx context.Context, f File, emit func(image dataset.InputImage, p Prediction) error) error {
	if err := f.onlyImages(); err != nil {
		return err
	}
	return m.inBatches(ctx, emit, func(take func(dataset.InputImage) error) error {
		return dataset.EachImage(ctx, f.Path, *m.bundle.Preprocessing.Pixels, m.images, take)
	})
}

// inBatches predicts the images that read gives away, one batch after the other.
func (m *Model) inBatches(ctx context.Context, emit func(image dataset.InputImage, p Prediction) error, read func(take func(dataset.InputImage) error) error) error {
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
	err := read(func(image dataset.InputImage) error {
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

// evaluateImages is EvaluateFile for a model of images.
func (m *Model) evaluateImages(ctx context.Context, f File, figures *metrics.Evaluation, count func(), e *Evaluation) error {
	switch {
	case dataset.NamesImages(f.Path, *m.bundle.Preprocessing.Pixels):
		return m.evaluateImageTable(ctx, f, figures, count, e)
	case m.Quantities() != nil:
		return &fault.DataError{File: f.Path, Problem: "has no " + quoted(m.Quantities()) + ", which the model predicts", Fix: "name a table with the paths of the images, and that"}
	case dataset.HasImageFiles(f.Path):
		return m.evaluateFolder(ctx, f, figures, count)
	}
	return m.evaluateStored(ctx, f, figures, count)
}

// evaluateFolder evaluates on images that lie in a folder for each class.
func (m *Model) evaluateFolder(ctx context.Context, f File, e *metrics.Evaluation, count func()) error {
	classes := m.bundle.Preprocessing.Target.Classes
	index := map[string]int{}
	for i, name := range classes {
		index[name] = i
	}
	if split, ok := dataset.SplitFolder(f.Path, classes); ok {
		return &fault.DataError{File: f.Path, Problem: "has the folders of classes in folders of splits", Fix: "name one of these, such as " + fault.ShowPath(split)}
	}
	unknown, beside, first := map[string]*unknownClass{}, 0, ""
	err := m.eachImageFile(ctx, f, func(image dataset.InputImage, p Prediction) error {
		class, known := index[image.Class]
		switch {
		case image.Class == "":
			if beside++; beside == 1 {
				first = image.Name
			}
		case !known:
			note(unknown, image.Class, table.Place{File: f.Path})
		case beside == 0 && len(unknown) == 0: // otherwise there will be no figures
			count()
			return e.AddClass(class, p.Outputs)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if beside > 0 {
		err = &fault.DataError{File: f.Path, Value: fmt.Sprintf("%s, the first of them %s,", figures.Plural(beside, "image"), fault.ShowPath(first)),
			Problem: "are in no folder of a class", Fix: "name a folder that has one for each class, such as " + figures.Or(firstOf(classes))}
	}
	return errors.Join(err, m.refuse(unknown, ""))
}

// evaluateStored evaluates on a file of IDX or CIFAR-10.
func (m *Model) evaluateStored(ctx context.Context, f File, e *metrics.Evaluation, count func()) error {
	if err := f.onlyImages(); err != nil {
		return err
	}
	shape, pixels, labels, err := dataset.ReadLabelledImages(ctx, f.Path, *m.bundle.Preprocessing.Pixels)
	if err != nil {
		return err
	}
	size, err := shape.NumElements()
	if err != nil {
		return err
	}
	unknown := map[string]*unknownClass{}
	for i, label := range labels {
		if int(label) >= len(m.bundle.Preprocessing.Target.Classes) {
			note(unknown, fmt.Sprint(label), table.Place{File: f.Path, Row: i + 1})
		}
	}
	if err := m.refuse(unknown, ""); err != nil {
		return err
	}
	next := 0
	return m.inBatches(ctx, func(_ dataset.InputImage, p Prediction) error {
		count()
		next++
		return e.AddClass(int(labels[next-1]), p.Outputs)
	}, func(take func(dataset.InputImage) error) error {
		for image := range slices.Chunk(pixels, size) {
			if err := take(dataset.InputImage{Pixels: image}); err != nil {
				return err
			}
		}
		return nil
	})
}

// evaluateImageTable evaluates on the images that a table has the paths of.
func (m *Model) evaluateImageTable(ctx context.Context, f File, figures *metrics.Evaluation, count func(), e *Evaluation) (err error) {
	all, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if err := m.lacksTarget(f.Path, all.Columns()); err != nil {
		return err
	}
	binding, _, err := m.encoder.Bind(all.Columns())
	if err != nil {
		return err
	}
	document := m.bundle.Preprocessing
	e.LeftOut = map[string]int{}
	rows := &imageRows{
		labelledRows: labelledRows{Reader: all, model: m, binding: binding, leftOut: e.LeftOut, unknown: map[string]*unknownClass{}},
		image:        slices.Index(all.Columns(), document.Pixels.Column), missing: columns.NewMissing(document.Missing),
	}
	n, next := len(document.Target.Quantities), 0
	err = m.inBatches(ctx, func(_ dataset.InputImage, p Prediction) error {
		if len(rows.unknown) > 0 {
			return nil // there will be no figures
		}
		count()
		next++
		if n == 0 {
			return figures.AddClass(rows.classes[next-1], p.Outputs)
		}
		return figures.AddValues(rows.quantities[(next-1)*n:next*n], p.Values)
	}, func(take func(dataset.InputImage) error) error {
		return dataset.EachImageOfTable(ctx, f.Path, rows, document, m.images, take)
	})
	return cmp.Or(err, m.refuse(rows.unknown, document.Target.Column))
}

// imageRows are the rows of a table of images that have figures. It keeps what is true of
// each, since all rows are read before the first image.
type imageRows struct {
	labelledRows
	image      int // the column; -1 for none
	missing    columns.Missing
	classes    []int
	quantities []float64
}

// Next implements table.Reader.
func (r *imageRows) Next(ctx context.Context, row []table.Cell) (table.Place, error) {
	for {
		at, err := r.labelledRows.Next(ctx, row)
		if err != nil {
			return at, err
		}
		if r.image >= 0 && r.missing.Is(row[r.image]) {
			r.leftOut["no "+r.Columns()[r.image]]++
			continue
		}
		if len(r.values) > 0 {
			r.quantities = append(r.quantities, r.values...)
			return at, nil
		}
		class, _ := r.binding.Class(row)
		r.classes = append(r.classes, class)
		return at, nil
	}
}

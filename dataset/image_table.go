package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"reprise/dataset/columns"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/internal/figures"
)

// findImages finds the column with the paths of images, if there is one: that which the
// request names, or else the only one that looks like it.
func (t *tableReading) findImages() error {
	var asked, inferred []string
	for i, c := range t.meaning {
		switch {
		case c.Kind != columns.Image || i == t.by || slices.Contains(t.target, i):
			continue
		case c.Reason == columns.Asked:
			asked = append(asked, c.Name)
		default:
			inferred = append(inferred, c.Name)
		}
	}
	if len(asked) > 0 && t.reading <= fourthReading {
		return t.changed() // nothing was recorded that is read so
	}
	list := asked
	if len(asked) == 0 {
		list = inferred
	}
	if len(list) > 1 {
		return &DataError{File: t.source.Path, Value: "columns " + listColumns(list), Problem: "have paths of images, and one image is a sample",
			Fix: fmt.Sprintf("choose one, as in columns: {%s: image}, and make the others ignored", list[0])}
	}
	if len(list) == 1 {
		t.image = slices.Index(t.names, list[0])
		return nil
	}
	const what = "a table without a column of paths of images"
	var errs []error
	if t.source.Image != (ImageOptions{}) {
		errs = append(errs, doesNotFit(FieldImage, "a mapping", what, "leave it out, or name the column with columns: {NAME: image}"))
	}
	if t.source.Table.Root != "" {
		errs = append(errs, doesNotFit(FieldRoot, quote(t.source.Table.Root), what, "leave it out, or name the column with columns: {NAME: image}"))
	}
	return joinAll(errs)
}

// imageOf returns the image that a cell has the path of: from the root, or the folder of
// the table.
func (t *tableReading) imageOf(at tablefile.Place, cell tablefile.Cell) imageSource {
	name := strings.Clone(columns.Label(cell))
	root := t.source.Table.Root
	if root == "" {
		root = filepath.Dir(at.File)
	}
	return imageSource{path: pathBelow(root, name), name: name}
}

// pathBelow returns a path that a table has, from a folder unless it is absolute.
func pathBelow(root, name string) string {
	path := filepath.FromSlash(name)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// imageSet reads the images that the rows name, and makes a data set of them. The other
// columns but the target and that of the split are not used.
func (t *tableReading) imageSet(ctx context.Context) (*Dataset, error) {
	n := len(t.fileOf)
	if n < 2 {
		return nil, &DataError{File: t.source.Path, Value: figures.Plural(n, "row"), Problem: "is not enough to train and validate on, of those that are not left out: " + t.leftOut(),
			Fix: "add rows"}
	}
	d, b := &Dataset{name: filepath.Base(t.source.Path), scaling: byteScaling(255)}, &block{}
	target := preprocess.Target{}
	if t.source.Task != Regression {
		var err error
		if d.classNames, b.labels, err = t.labels.classes(t.table); err != nil {
			return nil, err
		}
		target = preprocess.Target{Column: t.names[t.target[0]], Classes: d.classNames, NumericClasses: t.labels.numberLine > 0}
	}
	of, err := t.split(b.labels, d.classNames)
	if err != nil {
		return nil, err
	}
	d.parts = partition(b, of)
	if t.source.Task == Regression {
		b.targets = t.targets
		if target.Quantities, err = t.quantities(d.parts[Train].rows); err != nil {
			return nil, err
		}
		for _, q := range target.Quantities {
			d.targets = append(d.targets, Target{Name: q.Name, Mean: q.Scale.Mean, StandardDeviation: q.Scale.StandardDeviation})
		}
	}
	all, err := loadImages(ctx, t.source.Path, t.images, t.source.Image, imageProblems{}, t.packing)
	if bad := new(DataError); err != nil && t.meaning[t.image].Reason != columns.Asked && errors.As(err, &bad) {
		bad.Fix += fmt.Sprintf("; or write columns: {%s: ignored} if the column is not to be learned from", t.names[t.image])
	}
	if err != nil {
		return nil, err
	}
	pixels := all.block()
	b.raw, b.file, d.shape = pixels.raw, pixels.file, all.shape
	cells := sha256.New()
	cells.Write([]byte(hex.EncodeToString(t.content.Sum(nil)) + all.content)) // a hash never fails
	d.images = &imageData{
		content: hex.EncodeToString(cells.Sum(nil)), resized: t.source.Image.Size != [2]int{}, column: t.names[t.image],
		notes: append(t.imageNotes(), all.notes...), kinds: t.imageKinds(), missing: slices.Clone(t.options.Missing), target: target,
	}
	return d.seal()
}

// imageKinds describes all columns.
func (t *tableReading) imageKinds() []ColumnKind {
	list := make([]ColumnKind, len(t.meaning))
	for i, c := range t.meaning {
		list[i] = ColumnKind{Column: c, Role: "unused"}
		switch {
		case i == t.image:
			list[i].Role = "image"
		case slices.Contains(t.target, i):
			list[i].Role = "target"
		case i == t.by:
			list[i].Role = string(t.source.Table.Split.Method)
		}
	}
	return list
}

// imageNotes says which columns are not used, and which rows.
func (t *tableReading) imageNotes() []string {
	var notes, unused []string
	if out := t.leftOut(); out != "" {
		notes = append(notes, "left out: "+out)
	}
	notes = append(notes, t.notes...)
	for _, c := range t.imageKinds() {
		if c.Role == "unused" && c.Kind != columns.Ignored {
			unused = append(unused, c.Name)
		}
	}
	if len(unused) > 0 {
		notes = append(notes, fmt.Sprintf("only the images of column %q are learned from, and not %s; write columns: {%s: ignored} for the other way round",
			t.names[t.image], listColumns(unused), t.names[t.image]))
	}
	return notes
}

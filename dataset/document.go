package dataset

import (
	"slices"

	"reprise/dataset/columns"
	"reprise/dataset/number"
	"reprise/dataset/preprocess"
)

// document is a preprocessing document in its canonical form, with its SHA-256.
type document struct {
	content []byte
	hash    string
}

// Preprocessing returns the document by which what is read becomes the inputs of a model,
// and outputs become classes or quantities, in its canonical form. The caller owns it.
func (d *Dataset) Preprocessing() []byte { return slices.Clone(d.document.content) }

// PreprocessingHash returns the SHA-256 of the document in hex.
func (d *Dataset) PreprocessingHash() string { return d.document.hash }

// describe returns the document of the data.
func (d *Dataset) describe() (document, error) {
	p, err := d.preprocessing()
	if err != nil {
		return document{}, err
	}
	content, err := p.Marshal()
	if err != nil {
		return document{}, err
	}
	hash, err := p.Hash()
	return document{content, hash}, err
}

func (d *Dataset) preprocessing() (preprocess.Document, error) {
	if d.table != nil {
		return d.table.encoder.Document(), nil
	}
	p := preprocess.Document{Version: preprocess.Version}
	if d.text != nil {
		model, err := d.TokenizerModel()
		p.Text = &preprocess.Text{Tokenizer: model, Context: d.text.context}
		return p, err
	}
	if d.scaling.table != nil {
		p.Pixels = &preprocess.Pixels{Shape: d.shape.Clone(), Divisor: d.scaling.divisor}
		p.Target.Classes = d.ClassNames()
		if d.images != nil {
			p.Pixels.Column = d.images.column
			if d.images.resized {
				p.Pixels.Resize = preprocess.AreaResize
			}
			if d.images.column != "" {
				p.Missing, p.Target = d.images.missing, d.images.target
			}
		}
		return p, nil
	}
	for i, c := range d.scaling.columns {
		p.Columns = append(p.Columns, preprocess.Column{
			Name: d.columnNames[i], Kind: columns.Number, Missing: preprocess.Fill{Strategy: columns.Drop},
			Scale: &preprocess.Scale{Mean: c.Mean, StandardDeviation: c.SD},
		})
	}
	p.Target = d.predicted()
	return p, nil
}

// predicted returns what is predicted from a table of numbers.
func (d *Dataset) predicted() (t preprocess.Target) {
	for _, q := range d.targets {
		t.Quantities = append(t.Quantities, preprocess.Quantity{Name: q.Name, Scale: preprocess.Scale{Mean: q.Mean, StandardDeviation: q.StandardDeviation}})
	}
	if d.targets != nil {
		return t
	}
	t.Column, t.Classes = d.label, d.ClassNames()
	t.NumericClasses = !slices.ContainsFunc(t.Classes, func(name string) bool { _, ok := number.ParseDecimal(name); return !ok })
	return t
}

package dataset

import (
	"fmt"
	"math"

	"reprise/dataset/tokenizer"
	"reprise/tensor"
)

// Summary describes a data set as a person wants to see it.
type Summary struct {
	Name        string       `json:"name"`
	Task        Task         `json:"task"`
	Fingerprint string       `json:"fingerprint"`
	SampleShape tensor.Shape `json:"sample_shape"`
	ClassNames  []string     `json:"class_names"`
	// MemoryBytes is what the data set holds in memory.
	MemoryBytes int64 `json:"memory_bytes"`
	// Scaling says what training makes of a value, as in "value / 255".
	Scaling    string       `json:"scaling"`
	Train      SplitSummary `json:"train"`
	Validation SplitSummary `json:"validation"`
	// Values sums up all values as read, before scaling. Draw a pixel by its
	// place between Low and High.
	Values Values  `json:"values"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Columns has the values of each feature of a table; nil for images.
	Columns []ColumnSummary `json:"columns,omitempty"`
	// Targets has the quantities to predict; nil unless the task is regression.
	Targets []ColumnSummary `json:"targets,omitempty"`
	// Text describes tokens; nil unless the task is next_token. Values, Low and
	// High are 0 then.
	Text *TextSummary `json:"text,omitempty"`
}

// TextSummary describes a text in tokens.
type TextSummary struct {
	Tokenizer  tokenizer.Kind `json:"tokenizer"`
	Vocabulary int            `json:"vocabulary"`
	Context    int            `json:"context"`
	// TrainTokens and ValidationTokens count those that make no whole sample, too.
	TrainTokens      int `json:"train_tokens"`
	ValidationTokens int `json:"validation_tokens"`
}

// SplitSummary describes a split.
type SplitSummary struct {
	Samples int `json:"samples"`
	// PerClass is the number of samples of each class; empty where there are none.
	PerClass []int `json:"per_class"`
}

// Values sums up some values.
type Values struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// ColumnSummary describes a feature or a target of a table. The standard deviation is that
// of the training split, which the column is divided by; 0 means that it does
// not vary there and is 0 in training.
type ColumnSummary struct {
	Name string `json:"name"`
	Values
	StandardDeviation float64 `json:"standard_deviation"`
}

// Inspect reads every value and sums it up.
func (d *Dataset) Inspect() Summary {
	s := Summary{
		Name: d.name, Task: d.Task(), Fingerprint: d.fingerprint, SampleShape: d.SampleShape(), ClassNames: d.ClassNames(), MemoryBytes: d.Bytes(),
		Train: d.inspectSplit(Train), Validation: d.inspectSplit(Validation),
	}
	if t := d.text; t != nil {
		s.Scaling = "tokens"
		s.Text = &TextSummary{
			Tokenizer: t.tokenizer.Kind(), Vocabulary: t.tokenizer.VocabSize(), Context: t.context,
			TrainTokens: len(t.tokens[Train]), ValidationTokens: len(t.tokens[Validation]),
		}
		return s
	}
	if d.scaling.table != nil {
		s.Scaling = fmt.Sprintf("value / %d", d.scaling.divisor)
		s.Values = d.inspectPixels()
		s.Low, s.High = 0, float64(d.scaling.divisor)
		return s
	}
	s.Scaling = "(value - mean) / standard deviation of the training split, for each column"
	s.Columns = d.inspectColumns(d.columnNames, d.scaling.columns, func(b *block) []float64 { return b.values })
	if d.targets != nil {
		s.Targets = d.inspectTargets()
	}
	s.Values = Values{Min: s.Columns[0].Min, Max: s.Columns[0].Max}
	for _, c := range s.Columns {
		s.Values.Min, s.Values.Max = min(s.Values.Min, c.Min), max(s.Values.Max, c.Max)
		s.Values.Mean += c.Mean / float64(len(s.Columns))
	}
	s.Low, s.High = s.Values.Min, s.Values.Max
	return s
}

func (d *Dataset) inspectSplit(split Split) SplitSummary {
	s := SplitSummary{Samples: d.Len(split), PerClass: make([]int, len(d.classNames))}
	p := d.parts[split]
	if p.block == nil || p.labels == nil {
		return s
	}
	for i := range p.len() {
		s.PerClass[p.labels[p.row(i)]]++
	}
	return s
}

// inspectPixels counts in integers: it is exact.
func (d *Dataset) inspectPixels() Values {
	var count [256]uint64
	for _, p := range d.parts {
		for i := range p.len() {
			from := p.row(i) * d.features
			for _, v := range p.raw[from : from+d.features] {
				count[v]++
			}
		}
	}
	low, high := len(count), 0
	var n, sum uint64
	for v, c := range count {
		if c > 0 {
			low, high = min(low, v), v
		}
		n += c
		sum += c * uint64(v)
	}
	return Values{Min: float64(low), Mean: float64(sum) / float64(n), Max: float64(high)}
}

func (d *Dataset) inspectTargets() []ColumnSummary {
	var names []string
	var scaling []column
	for _, t := range d.targets {
		names = append(names, t.Name)
		scaling = append(scaling, column{mean: t.Mean, sd: t.StandardDeviation})
	}
	return d.inspectColumns(names, scaling, func(b *block) []float64 { return b.targets })
}

// inspectColumns sums up the columns of what valuesOf returns, row-major.
func (d *Dataset) inspectColumns(names []string, scaling []column, valuesOf func(*block) []float64) []ColumnSummary {
	columns := make([]ColumnSummary, len(names))
	for j := range columns {
		columns[j] = ColumnSummary{Name: names[j], StandardDeviation: scaling[j].sd,
			Values: Values{Min: math.Inf(1), Max: math.Inf(-1)}}
	}
	total := float64(d.Len(Train) + d.Len(Validation))
	for _, p := range d.parts {
		for i := range p.len() {
			from := p.row(i) * len(columns)
			for j, v := range valuesOf(p.block)[from : from+len(columns)] {
				c := &columns[j]
				c.Min, c.Max = min(c.Min, v), max(c.Max, v)
				c.Mean += v / total
			}
		}
	}
	return columns
}

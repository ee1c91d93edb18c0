package dataset

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"reprise/dataset/number"
	"reprise/dataset/tokenizer"
	"reprise/tensor"
)

// Summary describes a data set to a person.
type Summary struct {
	Name        string       `json:"name"`
	Task        Task         `json:"task"`
	Fingerprint string       `json:"fingerprint"`
	SampleShape tensor.Shape `json:"sample_shape"`
	ClassNames  []string     `json:"class_names"`
	// MemoryBytes is what the data set holds in memory.
	MemoryBytes int64 `json:"memory_bytes"`
	// Scaling says how a value is scaled for training, as in "value / 255".
	Scaling    string       `json:"scaling"`
	Train      SplitSummary `json:"train"`
	Validation SplitSummary `json:"validation"`
	// Test is nil for data without a test split.
	Test *SplitSummary `json:"test,omitempty"`
	// Values summarises all values of the training split as read, before scaling.
	// A pixel is drawn by where it is between Low and High.
	Values Values  `json:"values"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Columns summarises each feature of a table; nil for images.
	Columns []ColumnSummary `json:"columns,omitempty"`
	// Kinds says what each column of a table means, where that was inferred.
	Kinds []ColumnKind `json:"kinds,omitempty"`
	// Channels summarises each channel of images; nil for tables.
	Channels []ColumnSummary `json:"channels,omitempty"`
	// Targets summarises the quantities to predict; nil unless the task is
	// regression.
	Targets []ColumnSummary `json:"targets,omitempty"`
	// Text describes tokens; nil unless the task is next_token. Values, Low and
	// High are then 0.
	Text *TextSummary `json:"text,omitempty"`
}

// TextSummary describes a text in tokens.
type TextSummary struct {
	Tokenizer  tokenizer.Kind `json:"tokenizer"`
	Vocabulary int            `json:"vocabulary"`
	Context    int            `json:"context"`
	// TrainTokens and ValidationTokens also count tokens after the last whole
	// sample.
	TrainTokens      int `json:"train_tokens"`
	ValidationTokens int `json:"validation_tokens"`
	// The same in bytes and in characters; a byte that is not UTF-8 counts as one
	// character.
	TrainBytes           int `json:"train_bytes"`
	ValidationBytes      int `json:"validation_bytes"`
	TrainCharacters      int `json:"train_characters"`
	ValidationCharacters int `json:"validation_characters"`
	// Sample is the beginning of the training split.
	Sample string `json:"sample"`
}

// SplitSummary describes a split.
type SplitSummary struct {
	Samples int `json:"samples"`
	// PerClass is the number of samples of each class; empty if there are no classes.
	PerClass []int `json:"per_class"`
}

// Values is the range and the mean of some values.
type Values struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// ColumnSummary describes a feature or a target of a table, or a channel of
// images, in the training split. A column of a table is standardised by this mean
// and this standard deviation; a deviation of 0 means that it does not vary, up to
// rounding, and is 0 in training.
type ColumnSummary struct {
	Name string `json:"name"`
	Values
	StandardDeviation float64 `json:"standard_deviation"`
}

// Inspect reads every value and summarises the training split. It fails if samples are in
// a file that cannot be read.
func (d *Dataset) Inspect() (s Summary, err error) {
	s = Summary{
		Name: d.name, Task: d.Task(), Fingerprint: d.fingerprint, SampleShape: d.SampleShape(), ClassNames: d.ClassNames(), MemoryBytes: d.Bytes(),
		Train: d.inspectSplit(Train), Validation: d.inspectSplit(Validation),
	}
	if d.Len(Test) > 0 {
		test := d.inspectSplit(Test)
		s.Test = &test
	}
	if d.text != nil {
		s.Scaling = "tokens"
		s.Text = d.text.inspect()
		return s, nil
	}
	summed := &s.Columns
	switch {
	case d.scaling.table != nil:
		s.Scaling = fmt.Sprintf("value / %d", d.scaling.divisor)
		s.Channels, err = d.inspectChannels()
		if d.images != nil {
			s.Kinds = slices.Clone(d.images.kinds)
		}
		summed = &s.Channels
	case d.table != nil:
		s.Scaling = "features by the kind of each column"
		s.Columns, err = d.inspectTable()
		s.Kinds = d.table.kinds()
	default:
		s.Scaling = "(value - mean) / standard deviation of the training split, for each column"
		s.Columns, err = d.inspectCells()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("data set %s: %w", d.name, err)
	}
	if d.targets != nil {
		s.Targets = d.inspectTargets()
	}
	s.Values = Values{Min: math.Inf(1), Max: math.Inf(-1)}
	for _, c := range *summed {
		s.Values.Min, s.Values.Max = min(s.Values.Min, c.Min), max(s.Values.Max, c.Max)
		s.Values.Mean += c.Mean / float64(len(*summed))
	}
	if len(*summed) == 0 {
		s.Values = Values{}
	}
	s.Low, s.High = s.Values.Min, s.Values.Max
	if d.scaling.table != nil {
		s.Low, s.High = 0, float64(d.scaling.divisor)
	}
	return s, nil
}

// sampleBytes is the largest number of bytes of a text to show.
const sampleBytes = 240

func (t *tokenText) inspect() *TextSummary {
	s := &TextSummary{
		Tokenizer: t.tokenizer.Kind(), Vocabulary: t.tokenizer.VocabSize(), Context: t.context,
		TrainTokens: len(t.tokens[Train]), ValidationTokens: len(t.tokens[Validation]),
	}
	train, validation := t.decode(Train), t.decode(Validation)
	s.TrainBytes, s.ValidationBytes = len(train), len(validation)
	s.TrainCharacters, s.ValidationCharacters = utf8.RuneCount(train), utf8.RuneCount(validation)
	if len(train) > sampleBytes {
		train = train[:characterStart(train, sampleBytes)]
	}
	s.Sample = string(train)
	return s
}

// decode returns the text of a split. It panics if a token is not in the
// vocabulary, which validate rules out.
func (t *tokenText) decode(split Split) []byte {
	text, err := t.tokenizer.Decode(nil, t.tokens[split])
	if err != nil {
		panic(err)
	}
	return text
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

// inspectChannels counts the pixels of the training split in integers, so that
// the sums are exact. Samples without channels are treated as having one.
func (d *Dataset) inspectChannels() ([]ColumnSummary, error) {
	channels := 1
	if len(d.shape) == 3 {
		channels = d.shape[2]
	}
	counts := make([][256]uint64, channels)
	err := d.eachRow(d.parts[Train], func(_ int, raw []byte, _ []float64) error {
		for j, v := range raw {
			counts[j%channels][v]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	summaries := make([]ColumnSummary, channels)
	for j := range summaries {
		summaries[j] = summariseCounts(&counts[j])
		summaries[j].Name = fmt.Sprintf("channel %d", j+1)
	}
	return summaries, nil
}

// summariseCounts summarises values by how often each occurs.
func summariseCounts(counts *[256]uint64) ColumnSummary {
	low, high := len(counts), 0
	var n, sum uint64
	for v, c := range counts {
		if c > 0 {
			low, high = min(low, v), v
		}
		n += c
		sum += c * uint64(v)
	}
	mean, squares := float64(sum)/float64(n), 0.0
	for v, c := range counts {
		d := float64(v) - mean
		squares += float64(float64(c) * d * d)
	}
	return ColumnSummary{
		Values:            Values{Min: float64(low), Mean: mean, Max: float64(high)},
		StandardDeviation: math.Sqrt(squares / float64(n)),
	}
}

func (d *Dataset) inspectTargets() []ColumnSummary {
	var names []string
	var scaling []number.Scale
	for _, t := range d.targets {
		names = append(names, t.Name)
		scaling = append(scaling, number.Scale{Mean: t.Mean, SD: t.StandardDeviation})
	}
	columns := newSummaries(names, scaling)
	p := d.parts[Train]
	for i := range p.len() {
		summarise(columns, p.targetsOf(p.row(i), len(columns)))
	}
	return columns
}

// inspectCells summarises the columns of a table of numbers.
func (d *Dataset) inspectCells() ([]ColumnSummary, error) {
	columns := newSummaries(d.columnNames, d.scaling.columns)
	err := d.eachRow(d.parts[Train], func(_ int, _ []byte, values []float64) error {
		summarise(columns, values)
		return nil
	})
	return columns, err
}

func newSummaries(names []string, scaling []number.Scale) []ColumnSummary {
	columns := make([]ColumnSummary, len(names))
	for j := range columns {
		columns[j] = ColumnSummary{Name: names[j], StandardDeviation: scaling[j].SD,
			Values: Values{Min: math.Inf(1), Mean: scaling[j].Mean, Max: math.Inf(-1)}}
	}
	return columns
}

// summarise adds a row.
func summarise(columns []ColumnSummary, row []float64) {
	for j, v := range row {
		c := &columns[j]
		c.Min, c.Max = min(c.Min, v), max(c.Max, v)
	}
}

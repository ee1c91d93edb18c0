package dataset

import (
	"fmt"

	"reprise/dataset/tokenizer"
)

// Task is what a model learns from a data set.
type Task string

// The tasks.
const (
	// Classification: each sample belongs to one of several classes.
	Classification Task = "classification"
	// Regression: each sample comes with one quantity or several.
	Regression Task = "regression"
	// NextToken: each sample is a sequence of tokens, and the token after each of
	// them is to be predicted.
	NextToken Task = "next_token"
)

// Tasks returns every task.
func Tasks() []Task { return []Task{Classification, Regression, NextToken} }

// InputKind is what the values of a sample are.
type InputKind string

// The kinds of input.
const (
	InputFloat InputKind = "float" // Batch.Inputs
	InputToken InputKind = "token" // Batch.Tokens
)

// Task returns what a model learns from the data set.
func (d *Dataset) Task() Task {
	switch {
	case d.text != nil:
		return NextToken
	case d.targets != nil:
		return Regression
	}
	return Classification
}

// InputKind returns what the values of a sample are.
func (d *Dataset) InputKind() InputKind {
	if d.text != nil {
		return InputToken
	}
	return InputFloat
}

// LabelsPerSample returns the number of labels of a sample: 1 for
// classification, the context for next-token training, 0 for regression.
func (d *Dataset) LabelsPerSample() int {
	switch d.Task() {
	case Classification:
		return 1
	case NextToken:
		return d.text.context
	case Regression:
	}
	return 0
}

// TargetsPerSample returns the number of targets of a sample: 0 unless the task
// is regression.
func (d *Dataset) TargetsPerSample() int { return len(d.targets) }

// Tokenizer returns the tokenizer that encoded the text; nil unless the task is
// NextToken.
func (d *Dataset) Tokenizer() tokenizer.Tokenizer {
	if d.text == nil {
		return nil
	}
	return d.text.tokenizer
}

// TokenizerModel returns the tokenizer in its JSON form, which tokenizer.Parse
// reads; "" unless the task is NextToken.
func (d *Dataset) TokenizerModel() (string, error) {
	if d.text == nil {
		return "", nil
	}
	model, err := tokenizer.Marshal(d.text.tokenizer)
	return string(model), err
}

// Batch is B samples as training takes them. Fields that do not apply to the data
// set are empty. NewBatch allocates one; callers with memory of their own set the
// fields to slices of enough capacity. A Batch is used by one goroutine at a time.
type Batch struct {
	Inputs  []float32 // scaled values [B, SampleShape], of InputFloat
	Tokens  []int32   // [B, context], of InputToken
	Labels  []int32   // [B, LabelsPerSample], each in [0, Classes)
	Targets []float32 // standardised [B, TargetsPerSample]

	// Augmentation changes the images of the training split, by numbers drawn
	// from Seed and Epoch, which is counted from 0 and below 2^56. The zero value
	// changes nothing. CheckAugmentation says whether the data takes it.
	Augmentation Augmentation
	Seed, Epoch  uint64
}

// NewBatch returns a batch that holds up to rows samples of the data set.
func (d *Dataset) NewBatch(rows int) *Batch {
	b := &Batch{Labels: make([]int32, rows*d.LabelsPerSample()), Targets: make([]float32, rows*d.TargetsPerSample())}
	if d.InputKind() == InputToken {
		b.Tokens = make([]int32, rows*d.features)
	} else {
		b.Inputs = make([]float32, rows*d.features)
	}
	return b
}

// GatherBatch fills the batch with the samples index[i] of the split: it sets
// the length of its slices and their content. It allocates nothing. It panics if
// their capacity is too small or an index is out of range. Of samples in a file, it
// allocates what reading takes, and fails where the file cannot be read.
func (d *Dataset) GatherBatch(split Split, index []int, b *Batch) error {
	n := len(index)
	labels, targets := d.LabelsPerSample(), d.TargetsPerSample()
	b.Labels, b.Targets = resize(b.Labels, n*labels, "labels"), resize(b.Targets, n*targets, "targets")
	if d.text != nil {
		b.Inputs, b.Tokens = b.Inputs[:0], resize(b.Tokens, n*d.features, "tokens")
		for i, at := range index {
			tokens, next := d.text.window(split, at)
			copy(b.Tokens[i*labels:], tokens)
			copy(b.Labels[i*labels:], next)
		}
		return nil
	}
	b.Inputs, b.Tokens = resize(b.Inputs, n*d.features, "inputs"), b.Tokens[:0]
	augmented := split == Train && b.Augmentation != Augmentation{}
	if augmented {
		d.mustTake(b.Augmentation)
	}
	p := d.parts[split]
	for i, at := range index {
		row := p.row(at)
		if labels > 0 {
			b.Labels[i] = p.labels[row]
		}
		for j, v := range p.targetsOf(row, targets) {
			b.Targets[i*targets+j] = d.targets[j].scale(v)
		}
	}
	if p.block != nil && p.file != nil {
		return d.gatherFile(p, index, func(i int, raw []byte, values []float64) { d.put(b, i, index[i], augmented, raw, values) })
	}
	r := rowReader{d: d}
	for i, at := range index {
		raw, values, _ := r.row(p.block, p.row(at)) // memory never fails
		d.put(b, i, at, augmented, raw, values)
	}
	return nil
}

// put makes inputs i of a batch of sample at of its split.
func (d *Dataset) put(b *Batch, i, at int, augmented bool, raw []byte, values []float64) {
	x := b.Inputs[i*d.features : (i+1)*d.features]
	if augmented {
		d.place(raw, x, b.Augmentation.draw(b.Seed, b.Epoch, at))
		return
	}
	d.scaleRow(raw, values, x)
}

func resize[T any](s []T, n int, what string) []T {
	if n > cap(s) {
		panic(fmt.Sprintf("dataset: gather %d %s into a batch that holds %d", n, what, cap(s)))
	}
	return s[:n]
}

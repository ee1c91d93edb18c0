package dataset

import "fmt"

// Label returns the class of sample i of the split. It panics if i is out of range or the
// task is not classification.
func (d *Dataset) Label(split Split, i int) int32 {
	p := d.parts[split]
	return p.labels[p.row(i)]
}

// AppendTargets appends the targets of sample i of the split, as they were read: in the
// unit of the file. It panics if i is out of range; unless the task is regression there
// are none.
func (d *Dataset) AppendTargets(dst []float64, split Split, i int) []float64 {
	if len(d.targets) == 0 {
		return dst
	}
	p := d.parts[split]
	return append(dst, p.targetsOf(p.row(i), len(d.targets))...)
}

// ClassCounts returns how often each class occurs in the split, nil unless the task is
// classification.
func (d *Dataset) ClassCounts(split Split) []int {
	if len(d.classNames) == 0 {
		return nil
	}
	counts := make([]int, len(d.classNames))
	for i := range d.Len(split) {
		counts[d.Label(split, i)]++
	}
	return counts
}

// TokenCounts returns how often each token is one to predict in the samples of the split,
// and the bytes of text that these tokens stand for. It panics unless the task is
// next-token training.
func (d *Dataset) TokenCounts(split Split) (counts []int, bytes int, err error) {
	t := d.text
	counts = make([]int, t.tokenizer.VocabSize())
	for _, token := range t.tokens[split][1 : 1+t.windows(split)*t.context] {
		counts[token]++
	}
	var text []byte
	for token, n := range counts {
		if n == 0 {
			continue
		}
		if text, err = t.tokenizer.Decode(text[:0], []int32{int32(token)}); err != nil {
			return nil, 0, fmt.Errorf("data set %s: %w", d.name, err)
		}
		bytes += n * len(text)
	}
	return counts, bytes, nil
}

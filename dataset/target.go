package dataset

import (
	"fmt"
	"math"
	"slices"

	"reprise/dataset/number"
)

// Target is a quantity that regression predicts. For training it is standardised by
// the mean and standard deviation of the training split.
type Target struct {
	Name              string  `json:"name"`
	Mean              float64 `json:"mean"`
	StandardDeviation float64 `json:"standard_deviation"`
}

func (t Target) scale(v float64) float32 {
	return number.Scale{Mean: t.Mean, SD: t.StandardDeviation}.Apply(v)
}

// Restore converts a prediction of the standardised target back to the unit of the
// file.
func (t Target) Restore(v float32) float64 {
	return float64(float64(v)*t.StandardDeviation) + t.Mean
}

// Targets returns the quantities to predict, in the order of Batch.Targets; nil
// unless the task is regression. The caller owns the slice.
func (d *Dataset) Targets() []Target { return slices.Clone(d.targets) }

// targetsOf returns the n targets of a row of the block, as they were read.
func (b *block) targetsOf(row, n int) []float64 {
	return b.targets[row*n : (row+1)*n]
}

func (d *Dataset) validateTargets() error {
	for s, p := range d.parts {
		if p.block == nil {
			continue
		}
		rows := len(p.targets) / len(d.targets)
		if len(p.targets) != rows*len(d.targets) || d.count(p.block) != rows*d.width() {
			return fmt.Errorf("data set %s: %v split has %d values for %d targets", d.name, Split(s), d.count(p.block), len(p.targets))
		}
		for i := range p.len() {
			for j, v := range p.targetsOf(p.row(i), len(d.targets)) {
				if scaled := float64(d.targets[j].scale(v)); math.IsNaN(scaled) || math.IsInf(scaled, 0) {
					return fmt.Errorf("data set %s: %v sample %d has %s of %v", d.name, Split(s), i, d.targets[j].Name, v)
				}
			}
		}
	}
	return nil
}

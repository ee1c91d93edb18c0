package loop

import (
	"sync"

	"reprise/dataset"
)

// ahead gathers the batch of the next step while the current one is computed, if the data
// is in a file: memory is faster than handing a batch over. At most one batch is gathered
// at a time.
type ahead struct {
	batch *dataset.Batch
	index []int
	step  uint64 // which batch is for
	err   error
	under sync.WaitGroup
	begun bool
}

// begin gathers the samples whose indices fill sets, for a step.
func (a *ahead) begin(data *dataset.Dataset, step, epoch uint64, rows int, at func(i int) int) {
	a.index = a.index[:rows]
	for i := range a.index {
		a.index[i] = at(i)
	}
	a.batch.Epoch, a.step, a.begun = epoch, step, true
	a.under.Go(func() { a.err = data.GatherBatch(dataset.Train, a.index, a.batch) })
}

// take waits for what was begun, and reports whether it is the batch of a step.
func (a *ahead) take(step uint64) bool {
	if !a.begun {
		return false
	}
	a.under.Wait()
	a.begun = false
	return a.step == step && a.err == nil // what failed is tried again, and fails again
}

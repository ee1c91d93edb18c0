package dataset

import "reprise/internal/philox"

// Balanced is an order in which each class is visited equally often: an epoch has as many
// places as there are samples, and each class that occurs takes the same share of them,
// to within one. The samples of a class take turns, in an order that is drawn again for
// each turn, so that over several epochs each of them is visited equally often, to within
// one: those of a frequent class less than once an epoch, those of a rare one several
// times.
//
// Like a Permutation it is a function of the seed, the epoch and the place alone; it takes
// four bytes a sample. It is part of the numerics contract, and never changes. It is safe
// for concurrent use.
type Balanced struct {
	seed    uint64
	samples int
	classes [][]int32 // the samples of each class that occurs, in ascending order
}

// NewBalanced returns the balanced order of a split, whose task must be classification:
// otherwise it panics.
func (d *Dataset) NewBalanced(split Split, seed uint64) *Balanced {
	b := &Balanced{seed: seed, samples: d.Len(split)}
	all := make([][]int32, d.Classes())
	for i := range b.samples {
		c := d.Label(split, i)
		all[c] = append(all[c], int32(i))
	}
	for _, members := range all {
		if len(members) > 0 {
			b.classes = append(b.classes, members)
		}
	}
	return b
}

// Epoch returns the order of an epoch, which is counted from 0.
func (b *Balanced) Epoch(epoch uint64) BalancedEpoch {
	return BalancedEpoch{b, epoch, NewPermutation(b.seed, epoch, b.samples)}
}

// BalancedEpoch is the order of one epoch.
type BalancedEpoch struct {
	*Balanced
	epoch  uint64
	places Permutation
}

// At returns the sample at place i. It panics unless i is in [0, n) of n samples.
func (e BalancedEpoch) At(i int) int {
	place, classes := e.places.At(i), len(e.classes)
	c := place % classes
	each := uint64(e.samples / classes) // of the class's visits in an epoch
	if c < e.samples%classes {
		each++
	}
	members := e.classes[c]
	visit := e.epoch*each + uint64(place/classes) // since the first epoch
	turn := visit / uint64(len(members))
	order := newPermutation(philox.PurposeBalance, e.seed, turn*uint64(classes)+uint64(c), len(members))
	return int(members[order.At(int(visit%uint64(len(members))))])
}

package dataset

import (
	"fmt"
	"math/bits"

	"reprise/internal/philox"
)

// The rounds of the Feistel network. For a large range, four make a permutation
// that cannot be told from a random one, and eight are generous. A range of few bits
// needs more: over 8 points, 8 rounds favour some pairs of places by far more than
// chance; 24 do not (TestEveryPairOfPlacesIsEquallyLikely).
const (
	roundsOfFewBits = 24
	rounds          = 8
	fewBits         = 8 // ranges of fewer bits
)

// Permutation is a bijection of [0, n) that is chosen by a seed and an epoch:
// the order in which the samples of an epoch are visited. It takes a few words of
// memory, however large n is. The zero value is the empty permutation.
//
// It is a Feistel network over the smallest power of two that holds n, with
// Philox as its round function. A value outside [0, n) passes through it again
// until it is inside (cycle walking; fewer than two passes on average).
// The order is part of the numerics contract: it never changes.
type Permutation struct {
	n           uint64
	seed, epoch uint64
	purpose     philox.Purpose
	// low and high are the widths of the two halves in bits, low >= high.
	low, high uint8
	rounds    uint8
}

// NewPermutation returns the permutation of [0, n) for an epoch, which is
// counted from 0 and below 2^56. It panics if n is negative.
func NewPermutation(seed, epoch uint64, n int) Permutation {
	return newPermutation(philox.PurposeShuffle, seed, epoch, n)
}

func newPermutation(purpose philox.Purpose, seed, epoch uint64, n int) Permutation {
	if n < 0 {
		panic(fmt.Sprintf("dataset: permutation of %d", n))
	}
	if n == 0 {
		return Permutation{}
	}
	width := max(2, bits.Len64(uint64(n)-1)) // two halves of at least one bit
	p := Permutation{
		n: uint64(n), seed: seed, epoch: epoch, purpose: purpose,
		low: uint8(width - width/2), high: uint8(width / 2), rounds: rounds,
	}
	if width < fewBits {
		p.rounds = roundsOfFewBits
	}
	return p
}

// At returns the image of index i. It panics unless i is in [0, n).
func (p Permutation) At(i int) int {
	if uint64(i) >= p.n {
		panic(fmt.Sprintf("dataset: index %d of a permutation of %d", i, p.n))
	}
	x := uint64(i)
	for {
		if x = p.pass(x); x < p.n {
			return int(x)
		}
	}
}

// pass is the Feistel network: rounds that change the low half by a function of
// the high half alternate with rounds that do the opposite.
func (p Permutation) pass(x uint64) uint64 {
	lowMask, highMask := uint64(1)<<p.low-1, uint64(1)<<p.high-1
	low, high := x&lowMask, x>>p.low
	for round := uint64(0); round < uint64(p.rounds); round += 2 {
		low ^= p.word(round, high) & lowMask
		high ^= p.word(round+1, low) & highMask
	}
	return high<<p.low | low
}

// word is the round function. A half has at most 32 bits.
func (p Permutation) word(round, half uint64) uint64 {
	return uint64(philox.Block(p.seed, p.purpose, p.epoch, round<<32|half)[0])
}

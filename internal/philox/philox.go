// Package philox is the counter-based random number generator Philox4x32-10
// (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2,
// 3", SC11). A number is a pure function of (seed, purpose, step, index): there
// is no state to keep, to lose or to share between threads.
//
// All functions are safe for concurrent use and allocate nothing.
package philox

// Purpose keeps the numbers of different uses apart. The values are part of the
// numerics contract and never change their meaning.
type Purpose uint8

// The purposes.
const (
	PurposeInit    Purpose = 1 // initial weights
	PurposeShuffle Purpose = 2 // order of samples within an epoch
	PurposeSplit   Purpose = 3 // training and validation parts of a data set
	PurposeDropout Purpose = 4
	PurposeAugment Purpose = 5
	PurposeSample  Purpose = 6 // the next token of generated text
	PurposeBalance Purpose = 7 // order of the samples of a class
)

// The multipliers of the rounds and the increments of the key (Weyl sequence),
// from the paper.
const (
	multiplier0 = 0xD2511F53
	multiplier1 = 0xCD9E8D57
	weyl0       = 0x9E3779B9
	weyl1       = 0xBB67AE85
	rounds      = 10
)

// philox4x32 is the generator's bijection of a 128-bit counter. Its words are
// separate arguments for them to stay in registers.
func philox4x32(c0, c1, c2, c3, k0, k1 uint32) [4]uint32 {
	for range rounds {
		p0, p1 := multiplier0*uint64(c0), multiplier1*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += weyl0
		k1 += weyl1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Block returns four random words. The key is the seed; the counter is, from
// the lowest word, index (2 words), the low word of step, and the purpose in
// the highest byte above bits 32 to 55 of step. A step must be below 2^56.
func Block(seed uint64, purpose Purpose, step, index uint64) [4]uint32 {
	return philox4x32(
		uint32(index), uint32(index>>32), uint32(step), uint32(purpose)<<24|uint32(step>>32)&0xFFFFFF,
		uint32(seed), uint32(seed>>32))
}

// Uniform32 returns number index of the sequence, uniform in [0, 1): the 24
// high bits of word index%4 of Block(seed, purpose, step, index/4), times 2^-24,
// which is exact.
func Uniform32(seed uint64, purpose Purpose, step, index uint64) float32 {
	word := Block(seed, purpose, step, index/4)[index%4]
	return float32(word>>8) * 0x1p-24
}

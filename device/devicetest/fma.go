package devicetest

import "math/big"

// exactFMA returns a*b+c rounded once to float32, computed with math/big: the
// twin that fused multiply-adds are compared with. It is for finite values
// whose result is in the normal range and not zero.
func exactFMA(a, b, c float32) float32 {
	const enough = 512 // more bits than any sum of such values spans
	value := func(x float32) *big.Float { return new(big.Float).SetPrec(enough).SetFloat64(float64(x)) }
	sum := value(a)
	sum.Mul(sum, value(b))
	sum.Add(sum, value(c))
	rounded, _ := sum.Float32()
	return rounded
}

package detmath

import (
	"math"
	"math/big"
)

const (
	twoOverPi = 2 / math.Pi
	// pio2a + pio2b + pio2c is pi/2 to 159 bits.
	pio2a = 0x1.921fb54442d18p+0
	pio2b = 0x1.1a62633145c07p-54
	pio2c = math.Pi/2 - pio2a - pio2b

	// cosDirect bounds the arguments that three parts of pi/2 can reduce.
	cosDirect = 1 << 30
)

// Cos returns the cosine of x, in radians, for any x. Cos(±Inf) and Cos(NaN)
// are NaN. Beyond |x| = 2^30 it takes microseconds.
func Cos(x float64) float64 {
	x = math.Abs(x)
	var quadrant int64
	var r, c float64
	switch {
	case x != x || math.IsInf(x, 1):
		return math.NaN()
	case x < cosDirect:
		quadrant, r, c = reduce(x)
	default:
		quadrant, r, c = reduceBig(x)
	}
	switch quadrant & 3 {
	case 0:
		return cosKernel(r, c)
	case 1:
		return -sinKernel(r, c)
	case 2:
		return -cosKernel(r, c)
	default:
		return sinKernel(r, c)
	}
}

// reduce returns k and r + c = x - k pi/2 with |r| at most a little above pi/4.
func reduce(x float64) (k int64, r, c float64) {
	n := math.RoundToEven(float64(x * twoOverPi))
	t := math.FMA(-n, pio2a, x) // exact: a multiple of 2^-53 below 1
	ph, pl := product(n, pio2b)
	h, l := twoSum(t, -ph)
	l -= math.FMA(n, pio2c, pl)
	r = h + l
	return int64(n), r, (h - r) + l
}

// piDigits is pi to 1,300 bits: enough for the largest float64, which has 1,024
// bits before the point, to leave 120 correct bits beyond the closest any
// float64 comes to a multiple of pi/2 (2^-61).
const piDigits = "" +
	"3.14159265358979323846264338327950288419716939937510582097494459230781" +
	"6406286208998628034825342117067982148086513282306647093844609550582231" +
	"7253594081284811174502841027019385211055596446229489549303819644288109" +
	"7566593344612847564823378678316527120190914564856692346034861045432664" +
	"8213393607260249141273724587006606315588174881520920962829254091715364" +
	"3678925903600113305305488204665213841469519415116094"

// reduceBig is reduce in arbitrary precision. It allocates.
func reduceBig(x float64) (k int64, r, c float64) {
	const precision = 1300
	halfPi, _, err := big.ParseFloat(piDigits, 10, precision, big.ToNearestEven)
	if err != nil {
		panic("detmath: " + err.Error())
	}
	halfPi.SetMantExp(halfPi, -1)
	v := new(big.Float).SetPrec(precision).SetFloat64(x)
	n := new(big.Float).SetPrec(precision).Quo(v, halfPi)
	n.Add(n, big.NewFloat(0.5))
	whole, _ := n.Int(nil)
	n.SetInt(whole)
	v.Sub(v, n.Mul(n, halfPi))
	r, _ = v.Float64()
	v.Sub(v, big.NewFloat(r))
	c, _ = v.Float64()
	return whole.And(whole, big.NewInt(3)).Int64(), r, c
}

// cosKernel returns cos(r+c) for |r| up to about pi/4, by Taylor's series up to
// r^18/18!.
func cosKernel(r, c float64) float64 {
	const (
		c4  = 1.0 / 24
		c6  = -c4 / (5 * 6)
		c8  = -c6 / (7 * 8)
		c10 = -c8 / (9 * 10)
		c12 = -c10 / (11 * 12)
		c14 = -c12 / (13 * 14)
		c16 = -c14 / (15 * 16)
		c18 = -c16 / (17 * 18)
	)
	z := float64(r * r)
	q := math.FMA(z, c18, c16)
	q = math.FMA(z, q, c14)
	q = math.FMA(z, q, c12)
	q = math.FMA(z, q, c10)
	q = math.FMA(z, q, c8)
	q = math.FMA(z, q, c6)
	q = math.FMA(z, q, c4)
	// 1 - z/2, with the rounding error of z and of the difference kept.
	zl := math.FMA(r, r, -z)
	half := float64(0.5 * z)
	hi := 1 - half
	lo := (1 - hi) - half
	lo -= math.FMA(0.5, zl, float64(r*c))
	return hi + math.FMA(float64(z*z), q, lo)
}

// sinKernel returns sin(r+c) for |r| up to about pi/4, by Taylor's series up to
// r^19/19!.
func sinKernel(r, c float64) float64 {
	const (
		c3  = -1.0 / 6
		c5  = -c3 / (4 * 5)
		c7  = -c5 / (6 * 7)
		c9  = -c7 / (8 * 9)
		c11 = -c9 / (10 * 11)
		c13 = -c11 / (12 * 13)
		c15 = -c13 / (14 * 15)
		c17 = -c15 / (16 * 17)
		c19 = -c17 / (18 * 19)
	)
	z := float64(r * r)
	q := math.FMA(z, c19, c17)
	q = math.FMA(z, q, c15)
	q = math.FMA(z, q, c13)
	q = math.FMA(z, q, c11)
	q = math.FMA(z, q, c9)
	q = math.FMA(z, q, c7)
	q = math.FMA(z, q, c5)
	q = math.FMA(z, q, c3)
	// sin(r+c) = r + r^3 q + c cos(r), and cos(r) is near enough 1 - z/2.
	return r + math.FMA(float64(z*r), q, math.FMA(float64(-0.5*z), c, c))
}

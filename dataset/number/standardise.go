package number

import (
	"math"
)

// Rule is a version of the rules of Standardise: recorded data keeps those that it was
// standardised by.
type Rule int

// The rules.
const (
	FirstRule   Rule = 1 // squares of tiny deviations underflow; only equal values are constant
	SecondRule  Rule = 2 // the mean is a plain sum, and its possible error is taken for constant
	CurrentRule Rule = 3
)

// Scale says how a column is standardised.
type Scale struct {
	Mean float64
	SD   float64 // 0 for a column that does not vary
	// Rounded says that it varies, but only by rounding: SD is 0.
	Rounded bool
}

// Apply returns the value that a number has in training: 0 in a column that does not
// vary.
func (s Scale) Apply(v float64) float32 {
	if s.SD == 0 {
		return 0
	}
	return float32((v - s.Mean) / s.SD)
}

// Standardise is StandardiseRows for the given rows, at least one, of values
// [rows, features] in row-major order.
func Standardise(rule Rule, values []float64, features int, rows []uint32) []Scale {
	scales, err := StandardiseRows(rule, features, len(rows), func(do func(row []float64)) error {
		for _, row := range rows {
			do(values[int(row)*features : (int(row)+1)*features])
		}
		return nil
	})
	if err != nil {
		panic("number: " + err.Error()) // memory never fails
	}
	return scales
}

// StandardiseRows returns mean and standard deviation of every column over some rows, at
// least one, which each goes through in the same order whenever it is called. The sums are
// taken in that order, as the documentation of package dataset states. It fails as each does.
//
// With u = 2^-53, summing n values in turn may put their mean off by
// (n-1)u times their mean magnitude, which for many rows of large numbers is more
// than they vary. The current rule therefore sums the deviations from that mean
// again, with compensation: their mean is its error. Where that is too small to be
// seen in training, the mean remains as it is, and every bit with it.
func StandardiseRows(rule Rule, features, rows int, each func(do func(row []float64)) error) ([]Scale, error) {
	columns := make([]Scale, features)
	extents := make([]extent, features)
	n := float64(rows)
	begun := false
	err := each(func(row []float64) {
		for j, v := range row {
			if !begun {
				extents[j] = extent{low: v, high: v}
			}
			columns[j].Mean += v
			extents[j].low, extents[j].high = min(extents[j].low, v), max(extents[j].high, v)
		}
		begun = true
	})
	if err != nil {
		return nil, err
	}
	for j := range columns {
		columns[j].Mean /= n
	}
	deviations := make([]compensated, features)
	err = each(func(row []float64) {
		for j, v := range row {
			d := v - columns[j].Mean
			columns[j].SD += float64(d * d)
			deviations[j].add(d)
		}
	})
	if err != nil {
		return nil, err
	}
	for j := range columns {
		c := &columns[j]
		varies := extents[j].low != extents[j].high
		squares := c.SD
		c.SD = math.Sqrt(squares / n)
		if rule != FirstRule && varies && squares < tinySquares {
			if c.SD, err = scaledDeviation(each, j, n, c.Mean); err != nil {
				return nil, err
			}
		}
		meanError := deviations[j].total() / n
		switch {
		case !varies: // rounding of the mean must not make a constant vary
			c.SD = 0
		case rule == SecondRule && withinErrorOfMean(*c, n), rule == CurrentRule && extents[j].isRounding():
			c.SD, c.Rounded = 0, true
		case rule == CurrentRule && math.Abs(meanError) > float64(c.SD*Float32Epsilon):
			c.Mean += meanError
			if c.SD, err = scaledDeviation(each, j, n, c.Mean); err != nil {
				return nil, err
			}
		}
	}
	return columns, nil
}

// Float32Epsilon is the part of a standard deviation that cannot be seen in
// training.
const Float32Epsilon = 0x1p-24

// compensated is a sum that carries its rounding errors along. The total of n
// values is off by no more than u|total| + (nu)^2 sum|v|, u = 2^-53 (Ogita, Rump
// and Oishi, "Accurate sum and dot product", 2005, proposition 4.5). MaxBytes
// keeps n below 2^29, and (nu)^2 below 2^-48.
//
// Of deviations d from a mean m that is off by e, the total divided by n gives e
// to within 3u|e| + (u+2^-48) mean|d|, and mean|d| <= |e| + the standard deviation
// s. As |e| is itself at most nu = 2^-24 of the mean magnitude, m + e is the mean
// to within a rounding and 2^-47 (s + 2^-24 mean|v|): however many rows there are,
// a few units in its last place or nothing that can be seen beside s.
type compensated struct{ sum, lost float64 }

func (c *compensated) add(v float64) {
	sum := c.sum + v
	added := sum - c.sum
	c.lost += (c.sum - (sum - added)) + (v - added) // exactly what sum lost
	c.sum = sum
}

func (c *compensated) total() float64 { return c.sum + c.lost }

// extent is the smallest and the largest value of a column.
type extent struct{ low, high float64 }

// isRounding reports whether the column varies by no more than the rounding of its
// values: 4 units in the last place of the largest magnitude. No sum takes part,
// so that neither the number of rows nor their order matters. The difference is
// exact where it decides: numbers as near as that are within a factor of two.
func (e extent) isRounding() bool {
	const units = 4
	largest := max(math.Abs(e.low), math.Abs(e.high))
	return e.high-e.low <= units*(math.Nextafter(largest, math.Inf(1))-largest)
}

// tinySquares is a sum of squares below which some of them may have lost digits
// to underflow.
const tinySquares = 0x1p-900

// scaledDeviation is the standard deviation of column j about the mean, summed
// after the deviations are scaled by a power of two. No digit differs from the sum
// without scaling unless squares underflow. A sum of n squares is off by no more
// than (n+2)u of itself, and its root by half of that: below 2^-25 for n < 2^29.
func scaledDeviation(each func(do func(row []float64)) error, j int, n, mean float64) (float64, error) {
	largest := 0.0
	if err := each(func(row []float64) { largest = max(largest, math.Abs(row[j]-mean)) }); err != nil {
		return 0, err
	}
	_, exponent := math.Frexp(largest)
	squares := 0.0
	err := each(func(row []float64) {
		d := math.Ldexp(row[j]-mean, -exponent)
		squares += float64(d * d)
	})
	return math.Ldexp(math.Sqrt(squares/n), exponent), err
}

// withinErrorOfMean is when the second rule took a column for constant: if
// the deviation of its n values is no more than the error that a plain sum may
// give their mean, which grows with n.
func withinErrorOfMean(c Scale, n float64) bool {
	const epsilon = 0x1p-52
	return c.SD <= math.Abs(float64(n*epsilon)*c.Mean)
}

package dataset

import (
	"fmt"
	"math"
)

// standardise returns mean and standard deviation of every column over the
// given rows, in the order that the package comment states.
//
// With u = 2^-53, summing n values in turn may put their mean off by
// (n-1)u times their mean magnitude, which for many rows of large numbers is more
// than they vary. The current reading therefore sums the deviations from that mean
// again, with compensation: their mean is its error. Where that is too small to be
// seen in training, the mean remains as it is, and every bit with it.
func (r reading) standardise(values []float64, features int, rows []uint32) []column {
	columns := make([]column, features)
	extents := make([]extent, features)
	n := float64(len(rows))
	for j := range extents {
		first := values[int(rows[0])*features+j]
		extents[j] = extent{low: first, high: first}
	}
	for _, row := range rows {
		for j := range columns {
			v := values[int(row)*features+j]
			columns[j].mean += v
			extents[j].low, extents[j].high = min(extents[j].low, v), max(extents[j].high, v)
		}
	}
	for j := range columns {
		columns[j].mean /= n
	}
	deviations := make([]compensated, features)
	for _, row := range rows {
		for j := range columns {
			d := values[int(row)*features+j] - columns[j].mean
			columns[j].sd += float64(d * d)
			deviations[j].add(d)
		}
	}
	for j := range columns {
		c := &columns[j]
		varies := extents[j].low != extents[j].high
		squares := c.sd
		c.sd = math.Sqrt(squares / n)
		if r != firstReading && varies && squares < tinySquares {
			c.sd = scaledDeviation(values, features, j, rows, c.mean)
		}
		meanError := deviations[j].total() / n
		switch {
		case !varies: // rounding of the mean must not make a constant vary
			c.sd = 0
		case r == secondReading && withinErrorOfMean(*c, n), r == currentReading && extents[j].isRounding():
			c.sd, c.rounded = 0, true
		case r == currentReading && math.Abs(meanError) > float64(c.sd*float32Epsilon):
			c.mean += meanError
			c.sd = scaledDeviation(values, features, j, rows, c.mean)
		}
	}
	return columns
}

// float32Epsilon is the part of a standard deviation that cannot be seen in
// training.
const float32Epsilon = 0x1p-24

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
func scaledDeviation(values []float64, features, j int, rows []uint32, mean float64) float64 {
	largest := 0.0
	for _, row := range rows {
		largest = max(largest, math.Abs(values[int(row)*features+j]-mean))
	}
	_, exponent := math.Frexp(largest)
	squares := 0.0
	for _, row := range rows {
		d := math.Ldexp(values[int(row)*features+j]-mean, -exponent)
		squares += float64(d * d)
	}
	return math.Ldexp(math.Sqrt(squares/float64(len(rows))), exponent)
}

// withinErrorOfMean is when the second reading took a column for constant: if
// the deviation of its n values is no more than the error that a plain sum may
// give their mean, which grows with n.
func withinErrorOfMean(c column, n float64) bool {
	const epsilon = 0x1p-52
	return c.sd <= math.Abs(float64(n*epsilon)*c.mean)
}

// precision is what is known about the digits of a column while it is read.
type precision struct {
	first   string // the first cell
	differs bool   // another cell is written differently
	noWhole bool   // a cell is not a whole number
	// the first whole number with more digits than a float64 holds: its line, its
	// cell, and how far off the float64 may be.
	line int
	cell string
	lost float64
}

func (p *precision) add(line int, cell string, v float64) {
	if p.first == "" {
		p.first = cell
	}
	p.differs = p.differs || cell != p.first
	p.noWhole = p.noWhole || v != math.Trunc(v)
	if p.lost == 0 {
		if p.lost = lostDigits(cell, v); p.lost > 0 {
			p.line, p.cell = line, cell
		}
	}
}

// checkDigits refuses columns of whole numbers that differ only in digits that a
// float64 does not hold, or in the last ones that it does: standardising would
// silently change them, or make them 0.
func (t *table) checkDigits(names []string, digits []precision, columns []column) error {
	if t.reading == firstReading {
		return nil
	}
	for j, p := range digits {
		if !p.differs {
			continue
		}
		fix := "subtract a constant from the column, or leave it out if it names things rather than measures them"
		switch c := columns[j]; {
		case p.lost > float64(c.sd*float32Epsilon):
			return t.bad(p.line, names[j], quote(p.cell),
				fmt.Sprintf("has more digits than a 64-bit float holds, and the column varies by no more than %.3g", c.sd), fix)
		case c.rounded && !p.noWhole:
			return t.bad(0, names[j], formatNumber(c.mean), "is so large that rounding hides how the column varies", fix)
		}
	}
	return nil
}

// checkScaled refuses values that are not finite in float32 once standardised:
// values far from those of the training split, whose spread is tiny.
func (t *table) checkScaled(values []float64, names []string, columns []column) error {
	for row, line := range t.lines {
		for j, c := range columns {
			v := values[row*len(columns)+j]
			if math.IsInf(float64(c.scale(v)), 0) {
				return t.bad(line, names[j], formatNumber(v),
					fmt.Sprintf("is out of scale: the column's standard deviation is %g", c.sd), "correct the value, or remove the row")
			}
		}
	}
	return nil
}

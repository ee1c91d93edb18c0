package dataset

import (
	"fmt"
	"math"
)

// standardise returns mean and standard deviation of every column over the
// given rows, in the order that the package comment states.
func (r reading) standardise(values []float64, features int, rows []uint32) []column {
	columns := make([]column, features)
	n := float64(len(rows))
	first := int(rows[0]) * features
	varies := make([]bool, features)
	for _, row := range rows {
		for j := range columns {
			v := values[int(row)*features+j]
			columns[j].mean += v
			varies[j] = varies[j] || v != values[first+j]
		}
	}
	for j := range columns {
		columns[j].mean /= n
	}
	for _, row := range rows {
		for j := range columns {
			d := values[int(row)*features+j] - columns[j].mean
			columns[j].sd += float64(d * d)
		}
	}
	for j := range columns {
		c := &columns[j]
		if squares := c.sd; r != firstReading && varies[j] && squares < tinySquares {
			c.sd = tinyDeviation(values, features, j, rows, c.mean)
		} else {
			c.sd = math.Sqrt(squares / n)
		}
		if r != firstReading && varies[j] && constantUpToRounding(*c, n) {
			c.sd, c.rounded = 0, true
		}
		if !varies[j] { // rounding of the mean must not make a difference of none
			c.sd = 0
		}
	}
	return columns
}

// tinySquares is a sum of squares below which some of them may have lost digits
// to underflow.
const tinySquares = 0x1p-900

// tinyDeviation is the standard deviation of column j, by the same sums of
// deviations that are scaled by a power of two first. No digit differs unless
// squares underflow without it.
func tinyDeviation(values []float64, features, j int, rows []uint32, mean float64) float64 {
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

// constantUpToRounding reports whether the deviation of n values is no more than
// the error that their mean may have: variance <= (n epsilon mean)^2, where
// epsilon is the distance from 1 to the next float64.
func constantUpToRounding(c column, n float64) bool {
	const epsilon = 0x1p-52
	return c.sd <= math.Abs(float64(n*epsilon)*c.mean)
}

// precision is what is known of the digits of a column while it is read.
type precision struct {
	first   string // the first cell
	differs bool   // another cell is written in another way
	noWhole bool   // a cell is not a whole number
	// the first whole number with more digits than a float64 holds: its line, the
	// cell, and how far off it may be.
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

// checkDigits refuses columns of whole numbers that differ in digits which a
// float64 does not hold, or which the mean of so many of them rounds away:
// standardising would make other numbers of them, or 0, in silence.
func (t *table) checkDigits(names []string, digits []precision, columns []column) error {
	if t.reading == firstReading {
		return nil
	}
	const float32Epsilon = 0x1p-24 // of a standard deviation cannot be seen in training
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

// checkScaled refuses rows that standardising takes out of float32: values far
// from those of the training split, whose spread is tiny.
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

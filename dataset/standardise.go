package dataset

import (
	"fmt"
	"math"

	"reprise/dataset/number"
)

// standardise is number.Standardise by the rule of the reading.
func (r reading) standardise(values []float64, features int, rows []uint32) []number.Scale {
	return number.Standardise(r.rule(), values, features, rows)
}

func (r reading) rule() number.Rule { return number.Rule(min(r, thirdReading)) }

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
		if p.lost = number.LostDigits(cell, v); p.lost > 0 {
			p.line, p.cell = line, cell
		}
	}
}

// checkDigits refuses columns of whole numbers that differ only in digits that a
// float64 does not hold, or in the last ones that it does: standardising would
// silently change them, or make them 0.
func (t *table) checkDigits(names []string, digits []precision, columns []number.Scale) error {
	if t.reading == firstReading {
		return nil
	}
	for j, p := range digits {
		if !p.differs {
			continue
		}
		fix := "subtract a constant from the column, or leave it out if it names things rather than measures them"
		switch c := columns[j]; {
		case p.lost > float64(c.SD*number.Float32Epsilon):
			return t.bad(p.line, names[j], quote(p.cell),
				fmt.Sprintf("has more digits than a 64-bit float holds, and the column varies by no more than %.3g", c.SD), fix)
		case c.Rounded && !p.noWhole:
			return t.bad(0, names[j], number.Format(c.Mean), "is so large that rounding hides how the column varies", fix)
		}
	}
	return nil
}

// checkScaled refuses values of a row that are not finite in float32 once standardised:
// values far from those of the training split, whose spread is tiny.
func (t *table) checkScaled(row int, values []float64, names []string, columns []number.Scale) error {
	for j, c := range columns {
		if v := values[j]; math.IsInf(float64(c.Apply(v)), 0) {
			return t.bad(int(t.lines[row]), names[j], number.Format(v),
				fmt.Sprintf("is out of scale: the column's standard deviation is %g", c.SD), "correct the value, or remove the row")
		}
	}
	return nil
}

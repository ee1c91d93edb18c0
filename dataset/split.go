package dataset

import (
	"fmt"
	"math"

	"reprise/fault"
)

// DefaultValidationFraction is the fraction that is kept for validation of data
// without a validation set of its own.
const DefaultValidationFraction = 0.2

// validationRows returns how many of n rows, at least 2, a fraction keeps for
// validation: rounded up, at least 1 and at most n-1. A product that should be a
// whole number, such as 0.07*100, is treated as one: if it is within a billionth
// of it, and within a thousandth of a row. Below n = 2^32 its rounding error is less
// than a millionth. Earlier readings did not have the second limit.
func (r reading) validationRows(n int, fraction float64) int {
	product := float64(float64(n) * fraction)
	rows := int(math.Ceil(product))
	nearest := math.Round(product)
	tolerance := float64(1e-9 * nearest)
	if r >= thirdReading {
		tolerance = min(tolerance, 1e-3)
	}
	if math.Abs(product-nearest) < tolerance {
		rows = int(nearest)
	}
	return min(max(rows, 1), n-1)
}

// splitRows divides a block of n rows, so many of them for the validation split.
// Membership is a function of the two numbers alone.
func splitRows(b *block, n, validation int) [splits]part {
	return partition(b, splitAtRandom(n, validation, 0, 0))
}

// partition divides a block by the split that each of its rows belongs to.
func partition(b *block, of []Split) [splits]part {
	var counts [splits]int
	for _, s := range of {
		counts[s]++
	}
	var parts [splits]part
	for s, n := range counts {
		if n > 0 {
			parts[s] = part{block: b, rows: make([]uint32, 0, n)}
		}
	}
	for row, s := range of {
		parts[s].rows = append(parts[s].rows, uint32(row))
	}
	return parts
}

// checkFraction returns the fraction to use for a source: the default for 0.
func checkFraction(fraction float64) (float64, error) {
	if fraction == 0 {
		return DefaultValidationFraction, nil
	}
	if fraction > 0 && fraction < 1 { // false for NaN
		return fraction, nil
	}
	return 0, &fault.FieldError{Field: FieldValidationFraction, Value: fmt.Sprint(fraction),
		Problem: "is not between 0 and 1", Fix: "use a fraction such as 0.2, or leave it out"}
}

package number

import (
	"cmp"
	"strconv"
	"strings"
)

// Decimal is the exact value of a written number: 0.digits times ten to the
// exponent. The digits neither begin nor end with 0; the zero value is 0.
type Decimal struct {
	negative bool
	digits   string
	exponent int
}

// ParseDecimal returns the exact value of the number in a cell. ok is false if it
// holds none, or one with an absurd exponent.
func ParseDecimal(cell string) (d Decimal, ok bool) {
	whole, fraction, power, ok := cut(cell)
	if !ok {
		return Decimal{}, false
	}
	if power != "" {
		var err error
		if d.exponent, err = strconv.Atoi(power); err != nil || d.exponent > 1e9 || d.exponent < -1e9 {
			return Decimal{}, false
		}
	}
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	if d.exponent += len(whole) - (len(all) - len(d.digits)); d.digits == "" {
		return Decimal{}, true
	}
	d.digits = strings.TrimRight(d.digits, "0")
	d.negative = cell[0] == '-'
	return d, true
}

// Compare orders by value.
func (d Decimal) Compare(other Decimal) int {
	sign := func(d Decimal) int {
		switch {
		case d.digits == "":
			return 0
		case d.negative:
			return -1
		}
		return 1
	}
	if c := cmp.Compare(sign(d), sign(other)); c != 0 || d.digits == "" {
		return c
	}
	c := cmp.Or(cmp.Compare(d.exponent, other.exponent), cmp.Compare(d.digits, other.digits))
	return c * sign(d)
}

// Whole reports whether there are no digits after the point.
func (d Decimal) Whole() bool { return d.exponent >= len(d.digits) }

// String returns the one way to write the number: a whole number of up to 30
// digits in full, any other as a float64 if that is the same number.
func (d Decimal) String() string {
	const most = 30 // digits written without an exponent
	sign := ""
	if d.negative {
		sign = "-"
	}
	switch {
	case d.digits == "":
		return "0"
	case d.Whole() && d.exponent <= most:
		return sign + d.digits + strings.Repeat("0", d.exponent-len(d.digits))
	}
	scientific := sign + d.digits[:1] + "e" + strconv.Itoa(d.exponent-1)
	if len(d.digits) > 1 {
		scientific = sign + d.digits[:1] + "." + d.digits[1:] + "e" + strconv.Itoa(d.exponent-1)
	}
	if v, err := strconv.ParseFloat(scientific, 64); err == nil {
		short := Format(v)
		if back, ok := ParseDecimal(short); ok && back == d {
			return short
		}
	}
	switch {
	case d.exponent > 0 && d.exponent < len(d.digits):
		return sign + d.digits[:d.exponent] + "." + d.digits[d.exponent:]
	case d.exponent <= 0 && d.exponent > -most:
		return sign + "0." + strings.Repeat("0", -d.exponent) + d.digits
	}
	return scientific
}

// Package number reads the numbers of tables and standardises columns of them. A number
// has one notation, which the documentation of package dataset describes, and every sum
// one order: the figures are part of the bits of a run.
//
// All functions are pure and safe for concurrent use.
package number

import (
	"math"
	"strconv"
	"strings"
)

// Is reports whether a cell is written as a number: an optional sign,
// decimal digits with at most one point, and an optional exponent.
//
//	[+-]? ([0-9]+ [.]? [0-9]* | [.] [0-9]+) ([eE] [+-]? [0-9]+)?
//
// strconv.ParseFloat alone would also accept Go's own notations, such as 1_000 and
// 0x1p4, which mean nothing to anybody else.
func Is(cell string) bool {
	_, _, _, ok := cut(cell)
	return ok
}

// cut returns the parts of a number, without its sign, point and e.
func cut(cell string) (whole, fraction, exponent string, ok bool) {
	digits := func(s string) (string, string) {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return s[:n], s[n:]
	}
	whole, rest := digits(trimSign(cell))
	if strings.HasPrefix(rest, ".") {
		fraction, rest = digits(rest[1:])
	}
	if whole == "" && fraction == "" {
		return "", "", "", false
	}
	if rest == "" {
		return whole, fraction, "", true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return "", "", "", false
	}
	power := rest[1:]
	exponent, rest = digits(trimSign(power))
	if exponent == "" || rest != "" {
		return "", "", "", false
	}
	return whole, fraction, strings.TrimPrefix(power, "+"), true
}

func trimSign(s string) string {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[1:]
	}
	return s
}

// Parse returns the number in a cell; ok is false if it holds none, or one that is too
// large for a float32 or too small for a float64.
func Parse(cell string) (v float64, ok bool) {
	v, ok = ParseAny(cell)
	if !ok || !Is(cell) || tooSmall(cell, v) {
		return 0, false
	}
	return v, true
}

// ParseAny is Parse for any notation of strconv.ParseFloat, and for numbers that lose
// digits: it is how the first release read cells.
func ParseAny(cell string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
		return 0, false
	}
	return v, true
}

// smallestNormal is the smallest float64 with all its digits.
const smallestNormal = 0x1p-1022

// tooSmall reports whether a number other than 0 is so small that it has lost
// digits, or has become 0.
func tooSmall(cell string, v float64) bool {
	if math.Abs(v) >= smallestNormal {
		return false
	}
	whole, fraction, _, _ := cut(cell)
	return strings.Trim(whole+fraction, "0") != ""
}

// LostDigits returns how far v, as parsed from a cell, may be from the whole number
// in the cell; 0 if no digit is lost.
func LostDigits(cell string, v float64) float64 {
	const exact = 15 // digits that any float64 holds
	if len(cell) <= exact {
		return 0
	}
	digits := strings.TrimLeft(trimSign(cell), "0")
	if strings.Trim(digits, "0123456789") != "" || strconv.FormatFloat(math.Abs(v), 'f', -1, 64) == digits {
		return 0
	}
	return math.Nextafter(math.Abs(v), math.Inf(1)) - math.Abs(v)
}

// Format returns the shortest text that parses to the number, without an
// exponent for whole numbers.
func Format(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// NotFinite reports whether a cell spells an infinity or NaN as some program
// writes it.
func NotFinite(cell string) bool {
	v, err := strconv.ParseFloat(cell, 64)
	return err == nil && (math.IsNaN(v) || math.IsInf(v, 0))
}

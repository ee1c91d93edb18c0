package dataset

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// isNumber reports whether a cell is written as a number: an optional sign,
// decimal digits with at most one point, and an optional exponent.
//
//	[+-]? ([0-9]+ [.]? [0-9]* | [.] [0-9]+) ([eE] [+-]? [0-9]+)?
//
// strconv.ParseFloat alone would also accept Go's own notations, such as 1_000 and
// 0x1p4, which mean nothing to anybody else.
func isNumber(cell string) bool {
	_, _, _, ok := cutNumber(cell)
	return ok
}

// cutNumber returns the parts of a number, without its sign, point and e.
func cutNumber(cell string) (whole, fraction, exponent string, ok bool) {
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

// parseNumber returns the number in a cell; ok is false if it holds none, or one
// that is too large for a float32 or too small for a float64. badNumber says why.
func (r reading) parseNumber(cell string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
		return 0, false
	}
	return v, r == firstReading || isNumber(cell) && !tooSmall(cell, v)
}

// smallestNormal is the smallest float64 with all its digits.
const smallestNormal = 0x1p-1022

// tooSmall reports whether a number other than 0 is so small that it has lost
// digits, or has become 0.
func tooSmall(cell string, v float64) bool {
	if math.Abs(v) >= smallestNormal {
		return false
	}
	whole, fraction, _, _ := cutNumber(cell)
	return strings.Trim(whole+fraction, "0") != ""
}

// lostDigits returns how far v, as parsed from a cell, may be from the whole number
// in the cell; 0 if no digit is lost.
func lostDigits(cell string, v float64) float64 {
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

// decimal is the exact value of a written number: 0.digits times ten to the
// exponent. The digits neither begin nor end with 0; the zero value is 0.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// parseDecimal returns the exact value of the number in a cell. ok is false if it
// holds none, or one with an absurd exponent.
func parseDecimal(cell string) (d decimal, ok bool) {
	whole, fraction, power, ok := cutNumber(cell)
	if !ok {
		return decimal{}, false
	}
	if power != "" {
		var err error
		if d.exponent, err = strconv.Atoi(power); err != nil || d.exponent > 1e9 || d.exponent < -1e9 {
			return decimal{}, false
		}
	}
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	if d.exponent += len(whole) - (len(all) - len(d.digits)); d.digits == "" {
		return decimal{}, true
	}
	d.digits = strings.TrimRight(d.digits, "0")
	d.negative = cell[0] == '-'
	return d, true
}

// compare orders by value.
func (d decimal) compare(other decimal) int {
	sign := func(d decimal) int {
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

// whole reports whether there are no digits after the point.
func (d decimal) whole() bool { return d.exponent >= len(d.digits) }

// String returns the one way to write the number: a whole number of up to 30
// digits in full, any other as a float64 if that is the same number.
func (d decimal) String() string {
	const most = 30 // digits written without an exponent
	sign := ""
	if d.negative {
		sign = "-"
	}
	switch {
	case d.digits == "":
		return "0"
	case d.whole() && d.exponent <= most:
		return sign + d.digits + strings.Repeat("0", d.exponent-len(d.digits))
	}
	scientific := sign + d.digits[:1] + "e" + strconv.Itoa(d.exponent-1)
	if len(d.digits) > 1 {
		scientific = sign + d.digits[:1] + "." + d.digits[1:] + "e" + strconv.Itoa(d.exponent-1)
	}
	if v, err := strconv.ParseFloat(scientific, 64); err == nil {
		short := formatNumber(v)
		if back, ok := parseDecimal(short); ok && back == d {
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

// formatNumber returns the shortest text that parses to the number, without an
// exponent for whole numbers.
func formatNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// isNotFinite reports whether a cell spells an infinity or NaN as some program
// writes it.
func isNotFinite(cell string) bool {
	v, err := strconv.ParseFloat(cell, 64)
	return err == nil && (math.IsNaN(v) || math.IsInf(v, 0))
}

// isMissing reports whether a cell stands for a missing value.
func isMissing(cell string) bool {
	switch strings.ToLower(cell) {
	case "nan", "+nan", "-nan", "na", "n/a", "#n/a", "null", "none", "?", "-", "--":
		return true
	}
	return false
}

var (
	thousandsComma = regexp.MustCompile(`^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$`)
	thousandsPoint = regexp.MustCompile(`^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$`)
	decimalComma   = regexp.MustCompile(`^[+-]?\d*,\d+([eE][+-]?\d+)?$`)
)

// badNumber explains why parseNumber refuses a cell.
func (t *table) badNumber(line int, column, cell string) error {
	var problem, fix string
	switch {
	case cell == "":
		problem, fix = "the cell is empty", "fill it in, or remove the row"
	case isMissing(cell):
		problem, fix = "stands for a missing value", "fill it in, or remove the row"
	case isNotFinite(cell):
		problem, fix = "is not finite", "use a finite number, or remove the row"
	case isNumber(cell):
		if v, _ := strconv.ParseFloat(cell, 64); math.Abs(v) > math.MaxFloat32 {
			problem, fix = "is too large for a 32-bit float", "scale the column down"
		} else {
			problem, fix = "is too small for a 64-bit float, and would become 0 or lose digits", "write 0, or scale the column up"
		}
	default:
		problem, fix = "is not a number", numberFix(cell)
		if slices.Contains(t.targets, column) && fix == notNumbers {
			fix = "name a column of numbers as the target, or choose the task classification"
		}
	}
	shown := ""
	if cell != "" {
		shown = quote(cell)
	}
	return t.bad(line, column, shown, problem, fix)
}

// notNumbers is the fix for a column that nobody has meant as numbers.
const notNumbers = "remove the column, or encode it as numbers"

// numberFix says how to write what was probably meant as a number.
func numberFix(cell string) string {
	separators := strings.Map(func(r rune) rune {
		if r == '_' || r == '\'' || r == '’' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, cell)
	minus := strings.Map(func(r rune) rune {
		switch r {
		case '−', '–', '﹣', '－': // U+2212, an en dash, and two wide signs
			return '-'
		}
		return r
	}, separators)
	western := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return '0'
		}
		return r
	}, minus)
	switch {
	case separators != cell && isNumber(separators):
		return "write it without separators between the digits, as " + separators
	case minus != separators && isNumber(minus):
		return "write the minus sign as a hyphen, as " + minus
	case western != minus && isNumber(western):
		return "write it with the digits 0 to 9"
	case thousandsComma.MatchString(minus):
		return "write it without separators between the thousands, as " + strings.ReplaceAll(minus, ",", "")
	case thousandsPoint.MatchString(minus):
		return "write it without separators between the thousands, as " + strings.ReplaceAll(strings.ReplaceAll(minus, ".", ""), ",", ".")
	case decimalComma.MatchString(minus):
		return "write the decimal point as a point, as " + strings.Replace(minus, ",", ".", 1)
	case isGoNumber(minus):
		return "write it in decimal digits"
	}
	return notNumbers
}

// isGoNumber reports whether a cell is a number only in the notation of programming
// languages, such as 0x1F and 0x1p4.
func isGoNumber(cell string) bool {
	_, errInt := strconv.ParseInt(cell, 0, 64)
	_, errFloat := strconv.ParseFloat(cell, 64)
	return errInt == nil || errFloat == nil
}

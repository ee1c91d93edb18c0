package dataset

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"reprise/dataset/number"
)

// parseNumber returns the number in a cell; ok is false if it holds none, or one
// that is too large for a float32 or too small for a float64. badNumber says why.
func (r reading) parseNumber(cell string) (v float64, ok bool) {
	if r == firstReading {
		return number.ParseAny(cell)
	}
	return number.Parse(cell)
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
func (t *table) badNumber(line int, column, cell string) *DataError {
	var problem, fix string
	switch {
	case cell == "":
		problem, fix = "the cell is empty", "fill it in, or remove the row"
	case isMissing(cell):
		problem, fix = "stands for a missing value", "fill it in, or remove the row"
	case number.NotFinite(cell):
		problem, fix = "is not finite", "use a finite number, or remove the row"
	case number.Is(cell):
		if v, _ := strconv.ParseFloat(cell, 64); math.Abs(v) > math.MaxFloat32 {
			problem, fix = "is too large for a 32-bit float", "scale the column down"
		} else {
			problem, fix = "is too small for a 64-bit float, and would become 0 or lose digits", "write 0, or scale the column up"
		}
	default:
		problem, fix = "is not a number", numberFix(cell)
		if slices.Contains(t.targets, column) && fix == notNumbers {
			fix = notTargets
		}
	}
	shown := ""
	if cell != "" {
		shown = quote(cell)
	}
	return t.bad(line, column, shown, problem, fix)
}

// The fixes for a column, and for a target, that nobody has meant as numbers.
const (
	notNumbers = "remove the column, or encode it as numbers"
	notTargets = "name a column of numbers as the target, or choose the task classification"
)

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
	case separators != cell && number.Is(separators):
		return "write it without separators between the digits, as " + separators
	case minus != separators && number.Is(minus):
		return "write the minus sign as a hyphen, as " + minus
	case western != minus && number.Is(western):
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

package number

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

// numberPattern is Is as its comment defines it.
var numberPattern = regexp.MustCompile(`\A[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\z`)

func FuzzNumber(f *testing.F) {
	for _, cell := range []string{"1", "-1.5e-3", "1_000", "0x1p4", "1.", ".5", "1e400", "1e-320", "inf", "9007199254740993", "1,2", "+00.0e-5"} {
		f.Add(cell)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		want := numberPattern.MatchString(cell)
		if got := Is(cell); got != want {
			t.Fatalf("%q: a number: %t, want %t", cell, got, want)
		}
		d, ok := ParseDecimal(cell)
		if ok && !want {
			t.Fatalf("%q has the value %v", cell, d)
		}
		if ok {
			name := d.String()
			if again, ok := ParseDecimal(name); !ok || again != d {
				t.Fatalf("%q is %+v, written %q, which is %+v", cell, d, name, again)
			}
			if exact, isRational := rational(cell); isRational {
				if written, isRational := rational(name); isRational && exact.Cmp(written) != 0 { // 10e9999 is written 1e10000
					t.Fatalf("%q is %v, written %q", cell, exact, name)
				}
			}
		}
		v, ok := Parse(cell)
		if !ok {
			return
		}
		if first, firstOK := ParseAny(cell); !firstOK || math.Float64bits(first) != math.Float64bits(v) {
			t.Fatalf("%q is %v, and was %v, %t", cell, v, first, firstOK)
		}
		if v == 0 && d.digits != "" {
			t.Fatalf("%q became 0", cell)
		}
	})
}

// rational returns the exact value of a cell; ok is false for exponents that take
// math/big long.
func rational(cell string) (*big.Rat, bool) {
	if _, power, ok := strings.Cut(strings.ToLower(cell), "e"); ok && len(power) > 4 {
		return nil, false
	}
	return new(big.Rat).SetString(cell)
}

func TestDecimalsAreOrderedByValue(t *testing.T) {
	cells := []string{"-1e400", "-12.5", "-12", "-0.10", "-0.01", "0", "1e-400", "0.01", "0.1", "0.1000000000000000055511151231257827",
		"0.2", "1.0", "9", "10", "11", "9007199254740992", "9007199254740993", "1234567890123456788", "1234567890123456789", "1e30", "1e400", "2e400"}
	for i, a := range cells {
		x, ok := ParseDecimal(a)
		if !ok {
			t.Fatalf("%q is not a number", a)
		}
		for j, b := range cells {
			y, _ := ParseDecimal(b)
			if got := x.Compare(y); got != compareInts(i, j) {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
	}
}

func compareInts(i, j int) int {
	switch {
	case i < j:
		return -1
	case i > j:
		return 1
	}
	return 0
}

package checkpoint

import (
	"cmp"
	"strings"
)

// compareNames defines the order of tensors in a file, the natural order of names:
// byte by byte, but a run of digits counts as a number, so that layers.2 comes before
// layers.10. Names that differ only in leading zeros are compared as bytes, which makes
// the order total.
func compareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		if p, q := digits(x), digits(y); p > 0 && q > 0 {
			m, n := strings.TrimLeft(x[:p], "0"), strings.TrimLeft(y[:q], "0")
			if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
				return c
			}
			x, y = x[p:], y[q:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits returns the length of the run of digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

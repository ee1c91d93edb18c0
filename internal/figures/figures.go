// Package figures writes numbers, durations and long texts for people, in one way
// everywhere. Its functions are pure.
package figures

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Thousands formats a number of things with separators: 60,000.
func Thousands[N ~int | ~int64 | ~uint32 | ~uint64](n N) string {
	sign, size := "", uint64(n)
	if n < 0 {
		sign, size = "-", -size
	}
	digits := strconv.FormatUint(size, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Plural formats a number of things with their name: "1 run", "2 runs".
func Plural[N ~int | ~int64 | ~uint32 | ~uint64](n N, name string) string {
	if n != 1 {
		name += "s"
	}
	return Thousands(n) + " " + name
}

// Metric formats a loss, or another quantity of any size: with four significant
// digits.
func Metric(v float64) string {
	size := math.Abs(v)
	switch {
	case v == 0 || math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'f', -1, 64)
	case size < 0.0001 || size >= 1e7:
		return strconv.FormatFloat(v, 'e', 3, 64)
	case size >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', max(3-int(math.Floor(math.Log10(size))), 0), 64)
}

// Share formats a quantity between 0 and 1, such as an accuracy.
func Share(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// Duration formats a duration: 1.4s, 12s, 3m05s, 2h10m.
func Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < 100*time.Millisecond:
		return strconv.FormatInt(max(d.Milliseconds(), 1), 10) + "ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// Hash returns the beginning of a hash, enough to compare by eye.
func Hash(hash string) string {
	const digits = 12
	if len(hash) > digits {
		return hash[:digits]
	}
	return hash
}

// Excerpt shortens a payload to what a line of a table has room for.
func Excerpt(s string) string { return Truncate(s, 100) }

// Truncate shortens a text to a number of characters.
func Truncate(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}

package main

import (
	"math"
	"strconv"
	"strings"

	"reprise/tensor"
)

// parseMemory reads an amount of memory such as 2GiB, 500 MB or 1.5g; ok is false for
// anything else, and for less than a byte.
func parseMemory(text string) (_ tensor.Bytes, ok bool) {
	at := strings.LastIndexAny(text, "0123456789.") + 1
	value, err := strconv.ParseFloat(text[:at], 64)
	units := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}
	unit, known := units[strings.ToLower(strings.TrimSpace(text[at:]))]
	amount := value * unit
	if err != nil || !known || !(amount >= 1 && amount < math.MaxInt64) {
		return 0, false
	}
	return tensor.Bytes(amount), true
}

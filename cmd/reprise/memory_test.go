package main

import (
	"testing"

	"reprise/tensor"
)

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]tensor.Bytes{
		"1": 1, "2GiB": 2 << 30, "2 gib": 2 << 30, "1.5g": 3 << 29, "500MB": 500_000_000, "64KiB": 64 << 10, "1tb": 1e12,
		"": 0, "GiB": 0, "-1GiB": 0, "0": 0, "0.5": 0, "2GiBs": 0, "two": 0, "NaN": 0, "1e30": 0, "0x10": 0, "9999999TiB": 0, "1GiB2": 0,
	} {
		if got, ok := parseMemory(text); got != want || ok != (want > 0) {
			t.Errorf("%q is %d, %t; want %d", text, got, ok, want)
		}
	}
}

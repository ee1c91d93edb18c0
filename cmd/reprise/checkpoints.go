package main

import (
	"strconv"
	"strings"
)

// stepFlag is a step of a run given by a flag.
type stepFlag uint64

// String implements pflag.Value.
func (s *stepFlag) String() string { return strconv.FormatUint(uint64(*s), 10) }

// Type implements pflag.Value.
func (s *stepFlag) Type() string { return "uint64" }

// Set implements pflag.Value.
func (s *stepFlag) Set(text string) error {
	v, err := parseCount(text)
	if err == nil {
		*s = stepFlag(v)
	}
	return err
}

// parseCount reads a whole number as it is printed, with or without separators:
// 1,350.
func parseCount(text string) (uint64, error) {
	if v, err := strconv.ParseUint(strings.ReplaceAll(text, ",", ""), 10, 64); err == nil && thousands(v) == text {
		return v, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

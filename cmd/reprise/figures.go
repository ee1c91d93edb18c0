package main

import (
	"time"

	"reprise/internal/figures"
)

// Short names for what tables are full of; see package figures.

func thousands[N ~int | ~int64 | ~uint32 | ~uint64](n N) string { return figures.Thousands(n) }

func plural[N ~int | ~int64 | ~uint32 | ~uint64](n N, name string) string {
	return figures.Plural(n, name)
}

func formatMetric(v float64) string { return figures.Metric(v) }

func formatShare(v float64) string { return figures.Share(v) }

func shortDuration(d time.Duration) string { return figures.Duration(d) }

func shortHash(hash string) string { return figures.Hash(hash) }

func excerpt(s string) string { return figures.Excerpt(s) }

func truncate(s string, limit int) string { return figures.Truncate(s, limit) }

func orList(words []string) string { return figures.Or(words) }

func andList(words []string) string { return figures.And(words) }

package dataset

import (
	"context"
	"errors"
)

// reading is the rules by which tables and text are read. They changed once;
// what a run was trained on before must still be readable as it was then.
type reading int

const (
	// firstReading takes cells in any notation of strconv.ParseFloat, compares
	// labels that are numbers as float64, takes a column for constant only where
	// it is exactly so, computes the squares of tiny deviations as they underflow,
	// splits text between any two bytes and takes bytes for its characters.
	firstReading reading = 1
	// currentReading is what the package comment describes.
	currentReading reading = 2
)

// Reopen returns the data of a source whose fingerprint was recorded, as it was
// read then: Open's rules for tables and text have changed, and the fingerprint
// tells which of them were meant. Where the data under both rules is another, the
// result is that of Open, whose fingerprint differs, or Open's error.
func (l *Library) Reopen(ctx context.Context, source Source, fingerprint string) (*Dataset, error) {
	data, err := l.Open(ctx, source)
	if err == nil && data.Fingerprint() == fingerprint || err != nil && !isAboutContent(err) {
		return data, err
	}
	if first, firstErr := l.open(ctx, source, firstReading); firstErr == nil && first.Fingerprint() == fingerprint {
		return first, nil
	}
	return data, err
}

// isAboutContent reports whether an error is one that another reading may not
// have.
func isAboutContent(err error) bool {
	return errors.As(err, new(*DataError)) || errors.As(err, new(*FieldError))
}

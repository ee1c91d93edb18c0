package dataset

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strconv"
)

// The embedded digits; digits/NOTICE says what they are and under which
// licence.
const (
	digitsRows       = 1797
	digitsValidation = 360 // a fifth
	digitsSize       = 64  // pixels of a digit
	digitsMost       = 16  // the largest value of a pixel
)

//go:embed digits/digits.csv.gz
var digitsFile []byte

// openDigits reads the embedded digits: each line has the pixels, row by row,
// and the digit.
func openDigits(entry Entry) (*Dataset, error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsFile))
	if err != nil {
		return nil, fmt.Errorf("embedded digits: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("embedded digits: %w", err)
	}
	b := &block{raw: make([]byte, 0, digitsRows*digitsSize), labels: make([]int32, 0, digitsRows)}
	for line := range bytes.Lines(text) {
		cells := bytes.Split(bytes.TrimSpace(line), []byte(","))
		if len(cells) != digitsSize+1 {
			return nil, fmt.Errorf("embedded digits: line %d has %d cells", len(b.labels)+1, len(cells))
		}
		for i, cell := range cells {
			v, err := strconv.ParseUint(string(cell), 10, 8)
			if err != nil || v > digitsMost {
				return nil, fmt.Errorf("embedded digits: line %d has the cell %q", len(b.labels)+1, cell)
			}
			if i < digitsSize {
				b.raw = append(b.raw, byte(v))
			} else {
				b.labels = append(b.labels, int32(v))
			}
		}
	}
	if len(b.labels) != digitsRows {
		return nil, fmt.Errorf("embedded digits: %d lines", len(b.labels))
	}
	d := &Dataset{name: entry.Name, shape: entry.Shape, classNames: entry.ClassNames, scaling: byteScaling(digitsMost)}
	d.parts = splitRows(b, digitsRows, digitsValidation)
	return d.seal()
}

package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
)

// separatorName names a separator, for errors.
func separatorName(separator rune) string {
	switch separator {
	case ',':
		return "commas"
	case ';':
		return "semicolons"
	case '\t':
		return "tabs"
	case '|':
		return "vertical bars"
	case ' ':
		return "spaces"
	}
	return "colons"
}

// findSeparator returns what separates the cells of a text that begins with start: of
// comma, semicolon, tab and vertical bar the one that splits the first lines into most
// cells, as many in each of them; if none does, the one that the first line has most of. A
// text of one column has commas.
func findSeparator(start []byte, isWhole bool) rune {
	const most = 50 // lines that are looked at
	best, cells, first, inFirst := ',', 1, ',', 1
	for _, separator := range ",;\t|" {
		r := csv.NewReader(bytes.NewReader(start))
		r.Comma, r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord = separator, true, -1, true
		columns, even := 0, true
		for line := 0; line < most && even; line++ {
			record, err := r.Read()
			// The last line may have been cut off.
			if err != nil || !isWhole && line > 0 && r.InputOffset() == int64(len(start)) {
				even = even && (err == nil || errors.Is(err, io.EOF) || !isWhole)
				break
			}
			if line == 0 {
				columns = len(record)
			}
			even = len(record) == columns
		}
		if even && columns > cells {
			best, cells = separator, columns
		}
		if columns > inFirst {
			first, inFirst = separator, columns
		}
	}
	if cells > 1 {
		return best
	}
	return first
}

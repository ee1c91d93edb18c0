package table

import (
	"bufio"
	"io"
)

// NewLineEnds returns a reader of a text whose lines may end in CR alone, as old
// Macintosh programs write them, and turns those into LF, since encoding/csv does not
// support them. The first line end outside quotes decides for the whole text.
func NewLineEnds(r *bufio.Reader) io.Reader { return &lineEnds{r: r} }

type lineEnds struct {
	r      *bufio.Reader
	known  bool // the first line end has been seen
	cr     bool // and it was CR alone
	quoted bool // within quotes, until it is
}

func (l *lineEnds) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.known && !l.cr {
		return n, err
	}
	for i, b := range p[:n] {
		switch {
		case !l.known && b == '"':
			l.quoted = !l.quoted
		case !l.known && b == '\n' && !l.quoted:
			l.known = true
		case b == '\r' && (l.known || !l.quoted):
			if l.newlineFollows(p[i+1 : n]) {
				l.known = true
			} else if !l.known || l.cr {
				l.known, l.cr, p[i] = true, true, '\n'
			}
		}
		if l.known && !l.cr {
			break
		}
	}
	return n, err
}

// newlineFollows reports whether LF comes next, in what has been read or after it.
func (l *lineEnds) newlineFollows(read []byte) bool {
	if len(read) == 0 {
		read, _ = l.r.Peek(1) // the next read returns the error again
	}
	return len(read) > 0 && read[0] == '\n'
}

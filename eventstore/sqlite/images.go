package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"reprise/eventstore"
)

// images are the copies of pages in a database and its write-ahead log.
type images struct {
	db, log io.ReaderAt
	layout
	dbPages uint32
	frames  []image
	copies  map[uint32][]image // of a page; the one that counts first
}

// image is one copy of a page.
type image struct {
	number  uint32
	inLog   bool
	at      int64
	current bool // SQLite would read this one
	sealed  bool // it is in the database, or the log has the end of a commit after it
}

// layout is the layout of pages.
type layout struct {
	pageSize int
	reserved int // at the end of each page, which SQLite does not use
}

// usable is the part of a page that SQLite uses.
func (l layout) usable() int { return l.pageSize - l.reserved }

// layouts returns the layouts that pages may have. A program that rewrites a whole
// database may change both numbers.
func (s *images) layouts() []layout {
	sizes, reserves := []int{4096}, []int{checksumSize}
	var header [walHeaderSize]byte
	if n, _ := s.db.ReadAt(header[:21], 0); n == 21 {
		sizes, reserves = append(sizes, pageSizeIn(header[:])), append(reserves, int(header[20]))
	}
	if n, _ := s.log.ReadAt(header[:], 0); n == len(header) {
		sizes = append(sizes, int(binary.BigEndian.Uint32(header[8:])))
	}
	var all []layout
	for _, size := range sizes {
		for _, reserved := range reserves {
			l := layout{size, reserved}
			if validPageSize(size) && l.usable() >= minUsable && !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

// minUsable is the minimum size of the part of a page that SQLite uses.
const minUsable = 480

// index finds the copies. In a sound log, frames count if they were committed; in a
// damaged one, all count.
func (s *images) index(sound bool) error {
	recorded := wal{file: s.log}
	committed, err := recorded.committed()
	if err != nil {
		return err
	}
	w := wal{file: s.log, pageSize: s.pageSize}
	current, sealed := map[uint32]int64{}, map[[8]byte]int64{} // up to which frame, by salts
	var salts [][8]byte
	for f, err := range w.all() {
		if err != nil {
			return err
		}
		if f.page() == 0 {
			continue
		}
		s.frames, salts = append(s.frames, image{number: f.page(), inLog: true, at: f.pageAt()}), append(salts, f.link().salts)
		if f.commit() != 0 {
			sealed[f.link().salts] = f.pageAt()
		}
		if !sound || f.at < committed.end {
			current[f.page()] = f.pageAt()
		}
	}
	s.copies = map[uint32][]image{}
	for i := range s.frames {
		f := &s.frames[i]
		f.current, f.sealed = current[f.number] == f.at, f.at <= sealed[salts[i]]
		s.copies[f.number] = append(s.copies[f.number], *f)
	}
	for n := uint32(1); ; n++ {
		page := image{number: n, at: int64(n-1) * int64(s.pageSize), current: current[n] == 0, sealed: true}
		var first [1]byte
		if read, err := s.db.ReadAt(first[:], page.at); read == 0 {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		s.dbPages = n
		if len(s.copies[n]) > 0 {
			s.copies[n] = append(s.copies[n], page)
		}
	}
	for _, copies := range s.copies {
		slices.SortStableFunc(copies, func(a, b image) int {
			switch {
			case a.current != b.current:
				return map[bool]int{true: -1, false: 1}[a.current]
			case a.inLog != b.inLog:
				return map[bool]int{true: 1, false: -1}[a.inLog]
			}
			return cmp.Compare(b.at, a.at)
		})
	}
	return nil
}

// all returns the copies of all pages.
func (s *images) all() iter.Seq[image] {
	return func(yield func(image) bool) {
		for n := uint32(1); n <= s.dbPages; n++ {
			for _, page := range s.of(n) {
				if !page.inLog && !yield(page) {
					return
				}
			}
		}
		for _, page := range s.frames {
			if !yield(page) {
				return
			}
		}
	}
}

// of returns the copies of a page, the one that counts first.
func (s *images) of(number uint32) []image {
	if copies := s.copies[number]; len(copies) > 0 || number == 0 || number > s.dbPages {
		return copies
	}
	return []image{{number: number, at: int64(number-1) * int64(s.pageSize), current: true, sealed: true}}
}

// read returns a page, padded with zeros if the file ends within it.
func (s *images) read(from image) ([]byte, error) {
	page := make([]byte, s.pageSize)
	file := s.db
	if from.inLog {
		file = s.log
	}
	if _, err := file.ReadAt(page, from.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return page, nil
}

// event returns the event of a cell, having checked its hash. If the current copies of
// its overflow pages do not give it, it tries others.
func (s *images) event(page []byte, c cell) (eventstore.Event, error) {
	local := page[c.at:][:c.local]
	if c.local == c.total {
		return c.event(local)
	}
	first := binary.BigEndian.Uint32(page[c.at+c.local:])
	e, chain, err := s.overflowing(c, local, first, -1, 0)
	if err == nil {
		return e, nil
	}
	tries := 0
	for at := range chain {
		for other := 1; other < len(s.of(chain[at])) && tries < maxSwaps; other++ {
			tries++
			if e, _, err := s.overflowing(c, local, first, at, other); err == nil {
				return e, nil
			}
		}
	}
	return e, err
}

// maxSwaps bounds the copies of overflow pages that are tried for one record.
const maxSwaps = 1000

// overflowing assembles a record from the current copies of its overflow pages, except
// that it uses the copy with the index other of the page at index swapped. It returns
// the page numbers, too.
func (s *images) overflowing(c cell, local []byte, next uint32, swapped, other int) (e eventstore.Event, chain []uint32, err error) {
	record := append(make([]byte, 0, c.total), local...)
	for len(record) < c.total {
		copies := s.of(next)
		if len(copies) == 0 {
			// The part that is there tells what the event was.
			e, _ = c.event(record[:c.total])
			return e, chain, &eventstore.CorruptionError{What: fmt.Sprintf("page %d, on which it continues, is missing", next)}
		}
		chosen := copies[0]
		if len(chain) == swapped {
			chosen = copies[other]
		}
		chain = append(chain, next)
		page, err := s.read(chosen)
		if err != nil {
			return e, chain, err
		}
		next = binary.BigEndian.Uint32(page)
		record = append(record, page[4:4+min(s.usable()-4, c.total-len(record))]...)
	}
	e, err = c.event(record)
	return e, chain, err
}

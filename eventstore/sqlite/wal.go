package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"maps"
	"math/bits"
)

// The layout of a write-ahead log (WAL),
// https://sqlite.org/fileformat2.html#the_write_ahead_log: a header, then frames of a
// header and a page. Each frame carries the salts of the WAL's header and a checksum
// that continues that of the frame before it.
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
	checksumSize    = 8          // at the end of each page
	walMagic        = 0x377f0682 // the last bit is set where sums are big-endian
)

// wal reads the frames of one WAL.
type wal struct {
	file     io.ReaderAt
	pageSize int
	header   [walHeaderSize]byte
	order    binary.ByteOrder // of the sums
}

// sum is the state of a WAL's checksum.
type sum [2]uint32

func (s sum) add(order binary.ByteOrder, b []byte) sum {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += order.Uint32(b) + s[1]
		s[1] += order.Uint32(b[4:]) + s[0]
	}
	return s
}

// recorded reads a sum as frames and header record it.
func recorded(b []byte) sum {
	return sum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// frame is a frame of a WAL as it was found there; nothing says that it is sound.
type frame struct {
	at int64 // of its header in the file
	// raw is the frame; less than all of it, but more than its header, where the
	// file ends there. It is valid until the next frame is read.
	raw []byte
	// before is the checksum of the frame before this one, or of the WAL's header.
	before link
}

// link is what a WAL has before a frame: salts, and the checksum that the frame
// continues.
type link struct {
	salts [8]byte
	sum   sum
}

// page is the number of the page that the frame holds, 0 where it holds none.
func (f frame) page() uint32 { return binary.BigEndian.Uint32(f.raw) }

// pageAt is where in the file the page begins.
func (f frame) pageAt() int64 { return f.at + frameHeaderSize }

// commit is the length of the database in pages where the frame is the last one of a
// commit, and 0 where it is not.
func (f frame) commit() uint32 { return commitOf(f.raw) }

// commitOf is frame.commit of a frame's header.
func commitOf(header []byte) uint32 { return binary.BigEndian.Uint32(header[4:]) }

// link is what comes before the next frame.
func (f frame) link() link { return linkOf(f.raw[8:24]) }

// linkOf reads the salts and the sum that end the header of a frame, or of a WAL.
func linkOf(b []byte) link { return link{[8]byte(b), recorded(b[8:])} }

// readHeader reads the WAL's header. It reports whether there is one, and whether it
// verifies; then it sets the order of the sums and the size of a page as it says.
func (w *wal) readHeader() (found, sound bool, err error) {
	if whole, err := readAll(w.file, w.header[:], 0); !whole || err != nil {
		return false, false, err
	}
	w.order = binary.LittleEndian
	magic := binary.BigEndian.Uint32(w.header[:])
	if magic&1 == 1 {
		w.order = binary.BigEndian
	}
	if magic&^1 != walMagic || (sum{}).add(w.order, w.header[:24]) != recorded(w.header[24:]) {
		return true, false, nil
	}
	w.pageSize = int(binary.BigEndian.Uint32(w.header[8:]))
	return true, true, nil
}

// start is what comes before the first frame.
func (w *wal) start() link { return linkOf(w.header[16:32]) }

// frames reads the frames from an offset to the end of the file, given what comes before
// the first of them. It is the only reader of frames. Callers set the size of a page, and
// decide which frames count: they know whether the header can be believed.
func (w *wal) frames(at int64, before link) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		raw := make([]byte, frameHeaderSize+w.pageSize)
		for {
			n, err := w.file.ReadAt(raw, at)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(frame{}, err)
				return
			}
			if n < frameHeaderSize {
				return
			}
			f := frame{at, raw[:n], before}
			before = f.link()
			if !yield(f, nil) || n < len(raw) {
				return
			}
			at += int64(n)
		}
	}
}

// all reads the frames from the first one on.
func (w *wal) all() iter.Seq2[frame, error] { return w.frames(walHeaderSize, w.start()) }

// whole reports whether the file has all of the frame.
func (w *wal) whole(f frame) bool { return len(f.raw) == frameHeaderSize+w.pageSize }

// follows reports whether the frame is whole and continues the one before it: its
// salts are the same, and its sum continues that one's.
func (w *wal) follows(f frame) bool {
	return f.link().salts == f.before.salts && w.continues(f)
}

// continues reports whether the frame is whole and its sum continues that of the one
// before it.
func (w *wal) continues(f frame) bool {
	if !w.whole(f) || f.page() == 0 {
		return false // no page: zeros, whose sum is right where only zeros precede them
	}
	return f.before.sum.add(w.order, f.raw[:8]).add(w.order, f.raw[frameHeaderSize:]) == recorded(f.raw[16:])
}

// committedPages says where in a WAL the pages are that were committed to it.
type committedPages struct {
	at map[uint32]int64 // of the page itself, after the header of its frame
	// length is that of the database in pages, as of the last commit.
	length uint32
	// end is the offset of the first frame that was not committed, and before what
	// comes before that frame.
	end    int64
	before link
}

// committed reads the WAL as SQLite does: up to the last commit before the first
// frame that does not verify. It sets the size of a page as the WAL records it.
func (w *wal) committed() (committedPages, error) {
	pages := committedPages{at: map[uint32]int64{}, end: walHeaderSize}
	if _, sound, err := w.readHeader(); !sound || err != nil || !validPageSize(w.pageSize) {
		return pages, err
	}
	pages.before = w.start()
	return pages, w.commits(&pages)
}

// commits adds the commits from the end of the pages on.
func (w *wal) commits(pages *committedPages) error {
	pending := map[uint32]int64{}
	for f, err := range w.frames(pages.end, pages.before) {
		if err != nil || !w.follows(f) {
			return err
		}
		pending[f.page()] = f.pageAt()
		if f.commit() != 0 {
			maps.Copy(pages.at, pending)
			clear(pending)
			pages.length, pages.end, pages.before = f.commit(), f.at+int64(len(f.raw)), f.link()
		}
	}
	return nil
}

// extended reports whether anything was committed since the pages were read, or the WAL
// was restarted.
func (w *wal) extended(pages committedPages) (bool, error) {
	again := wal{file: w.file}
	_, sound, err := again.readHeader()
	switch {
	case err != nil:
		return false, err
	case !sound || !validPageSize(again.pageSize):
		// It held nothing then, and it does not now.
		return pages.end > walHeaderSize, nil
	case !bytes.Equal(again.header[:], w.header[:]):
		return true, nil
	}
	now := pages
	now.at = map[uint32]int64{}
	err = again.commits(&now)
	return now.end != pages.end, err
}

// readAll reports whether all of b was there to read.
func readAll(file io.ReaderAt, b []byte, at int64) (bool, error) {
	n, err := file.ReadAt(b, at)
	if n == len(b) || errors.Is(err, io.EOF) {
		return n == len(b), nil
	}
	return false, err
}

// validPageSize reports whether SQLite has pages of that size.
func validPageSize(n int) bool { return 512 <= n && n <= 1<<16 && bits.OnesCount(uint(n)) == 1 }

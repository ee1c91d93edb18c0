package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"

	"reprise/internal/disk"
)

// The layout of a WAL, https://sqlite.org/fileformat2.html#the_write_ahead_log:
// a header, then frames of a header and a page. Each frame carries the salts of
// the WAL's header and a checksum that continues that of the frame before it.
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
	checksumSize    = 8          // at the end of each page
	walMagic        = 0x377f0682 // the last bit is set where sums are big-endian
)

// walDamage says what is wrong with the WAL of the database at path; "" where
// nothing is. SQLite itself takes the first frame that does not verify for the
// end: it reads no further and says nothing, so one flipped bit would undo all
// commits behind it.
//
// The end of a WAL that a crash tore differs from damage: with
// synchronous=FULL nothing is written behind a commit before it is synced. So a
// frame that continues the frame before it, with a commit between it and the
// first frame that does not verify, shows that this commit was acknowledged.
// Damage within the last commit cannot be told from a torn one and is not
// found here.
func walDamage(d disk.FS, path string) (string, error) {
	f, err := disk.Open(d, path+"-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	db, err := disk.Open(d, path)
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	pageSize, err := pageSize(d, path)
	if err != nil {
		return "", err
	}
	// A live writer may start the WAL over while it is read. What looks damaged
	// counts only if it looks the same once the frames behind it were seen.
	const attempts = 10
	for range attempts {
		w := wal{file: f, db: db, pageSize: pageSize}
		what, err := w.damage()
		if err != nil || what == "" {
			return "", err
		}
		still, err := w.unchanged()
		if err != nil || still {
			return what, err
		}
	}
	return "", nil
}

// pageSize reads the database's header; 0 where there is none.
func pageSize(d disk.FS, path string) (int, error) {
	f, err := disk.Open(d, path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var header [18]byte
	switch _, err := io.ReadFull(f, header[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil
	case err != nil:
		return 0, err
	}
	if n := int(binary.BigEndian.Uint16(header[16:])); n != 1 {
		return n, nil
	}
	return 1 << 16, nil
}

// wal reads the frames of one WAL.
type wal struct {
	file, db io.ReaderAt
	pageSize int
	header   [walHeaderSize]byte
	order    binary.ByteOrder // of the sums
	// suspect is the first frame that does not verify, as it was read.
	suspect   []byte
	suspectAt int64
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

// damage reads all of the WAL.
func (w *wal) damage() (string, error) {
	if ok, err := w.readAt(w.header[:], 0); !ok || err != nil {
		return "", err
	}
	sound := w.soundHeader()
	if n := binary.BigEndian.Uint32(w.header[8:]); sound {
		w.pageSize = int(n)
	}
	if w.pageSize < 512 || w.pageSize > 1<<16 {
		return "", nil // neither file says: SQLite refuses the database
	}
	if !sound {
		return w.damageBehindHeader()
	}
	return w.damageBehindFrames()
}

// soundHeader reports whether the header that was read verifies, and finds out
// the order of the sums.
func (w *wal) soundHeader() bool {
	w.order = binary.LittleEndian
	magic := binary.BigEndian.Uint32(w.header[:])
	if magic&1 == 1 {
		w.order = binary.BigEndian
	}
	return magic&^1 == walMagic && sum{}.add(w.order, w.header[:24]) == recorded(w.header[24:])
}

// damageBehindFrames looks for the first frame that does not verify, then for
// one behind it that proves that it once did. The mark of a commit counts where
// the frame is of this WAL, by its salts or since the next one continues it; a
// WAL that was started over has frames of the one before it at its end.
func (w *wal) damageBehindFrames() (string, error) {
	salts := w.header[16:24]
	before := recorded(w.header[24:])
	suspect, committed, marked := -1, false, false
	frame := make([]byte, frameHeaderSize+w.pageSize)
	for i := 0; ; i++ {
		at := walHeaderSize + int64(i)*int64(len(frame))
		if ok, err := w.readAt(frame, at); !ok || err != nil {
			return "", err
		}
		ours := bytes.Equal(frame[8:16], salts)
		follows := ours && w.follows(before, frame)
		before = recorded(frame[16:])
		switch {
		case suspect < 0 && follows:
			continue
		case suspect < 0:
			suspect = i
			w.suspect, w.suspectAt = bytes.Clone(frame), at
		case follows && (committed || marked):
			return fmt.Sprintf("frame %d of the write-ahead log is damaged, and what was committed with it and after it is lost", suspect+1), nil
		}
		marked = isCommit(frame)
		committed = committed || marked && ours
	}
}

// committedPages says where in a WAL the pages are that were committed to it.
type committedPages struct {
	at map[uint32]int64 // of the page itself, behind the header of its frame
	// length is that of the database in pages, as of the last commit.
	length uint32
	// end is the offset of the first frame that was not committed.
	end int64
}

// committed reads the WAL as SQLite does: up to the last commit before the first
// frame that does not verify. It sets the size of a page as the WAL records it.
func (w *wal) committed() (committedPages, error) {
	pages := committedPages{at: map[uint32]int64{}, end: walHeaderSize}
	if ok, err := w.readAt(w.header[:], 0); !ok || err != nil || !w.soundHeader() {
		return pages, err
	}
	w.pageSize = int(binary.BigEndian.Uint32(w.header[8:]))
	if !validPageSize(w.pageSize) {
		return pages, nil
	}
	before := recorded(w.header[24:])
	pending := map[uint32]int64{}
	frame := make([]byte, frameHeaderSize+w.pageSize)
	for at := int64(walHeaderSize); ; at += int64(len(frame)) {
		ok, err := w.readAt(frame, at)
		if !ok || err != nil || !bytes.Equal(frame[8:16], w.header[16:24]) || !w.follows(before, frame) {
			return pages, err
		}
		before = recorded(frame[16:])
		pending[binary.BigEndian.Uint32(frame)] = at + frameHeaderSize
		if isCommit(frame) {
			maps.Copy(pages.at, pending)
			clear(pending)
			pages.length, pages.end = binary.BigEndian.Uint32(frame[4:]), at+int64(len(frame))
		}
	}
}

// isCommit reports whether a frame is marked as the last of a commit.
func isCommit(frame []byte) bool { return binary.BigEndian.Uint32(frame[4:]) != 0 }

// damageBehindHeader looks for any two frames that belong together: they were
// not written before the header was. Where all that was committed with them is in
// the database, the header is that of a WAL which was about to be started over.
func (w *wal) damageBehindHeader() (string, error) {
	w.suspect, w.suspectAt = bytes.Clone(w.header[:]), 0
	frame := make([]byte, frameHeaderSize+w.pageSize)
	before, salts := recorded(w.header[24:]), bytes.Clone(w.header[16:24])
	for i := 0; ; i++ {
		if ok, err := w.readAt(frame, walHeaderSize+int64(i)*int64(len(frame))); !ok || err != nil {
			return "", err
		}
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			w.order = order
			if (i == 0 || bytes.Equal(frame[8:16], salts)) && w.follows(before, frame) {
				if moved, err := w.moved(); moved || err != nil {
					return "", err
				}
				return "the header of the write-ahead log is damaged, and what was committed in it is lost", nil
			}
		}
		before, salts = recorded(frame[16:]), bytes.Clone(frame[8:16])
	}
}

// moved reports whether the database has every page that was committed with the
// frames from the first one on.
func (w *wal) moved() (bool, error) {
	var before sum
	var salts []byte
	latest, pending := map[uint32]int64{}, map[uint32]int64{} // places of pages
	frame := make([]byte, frameHeaderSize+w.pageSize)
	for at := int64(walHeaderSize); ; at += int64(len(frame)) {
		if ok, err := w.readAt(frame, at); err != nil {
			return false, err
		} else if !ok || salts != nil && (!bytes.Equal(frame[8:16], salts) || !w.follows(before, frame)) {
			break
		}
		before, salts = recorded(frame[16:]), bytes.Clone(frame[8:16])
		pending[binary.BigEndian.Uint32(frame)] = at
		if isCommit(frame) {
			maps.Copy(latest, pending)
			clear(pending)
		}
	}
	stored := make([]byte, w.pageSize)
	for page, at := range latest {
		if ok, err := w.readAt(frame, at); !ok || err != nil {
			return false, err
		}
		n, err := w.db.ReadAt(stored, int64(page-1)*int64(w.pageSize))
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		// The page's checksum is made on its way into the file.
		data := w.pageSize - checksumSize
		if n != len(stored) || !bytes.Equal(stored[:data], frame[frameHeaderSize:][:data]) {
			return false, nil
		}
	}
	return len(latest) > 0, nil
}

// follows reports whether the frame's sum continues that before it.
func (w *wal) follows(before sum, frame []byte) bool {
	if binary.BigEndian.Uint32(frame) == 0 {
		return false // no page: zeros, of which the sum is right where nothing is before them
	}
	return before.add(w.order, frame[:8]).add(w.order, frame[frameHeaderSize:]) == recorded(frame[16:])
}

// unchanged reports whether header and suspect are still as they were read.
func (w *wal) unchanged() (bool, error) {
	suspect := make([]byte, len(w.suspect))
	if ok, err := w.readAt(suspect, w.suspectAt); !ok || err != nil {
		return false, err
	}
	var header [walHeaderSize]byte
	ok, err := w.readAt(header[:], 0)
	return ok && header == w.header && bytes.Equal(suspect, w.suspect), err
}

// readAt reports whether all of b was there to read.
func (w *wal) readAt(b []byte, at int64) (bool, error) {
	n, err := w.file.ReadAt(b, at)
	if n == len(b) || errors.Is(err, io.EOF) {
		return n == len(b), nil
	}
	return false, err
}

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

// walDamage says what is wrong with the WAL of the database at path; "" where
// nothing is. SQLite itself takes the first frame that does not verify for the
// end: it reads no further and says nothing, so one flipped bit would undo all
// commits after it.
//
// The end of a WAL that a crash tore differs from damage: with
// synchronous=FULL nothing is written after a commit before it is synced. So a
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
	// counts only if it looks the same once the frames after it were seen.
	const attempts = 10
	for range attempts {
		c := walCheck{wal: wal{file: f, pageSize: pageSize}, db: db}
		what, err := c.damage()
		if err != nil || what == "" {
			return "", err
		}
		still, err := c.unchanged()
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
	if whole, err := readAll(f, header[:], 0); !whole || err != nil {
		return 0, err
	}
	return pageSizeIn(header[:]), nil
}

// pageSizeIn is the size of a page that the header of a database records.
func pageSizeIn(header []byte) int {
	if n := int(binary.BigEndian.Uint16(header[16:])); n != 1 {
		return n
	}
	return 1 << 16
}

// walCheck looks for damage in one WAL.
type walCheck struct {
	wal
	db io.ReaderAt
	// suspect is the first frame that does not verify, or the header, as it was read.
	suspect   []byte
	suspectAt int64
}

// damage reads all of the WAL.
func (c *walCheck) damage() (string, error) {
	found, sound, err := c.readHeader()
	if err != nil || !found {
		return "", err
	}
	if c.pageSize < 512 || c.pageSize > 1<<16 {
		return "", nil // neither file says: SQLite refuses the database
	}
	if !sound {
		return c.damageAfterHeader()
	}
	return c.damageAfterFrames()
}

// damageAfterFrames looks for the first frame that does not verify, then for
// one after it that proves that it once did. The mark of a commit counts where
// the frame is of this WAL, by its salts or since the next one continues it; a
// WAL that was started over has frames of the one before it at its end.
func (c *walCheck) damageAfterFrames() (string, error) {
	salts := c.start().salts
	suspect, committed, marked := -1, false, false
	i := -1
	for f, err := range c.all() {
		if err != nil || !c.whole(f) {
			return "", err
		}
		i++
		ours := f.link().salts == salts
		follows := ours && c.continues(f)
		switch {
		case suspect < 0 && follows:
			continue
		case suspect < 0:
			suspect = i
			c.suspect, c.suspectAt = bytes.Clone(f.raw), f.at
		case follows && (committed || marked):
			return fmt.Sprintf("frame %d of the write-ahead log is damaged, and what was committed with it and after it is lost", suspect+1), nil
		}
		marked = f.commit() != 0
		committed = committed || marked && ours
	}
	return "", nil
}

// damageAfterHeader looks for any two frames that belong together: they were
// not written before the header was. Where all that was committed with them is in
// the database, the header is that of a WAL which was about to be started over.
func (c *walCheck) damageAfterHeader() (string, error) {
	c.suspect, c.suspectAt = bytes.Clone(c.header[:]), 0
	for f, err := range c.all() {
		if err != nil || !c.whole(f) {
			return "", err
		}
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			c.order = order
			if f.at != walHeaderSize && f.link().salts != f.before.salts || !c.continues(f) {
				continue
			}
			if moved, err := c.moved(); moved || err != nil {
				return "", err
			}
			return "the header of the write-ahead log is damaged, and what was committed in it is lost", nil
		}
	}
	return "", nil
}

// moved reports whether the database has every page that was committed with the
// frames from the first one on.
func (c *walCheck) moved() (bool, error) {
	latest, pending := map[uint32]int64{}, map[uint32]int64{} // places of pages
	for f, err := range c.all() {
		if err != nil {
			return false, err
		}
		if !c.whole(f) || f.at != walHeaderSize && !c.follows(f) {
			break
		}
		pending[f.page()] = f.pageAt()
		if f.commit() != 0 {
			maps.Copy(latest, pending)
			clear(pending)
		}
	}
	logged, stored := make([]byte, c.pageSize), make([]byte, c.pageSize)
	// The page's checksum is made on its way into the file.
	data := c.pageSize - checksumSize
	for page, at := range latest {
		if whole, err := readAll(c.file, logged, at); !whole || err != nil {
			return false, err
		}
		whole, err := readAll(c.db, stored, int64(page-1)*int64(c.pageSize))
		if !whole || err != nil || !bytes.Equal(stored[:data], logged[:data]) {
			return false, err
		}
	}
	return len(latest) > 0, nil
}

// unchanged reports whether header and suspect are still as they were read.
func (c *walCheck) unchanged() (bool, error) {
	suspect := make([]byte, len(c.suspect))
	if whole, err := readAll(c.file, suspect, c.suspectAt); !whole || err != nil {
		return false, err
	}
	var header [walHeaderSize]byte
	whole, err := readAll(c.file, header[:], 0)
	return whole && header == c.header && bytes.Equal(suspect, c.suspect), err
}

package sqlite

import "bytes"

// walEnd is the end of a write-ahead log as a process that did not close it leaves it.
type walEnd struct {
	// at is the offset after the last whole commit. Frames of the WAL from there on are
	// those of a commit that is damaged, or was never finished.
	at int64
	// doubt says why the WAL may have been longer; "" if it was not.
	doubt string
}

// findEnd returns the end of the WAL. The writer extends a log with zeros before it
// acknowledges a commit, or overwrites frames that were moved into the file (logFile). So
// there are other bytes after the last frame, except in a log that was cut short, was
// never appended to, or could not be extended because the disk was full.
func (w *wal) findEnd() (walEnd, error) {
	committed, err := w.committed()
	if err != nil {
		return walEnd{}, err
	}
	end := walEnd{at: committed.end}
	found, sound, err := w.readHeader()
	switch {
	case err != nil:
		return end, err
	case !found:
		end.doubt = "the write-ahead log has no header, as if it had been cut short"
		return end, nil
	case !sound || !validPageSize(w.pageSize):
		end.doubt = "the header of the write-ahead log is damaged"
		return end, nil
	}
	last := int64(walHeaderSize) // the offset after the last frame of this WAL
	for f, err := range w.all() {
		if err != nil {
			return end, err
		}
		if w.mayOwn(f.raw[8:16]) {
			last = f.at + int64(frameHeaderSize+w.pageSize)
		}
	}
	var after [16]byte // page number, length of the database, salts
	proven, err := readAll(w.file, after[:], last)
	if !proven || w.mayOwn(after[8:]) {
		end.doubt = "the write-ahead log ends where a commit may have been cut off"
	}
	return end, err
}

// mayOwn reports whether salts are those of the WAL, even if one of them is damaged: a
// restarted WAL has other values for both.
func (w *wal) mayOwn(salts []byte) bool {
	return bytes.Equal(salts[:4], w.header[16:20]) || bytes.Equal(salts[4:], w.header[20:24])
}

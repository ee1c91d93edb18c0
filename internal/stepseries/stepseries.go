// Package stepseries owns the file of per-step training metrics: an
// append-only series of fixed records, one per optimiser step, in step order
// and without gaps.
//
// A step is not an event of its run; the series is made durable together with
// the checkpoint that covers it, whose event holds the series' SHA-256. What a
// crash leaves after the last checkpoint is stale, and Resume removes it.
// docs/event-format.md has the layout.
//
// A Writer is used by one goroutine. Read may run concurrently with a Writer in any
// process.
package stepseries

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"reprise/fault"
	"reprise/internal/disk"
)

// RecordSize is the length of a record in bytes: step (8), epoch (4), loss (4),
// learning rate (4) and the CRC-32C of these (4), little-endian.
const RecordSize = 24

// maxReadAhead is the largest number of records to read at a time.
const maxReadAhead = 2048

// magic is the first eight bytes of every series.
const magic = "RPSTEP1\n"

// Record is the metrics of one optimiser step.
type Record struct {
	// Step and Epoch count from 1.
	Step  uint64 `json:"step"`
	Epoch uint32 `json:"epoch"`
	// Loss is the mean loss over the batch, before the update.
	Loss float32 `json:"loss"`
	// LearningRate is the rate of the update.
	LearningRate float32 `json:"learning_rate"`
}

// Digest pins the first Records records of a series.
type Digest struct {
	Records uint64
	SHA256  string // of the records' bytes, in hex
}

// Sum computes the digest of records without writing them. The zero value is that
// of an empty series.
type Sum struct {
	hash    hash.Hash
	records uint64
}

// Add adds the next record.
func (s *Sum) Add(r Record) {
	if s.hash == nil {
		s.hash = sha256.New()
	}
	var b [RecordSize]byte
	r.encode(&b)
	s.hash.Write(b[:])
	s.records++
}

// Digest returns the digest of the records so far.
func (s *Sum) Digest() Digest {
	if s.hash == nil {
		return Digest{SHA256: hex.EncodeToString(sha256.New().Sum(nil))}
	}
	return Digest{Records: s.records, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

// CorruptError says that a series is not what was written.
type CorruptError struct {
	Path   string
	Record uint64 // counted from 0
	What   string
}

// Error names the file, the record and what is wrong with it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: record %d: %s", e.Path, e.Record, e.What)
}

// Kind returns Corrupt.
func (e *CorruptError) Kind() fault.Kind { return fault.Corrupt }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r Record) encode(b *[RecordSize]byte) {
	binary.LittleEndian.PutUint64(b[0:], r.Step)
	binary.LittleEndian.PutUint32(b[8:], r.Epoch)
	binary.LittleEndian.PutUint32(b[12:], math.Float32bits(r.Loss))
	binary.LittleEndian.PutUint32(b[16:], math.Float32bits(r.LearningRate))
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
}

// decode fails if the checksum or the step is not the expected one.
func decode(b *[RecordSize]byte, index uint64) (Record, error) {
	if crc32.Checksum(b[:20], castagnoli) != binary.LittleEndian.Uint32(b[20:]) {
		return Record{}, errors.New("checksum does not match")
	}
	r := Record{
		Step:         binary.LittleEndian.Uint64(b[0:]),
		Epoch:        binary.LittleEndian.Uint32(b[8:]),
		Loss:         math.Float32frombits(binary.LittleEndian.Uint32(b[12:])),
		LearningRate: math.Float32frombits(binary.LittleEndian.Uint32(b[16:])),
	}
	if r.Step != index+1 {
		return Record{}, fmt.Errorf("holds step %d instead of %d", r.Step, index+1)
	}
	return r, nil
}

// ErrReplaced says that a series was replaced while it was being written.
var ErrReplaced = fault.New(fault.Corrupt, "the file was changed by another program")

// size is the size in bytes of a series of so many records.
func size(records uint64) int64 { return int64(len(magic)) + int64(records)*RecordSize }

// Writer appends to a series.
type Writer struct {
	disk    disk.FS
	file    disk.File
	buffer  *bufio.Writer
	hash    hash.Hash
	records uint64
	scratch [RecordSize]byte
}

// Series is the file of a series on a disk. The functions of this package are its
// methods on the operating system's disk.
type Series struct {
	Path string
	// Disk is the file system; nil means the operating system's.
	Disk disk.FS
}

// Create starts an empty series at path, replacing what a crash may have left
// there, and makes its name durable.
func Create(path string) (*Writer, error) { return Series{Path: path}.Create() }

// Create starts an empty series, as the function Create does.
func (s Series) Create() (*Writer, error) {
	f, err := disk.OpenRegular(disk.Or(s.Disk), s.Path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{disk: disk.Or(s.Disk), file: f, buffer: bufio.NewWriter(f), hash: sha256.New()}
	if _, err := w.buffer.WriteString(magic); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := w.Commit(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := disk.Or(s.Disk).SyncDir(filepath.Dir(s.Path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// Resume opens the series for appending after the records that keep pins, and
// removes whatever follows them. It fails with *CorruptError if the kept part is
// not what keep says.
func Resume(path string, keep Digest) (*Writer, error) { return Series{Path: path}.Resume(keep) }

// Resume opens the series, as the function Resume does.
func (s Series) Resume(keep Digest) (*Writer, error) {
	if keep.Records == 0 {
		return s.Create()
	}
	kept, err := s.verify(keep)
	if err != nil {
		return nil, err
	}
	f, err := disk.OpenRegular(disk.Or(s.Disk), s.Path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	w := &Writer{disk: disk.Or(s.Disk), file: f, hash: kept, records: keep.Records}
	end := size(keep.Records)
	err = f.Truncate(end) // durable with the next Commit; nothing relies on it before
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.buffer = bufio.NewWriter(f)
	return w, nil
}

// Copy writes a series of the records that keep pins at the beginning of another
// one, replacing what is there, and makes it durable. It fails with *CorruptError
// if the records are not what keep says. An error of the other series is in a
// *disk.SourceError.
func (s Series) Copy(from Series, keep Digest) (err error) {
	if err := from.Verify(keep); err != nil {
		return &disk.SourceError{Err: err}
	}
	w, err := s.Create()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var failed error
	_, err = from.scan(keep.Records, func(_ *[RecordSize]byte, r Record) {
		if failed == nil {
			failed = w.Append(r)
		}
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return &disk.SourceError{Err: err}
	}
	_, err = w.Commit()
	return err
}

// Append adds the record of the next step. It is durable after Commit.
func (w *Writer) Append(r Record) error {
	if r.Step != w.records+1 {
		return fmt.Errorf("step %d cannot follow step %d in %s", r.Step, w.records, w.file.Name())
	}
	r.encode(&w.scratch)
	if _, err := w.buffer.Write(w.scratch[:]); err != nil {
		return err
	}
	w.hash.Write(w.scratch[:])
	w.records++
	return nil
}

// Flush hands the appended records to the operating system, so that readers
// see them; it does not make them durable.
func (w *Writer) Flush() error { return w.buffer.Flush() }

// Commit makes all appended records durable and returns their digest. It fails with
// fs.ErrNotExist if the file was removed, or with ErrReplaced if one of another size
// took its place, since nobody would ever read what was written then.
func (w *Writer) Commit() (Digest, error) {
	if err := w.buffer.Flush(); err != nil {
		return Digest{}, err
	}
	if err := w.file.Sync(); err != nil {
		return Digest{}, err
	}
	named, err := w.disk.Stat(w.file.Name())
	if err != nil {
		return Digest{}, err
	}
	if want := size(w.records); named.Size() != want {
		return Digest{}, fmt.Errorf("%s has %d bytes, and %d were written: %w", w.file.Name(), named.Size(), want, ErrReplaced)
	}
	return Digest{Records: w.records, SHA256: hex.EncodeToString(w.hash.Sum(nil))}, nil
}

// Close writes out what is buffered and closes the file.
func (w *Writer) Close() error {
	return errors.Join(w.buffer.Flush(), w.file.Close())
}

// Verify fails with *CorruptError unless the series begins with the records
// that want pins.
func Verify(path string, want Digest) error { return Series{Path: path}.Verify(want) }

// Verify checks what the function Verify does.
func (s Series) Verify(want Digest) error {
	_, err := s.verify(want)
	return err
}

// verify returns the hash of the records, to be continued with those after them.
func (s Series) verify(want Digest) (hash.Hash, error) {
	h := sha256.New()
	n, err := s.scan(want.Records, func(b *[RecordSize]byte, _ Record) { h.Write(b[:]) })
	if err != nil {
		return nil, err
	}
	if n < want.Records {
		return nil, &CorruptError{Path: s.Path, Record: n, What: fmt.Sprintf("missing; the series should have %d records", want.Records)}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.SHA256 {
		return nil, &CorruptError{Path: s.Path, Record: n, What: fmt.Sprintf("the records before it have SHA-256 %s instead of %s", got, want.SHA256)}
	}
	return h, nil
}

// Read returns the records of the series. It ends at a record that is incomplete,
// because it is being written or was torn by a crash; a damaged one gives
// *CorruptError and the records before it. A missing file is an empty series.
func (s Series) Read() ([]Record, error) {
	var records []Record
	_, err := s.scan(math.MaxUint64, func(_ *[RecordSize]byte, r Record) { records = append(records, r) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return records, err
}

// scan calls visit for up to limit whole records and returns their number.
func (s Series) scan(limit uint64, visit func(*[RecordSize]byte, Record)) (uint64, error) {
	f, err := disk.Open(disk.Or(s.Disk), s.Path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	ahead := int(min(limit, maxReadAhead)) * RecordSize
	in := bufio.NewReaderSize(f, len(magic)+ahead)
	var head [len(magic)]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:]) != magic {
		return 0, &CorruptError{Path: s.Path, What: fmt.Sprintf("the file begins with %q instead of %q", head, magic)}
	}
	var b [RecordSize]byte
	for n := uint64(0); n < limit; n++ {
		switch _, err := io.ReadFull(in, b[:]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return n, nil
		case err != nil:
			return n, err
		}
		r, err := decode(&b, n)
		if err != nil {
			return n, &CorruptError{Path: s.Path, Record: n, What: err.Error()}
		}
		visit(&b, r)
	}
	return limit, nil
}

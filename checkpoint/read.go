package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"reprise/internal/disk"
	"reprise/tensor"
)

// Read returns the checkpoint that ref pins. It fails with *CorruptError, and returns
// nothing, if any byte differs or a file is missing; with *VersionError for a newer
// format; and with the errors of the file system. The caller owns the content.
func Read(dir string, ref Ref) (Content, error) { return Folder{Path: dir}.Read(ref) }

// Read reads what the function Read does.
func (f Folder) Read(ref Ref) (Content, error) { return read(f.files(), f.Path, ref, true) }

// Verify fails when Read does, and needs no memory for the content.
func Verify(dir string, ref Ref) error { return Folder{Path: dir}.Verify(ref) }

// Verify checks what the function Verify does.
func (f Folder) Verify(ref Ref) error {
	_, err := read(f.files(), f.Path, ref, false)
	return err
}

func read(files fileLayer, dir string, ref Ref, keep bool) (Content, error) {
	if err := ref.Validate(); err != nil {
		return Content{}, &CorruptError{Folder: dir, What: err.Error()}
	}
	return readFolder(files, filepath.Join(dir, ref.Dir), ref, keep)
}

// readFolder reads the checkpoint from a folder of any name.
func readFolder(files fileLayer, path string, ref Ref, keep bool) (Content, error) {
	r := reader{files: files, folder: path, keep: keep}
	switch found, err := files.Kind(r.folder); {
	case err != nil:
		return Content{}, fmt.Errorf("read checkpoint: %w", err)
	case found == missing:
		return Content{}, r.absent("", "the folder is missing")
	case found != folder:
		return Content{}, r.corrupt("", "it is not a folder")
	}
	m, err := r.manifest(ref)
	if err != nil {
		return Content{}, err
	}
	c := Content{RunID: m.RunID, SessionID: m.SessionID, Step: m.Step, Epoch: m.Epoch, Metrics: m.Metrics}
	if c.Weights, err = r.tensors(m.Files[0]); err != nil {
		return Content{}, err
	}
	if c.Optimizer, err = r.tensors(m.Files[1]); err != nil {
		return Content{}, err
	}
	if m.Preprocessing != nil {
		c.Preprocessing, err = r.document(*m.Preprocessing)
	}
	return c, err
}

// reader reads the files of one checkpoint.
type reader struct {
	files  fileLayer
	folder string
	keep   bool // the tensors' data
}

func (r reader) corrupt(file, format string, args ...any) error {
	return &CorruptError{Folder: r.folder, File: file, What: fmt.Sprintf(format, args...)}
}

func (r reader) absent(file, what string) error {
	return &CorruptError{Folder: r.folder, File: file, What: what, Err: ErrMissing}
}

// open opens a file and returns its size.
func (r reader) open(name string) (inFile, int64, error) {
	f, err := r.files.Open(filepath.Join(r.folder, name))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, 0, r.absent(name, "the file is missing")
	case errors.Is(err, disk.ErrNotRegular):
		return nil, 0, r.corrupt(name, "it is not a regular file")
	case errors.Is(err, disk.ErrOutside):
		return nil, 0, r.corrupt(name, "%v", err)
	case err != nil:
		return nil, 0, fmt.Errorf("read checkpoint: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read checkpoint: %w", err), f.Close())
	}
	return f, size, nil
}

// manifest reads the manifest and compares it with the ref.
func (r reader) manifest(ref Ref) (manifest, error) {
	f, size, err := r.open(manifestFile)
	if err != nil {
		return manifest{}, err
	}
	defer func() { _ = f.Close() }()
	if size > maxManifest {
		return manifest{}, r.corrupt(manifestFile, "it has %d bytes; a manifest has at most %d", size, maxManifest)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return manifest{}, fmt.Errorf("read checkpoint: %s: %w", filepath.Join(r.folder, manifestFile), err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != ref.ManifestSHA256 {
		return manifest{}, r.corrupt(manifestFile, "its SHA-256 is %x instead of %s, which is on record", sum, ref.ManifestSHA256)
	}
	m, err := decodeManifest(raw)
	var version *VersionError
	switch {
	case errors.As(err, &version):
		return manifest{}, fmt.Errorf("%s: %w", filepath.Join(r.folder, manifestFile), err)
	case err != nil:
		return manifest{}, r.corrupt(manifestFile, "%v", err)
	case m.Step != ref.Step || m.Epoch != ref.Epoch:
		return manifest{}, r.corrupt(manifestFile, "it is of step %d, epoch %d; on record is step %d, epoch %d", m.Step, m.Epoch, ref.Step, ref.Epoch)
	case m.Files[0].SHA256 != ref.WeightsSHA256:
		return manifest{}, r.corrupt(manifestFile, "it pins weights with SHA-256 %s instead of %s, which is on record", m.Files[0].SHA256, ref.WeightsSHA256)
	}
	return m, nil
}

// tensors reads a file, compares it with what pins it, and returns its tensors
// in the order they were written in.
func (r reader) tensors(want fileEntry) ([]tensor.Tensor, error) {
	found, err := r.unordered(want)
	if err != nil {
		return nil, err
	}
	return r.ordered(want, found)
}

// unordered is tensors in the order of the file.
func (r reader) unordered(want fileEntry) ([]tensor.Tensor, error) {
	f, size, err := r.open(want.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if size != want.Bytes {
		return nil, r.corrupt(want.Name, "it has %d bytes instead of %d, which are on record", size, want.Bytes)
	}
	in := &summingReader{from: f, hash: sha256.New()}
	found, malformed := decode(in, size, r.keep)
	if malformed != nil && in.failed == nil {
		// The hash of the whole file tells damage from a file that was never right.
		_, _ = io.Copy(io.Discard, in) // an error is in.failed
	}
	if in.failed != nil {
		return nil, fmt.Errorf("read checkpoint: %s: %w", filepath.Join(r.folder, want.Name), in.failed)
	}
	if sum := hex.EncodeToString(in.hash.Sum(nil)); sum != want.SHA256 {
		return nil, r.corrupt(want.Name, "its SHA-256 is %s instead of %s, which is on record", sum, want.SHA256)
	}
	if malformed != nil {
		return nil, r.corrupt(want.Name, "%v", malformed)
	}
	return found, nil
}

// document reads the preprocessing document and compares it with what pins it.
func (r reader) document(want documentEntry) ([]byte, error) {
	f, size, err := r.open(want.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if size != want.Bytes || size > maxDocument {
		return nil, r.corrupt(want.Name, "it has %d bytes instead of %d, which are on record", size, want.Bytes)
	}
	raw, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %s: %w", filepath.Join(r.folder, want.Name), err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want.SHA256 {
		return nil, r.corrupt(want.Name, "its SHA-256 is %x instead of %s, which is on record", sum, want.SHA256)
	}
	return raw, nil
}

// ordered returns the tensors in the manifest's order.
func (r reader) ordered(want fileEntry, found []tensor.Tensor) ([]tensor.Tensor, error) {
	byName := make(map[string]tensor.Tensor, len(found))
	for _, t := range found {
		byName[t.Name] = t
	}
	out := make([]tensor.Tensor, 0, len(found))
	for _, name := range want.Tensors {
		t, ok := byName[name]
		if !ok {
			return nil, r.corrupt(want.Name, "the manifest names the tensor %s, which is missing or was named before", shorten(name))
		}
		delete(byName, name)
		out = append(out, t)
	}
	if len(byName) != 0 {
		return nil, r.corrupt(want.Name, "it has %d tensors; the manifest names %d", len(found), len(want.Tensors))
	}
	return out, nil
}

// summingReader hashes what it reads and keeps the first error of the file, other
// than io.EOF.
type summingReader struct {
	from   io.Reader
	hash   hash.Hash
	failed error
}

func (s *summingReader) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.hash.Write(p[:n]) // hashes do not fail
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// summingWriter hashes and counts what it writes.
type summingWriter struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func (s *summingWriter) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}

package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"reprise/internal/disk"
	"reprise/tensor"
)

// Initial is the file of the weights that a run begins with and that its seed does not
// give: tensors as EncodeSafetensors writes them, which WeightsSHA256 pins.
type Initial struct {
	Path string
	// Disk is the file system; nil stands for that of the operating system.
	Disk disk.FS
}

// Write makes the file durable, whole or not at all, in a folder that it creates if need
// be. A file that is there already is replaced, unless it is the same.
func (f Initial) Write(weights []tensor.Tensor) error {
	sha256, err := WeightsSHA256(weights)
	if err != nil {
		return err
	}
	if f.Verify(sha256) == nil {
		return nil
	}
	files := disk.Or(f.Disk)
	dir := filepath.Dir(f.Path)
	if err := disk.MkdirAll(files, dir, folderMode); err != nil {
		return err
	}
	if err := f.Remove(); err != nil { // what a process that died has left
		return err
	}
	part := disk.TempName(f.Path)
	if err := disk.WriteNew(files, part, func(w io.Writer) error { return encode(w, weights) }); err != nil {
		return err
	}
	if err := files.Rename(part, f.Path); err != nil {
		return errors.Join(err, files.Remove(part))
	}
	return files.SyncDir(dir)
}

// Read returns the weights, in the order of the file. It fails with *CorruptError, and
// returns nothing, if a byte differs or the file is missing, and with the errors of the
// file system.
func (f Initial) Read(sha256 string) ([]tensor.Tensor, error) { return f.read(sha256, true) }

// Verify fails when Read does, and needs no memory for the weights.
func (f Initial) Verify(sha256 string) error {
	_, err := f.read(sha256, false)
	return err
}

func (f Initial) read(sha256 string, keep bool) ([]tensor.Tensor, error) {
	r := reader{files: diskFiles{disk.Or(f.Disk)}, folder: filepath.Dir(f.Path), keep: keep}
	name := filepath.Base(f.Path)
	in, size, err := r.open(name)
	if err != nil {
		return nil, err
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return r.unordered(fileEntry{Name: name, Bytes: size, SHA256: sha256})
}

// Copy makes the file the copy of another one, as Write does. An error of Read is in a
// *disk.SourceError.
func (f Initial) Copy(from Initial, sha256 string) error {
	weights, err := from.Read(sha256)
	if err != nil {
		return &disk.SourceError{Err: err}
	}
	if err := f.Write(weights); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from.Path, f.Path, err)
	}
	return nil
}

// Remove removes the file and what was left of it while it was written, if there is any.
func (f Initial) Remove() error {
	files := disk.Or(f.Disk)
	entries, err := files.ReadDir(filepath.Dir(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		suffix, part := disk.CutTempName(e.Name(), filepath.Base(f.Path))
		if e.Name() != filepath.Base(f.Path) && (!part || suffix != "") {
			continue
		}
		if err := files.Remove(filepath.Join(filepath.Dir(f.Path), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"reprise/fault"
	"reprise/internal/disk"
)

// ArchiveSuffix is how the name of a bundle in one file ends.
const ArchiveSuffix = ".tar"

// Archive returns the bundle as one file, a tar archive of Files. It fails as Files does.
func (b Bundle) Archive() (File, error) {
	files, err := b.Files()
	if err != nil {
		return File{}, err
	}
	f := File{Name: "model" + ArchiveSuffix, Write: func(w io.Writer) error { return writeArchive(w, files) }}
	size := &counter{}
	err = f.Write(size)
	f.Size = size.n
	return f, err
}

// writeArchive writes files as they are in an archive, whose bytes follow from them.
func writeArchive(w io.Writer, files []File) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Size: f.Size, Mode: 0o644, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		if err := f.Write(archive); err != nil {
			return err
		}
	}
	return archive.Close()
}

// Open reads the bundle at a path: a folder, or an archive. It fails with a
// *fault.DataError that names the file for anything else.
func Open(path string) (Bundle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Bundle{}, unreadable(path, err)
	}
	files := map[string][]byte{}
	if !info.IsDir() {
		return readArchive(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return Bundle{}, unreadable(path, err)
	}
	for _, e := range entries {
		switch e.Name() {
		case manifestFile, modelFile, preprocessingFile, weightsFile:
		default:
			return Bundle{}, &fault.DataError{File: join(path, e.Name()), Problem: "is not a file of a bundle",
				Fix: "name a folder that has nothing but what was written by exporting a model as a bundle"}
		}
		if files[e.Name()], err = readFile(join(path, e.Name())); err != nil {
			return Bundle{}, err
		}
	}
	return Decode(path, files)
}

func readFile(path string) ([]byte, error) {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return raw, nil
}

// readArchive returns the bundle in an archive, each byte of which is as writeArchive
// writes it.
func readArchive(path string) (none Bundle, err error) {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return none, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	was, is := sha256.New(), sha256.New()
	in := io.TeeReader(f, was)
	archive := tar.NewReader(in)
	files := map[string][]byte{}
	var list []File
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var raw []byte
		if err == nil {
			raw, err = io.ReadAll(archive)
		}
		if err != nil {
			return none, &fault.DataError{File: path, Problem: "is not a bundle, or is damaged: " + err.Error(),
				Fix: "name a folder or a .tar file that was written by exporting a model as a bundle", Cause: err}
		}
		files[header.Name] = raw
		list = append(list, content(header.Name, raw))
	}
	b, err := Decode(path, files) // which names the file that was changed
	if err != nil {
		return none, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return none, unreadable(path, err)
	}
	if err := writeArchive(is, list); err != nil {
		return none, err
	}
	if !bytes.Equal(was.Sum(nil), is.Sum(nil)) {
		return none, &fault.DataError{File: path, Problem: "was changed since it was written", Fix: "export the model again"}
	}
	return b, nil
}

func unreadable(path string, err error) error {
	return &fault.DataError{File: path, Problem: "cannot be read: " + err.Error(),
		Fix: "name a folder or a .tar file that was written by exporting a model as a bundle", Cause: err}
}

func join(at, file string) string { return filepath.Join(at, file) }

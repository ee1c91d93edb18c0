package table

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"reprise/fault"
)

// maxArrays is the largest number of arrays of an archive: each is decompressed by itself,
// side by side with the others, which takes 64 KiB.
const maxArrays = 1000

// openNPZ opens an archive of arrays, which are the columns of one table.
func openNPZ(in *input, selection *selection) (*numpyFile, error) {
	whole, size, err := in.whole()
	if err != nil {
		return nil, err
	}
	damaged := func(err error) error {
		return &fault.DataError{File: in.path, Problem: "the archive is damaged: " + err.Error(), Fix: "write it again by numpy.savez", Cause: err}
	}
	archive, err := zip.NewReader(whole, size)
	if err != nil {
		return nil, damaged(err)
	}
	if n := len(archive.File); n > maxArrays {
		return nil, in.bad(fmt.Sprintf("holds %d arrays, more than the limit of %d", n, maxArrays), "stack them to one array with columns")
	}
	f := &numpyFile{in: in, kind: npzArchive}
	for _, entry := range archive.File {
		name, isArray := strings.CutSuffix(entry.Name, ".npy")
		if !isArray {
			return nil, in.bad(fmt.Sprintf("holds %s, which is not an array", fault.Quote(entry.Name)), "write the archive by numpy.savez")
		}
		if len(name) > 1000 {
			return nil, in.bad(fmt.Sprintf("holds an array with a name of %d bytes", len(name)), "use shorter names")
		}
		if selection.drops(name) {
			continue
		}
		a, err := f.openEntry(entry, name, whole)
		if err != nil {
			var data *fault.DataError
			if !errors.As(err, &data) {
				err = damaged(err)
			}
			return nil, err
		}
		f.arrays = append(f.arrays, a)
		f.rows = f.arrays[0].rows
		if a.rows != f.rows {
			return nil, in.bad(fmt.Sprintf("the arrays %s and %s have %d and %d rows", fault.Quote(f.arrays[0].name), fault.Quote(name), f.rows, a.rows),
				"write arrays of the same length")
		}
	}
	if len(f.arrays) == 0 {
		return nil, in.bad("holds no arrays", "write the archive by numpy.savez")
	}
	return f, f.name(selection)
}

// openEntry opens an array of an archive.
func (f *numpyFile) openEntry(entry *zip.File, name string, whole io.ReaderAt) (*array, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	const buffer = 16 << 10
	a, err := readArray(f.in.path, name, bufio.NewReaderSize(&archived{f.in, name, r}, buffer))
	if err != nil {
		return nil, err
	}
	size := entry.UncompressedSize64
	if want := uint64(a.header + a.bytes()); size != want {
		return nil, a.bad(0, "", fmt.Sprintf("%d bytes", size), fmt.Sprintf("are in the archive, and %d by the header of the array", want), "write the archive again by numpy.savez")
	}
	if !a.byColumn {
		return a, nil
	}
	if entry.Method == zip.Store {
		offset, err := entry.DataOffset()
		if err != nil {
			return nil, err
		}
		a.transpose(whole, offset)
		_, err = io.Copy(io.Discard, a.content) // compares the checksum
		return a, err
	}
	if size > MaxUnpackedBytes {
		return nil, a.bad(0, "", fmt.Sprintf("%d bytes", size), "are stored by columns and compressed, which is not read in parts",
			"write the array by rows, as numpy.ascontiguousarray(x), or by numpy.savez without compression")
	}
	content, err := io.ReadAll(io.LimitReader(a.content, a.bytes()))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) != a.bytes() {
		return nil, a.short(io.ErrUnexpectedEOF, "its rows")
	}
	a.transpose(bytes.NewReader(content), -a.header)
	_, err = io.Copy(io.Discard, a.content) // compares the checksum
	return a, err
}

// archived reads an entry of an archive, and explains damage.
type archived struct {
	in   *input
	name string
	r    io.Reader
}

func (e *archived) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, &fault.DataError{File: e.in.path, Problem: fmt.Sprintf("the array %s is damaged: %v", fault.Quote(e.name), err),
		Fix: "write the archive again by numpy.savez", Cause: err}
}

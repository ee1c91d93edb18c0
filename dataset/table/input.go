package table

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"reprise/fault"
	"reprise/internal/disk"
)

// headBytes is how much of a file is looked at to find out what it is.
const headBytes = 64 << 10

// maxWindow is the most memory that the history of a Zstandard stream may take, which
// zstd --ultra --long=27 needs.
const maxWindow = 128 << 20

// input is an open file, decompressed as it is read.
type input struct {
	path    string
	file    disk.File
	size    int64 // of the file
	packing packing
	stream  *bufio.Reader // from the beginning
	unpack  func()        // frees what decompresses
}

// openInput opens a file and checks that its compression is the one of its name.
func openInput(path string) (*input, error) {
	file, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return newInput(path, file)
}

func newInput(path string, file disk.File) (*input, error) {
	in := &input{path: path, file: file, unpack: func() {}}
	if err := in.start(); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

func (in *input) start() error {
	info, err := in.file.Stat()
	if err != nil {
		return unreadable(in.path, err)
	}
	in.size = info.Size()
	if in.size == 0 {
		return &fault.DataError{File: in.path, Problem: "is empty", Fix: "name a file with data"}
	}
	raw := bufio.NewReaderSize(in.file, headBytes)
	start, err := raw.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return unreadable(in.path, err)
	}
	in.packing = packed(start)
	if _, _, named := ending(in.path); named != in.packing {
		bare := in.path
		if named != plain {
			bare = in.path[:strings.LastIndexByte(in.path, '.')]
		}
		fix := "call it " + fault.ShowPath(bare+[...]string{"", ".gz", ".zst"}[in.packing])
		return contradiction(in.path, in.packing.String(), named.String(), fix)
	}
	in.stream = raw
	switch in.packing {
	case plain:
		return nil
	case gzipped:
		z, err := gzip.NewReader(raw)
		if err != nil {
			return in.failed(err)
		}
		in.stream = bufio.NewReaderSize(&unpacked{in, z}, headBytes)
	case zstandard:
		// With one decoder, no goroutine is started.
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return in.failed(err)
		}
		in.unpack = z.Close
		in.stream = bufio.NewReaderSize(&unpacked{in, z}, headBytes)
	}
	return nil
}

// restart begins the stream again.
func (in *input) restart() error {
	in.unpack()
	in.unpack = func() {}
	if _, err := in.file.Seek(0, io.SeekStart); err != nil {
		return unreadable(in.path, err)
	}
	return in.start()
}

// failed explains an error of reading the file.
func (in *input) failed(err error) error {
	var data *fault.DataError
	switch {
	case errors.As(err, &data), errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) && in.packing != plain:
		return &fault.DataError{File: in.path, Problem: "ends in the middle of its compressed data", Fix: "fetch or compress it again", Cause: err}
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &fault.DataError{File: in.path, Problem: fmt.Sprintf("needs more than %d bytes to be decompressed", maxWindow),
			Fix: "compress it with a window of at most 128 MiB, as zstd does without --ultra and --long", Cause: err} //archtest:allow flags those of zstd
	case isCompressionError(err):
		return &fault.DataError{File: in.path, Problem: "its compressed data is damaged: " + err.Error(), Fix: "fetch or compress it again", Cause: err}
	}
	return unreadable(in.path, err)
}

func isCompressionError(err error) bool {
	var corrupt flate.CorruptInputError
	var internal flate.InternalError
	if errors.As(err, &corrupt) || errors.As(err, &internal) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) {
		return true
	}
	for _, known := range []error{
		zstd.ErrMagicMismatch, zstd.ErrReservedBlockType, zstd.ErrCompressedSizeTooBig, zstd.ErrBlockTooSmall, zstd.ErrUnexpectedBlockSize,
		zstd.ErrWindowSizeTooSmall, zstd.ErrDecoderSizeExceeded, zstd.ErrUnknownDictionary, zstd.ErrFrameSizeExceeded,
		zstd.ErrFrameSizeMismatch, zstd.ErrCRCMismatch,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// unpacked reads decompressed bytes. Whatever a decompressor fails with that is not an
// error of the file system is damage.
type unpacked struct {
	in *input
	r  io.Reader
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	return n, u.in.failed(err)
}

// head returns the first bytes, as many as there are.
func (in *input) head() ([]byte, error) {
	start, err := in.stream.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return start, in.failed(err)
	}
	return start, nil
}

// whole returns access to any part of the content: the file itself, or what is in it
// in memory if it is compressed.
func (in *input) whole() (io.ReaderAt, int64, error) {
	if in.packing == plain {
		return in.file, in.size, nil
	}
	content, err := io.ReadAll(io.LimitReader(in.stream, MaxUnpackedBytes+1))
	if err != nil {
		return nil, 0, in.failed(err)
	}
	if len(content) > MaxUnpackedBytes {
		return nil, 0, in.bad(fmt.Sprintf("is more than %d bytes once it is decompressed, which is the limit of a format that is not read from beginning to end",
			MaxUnpackedBytes), "decompress the file")
	}
	return bytes.NewReader(content), int64(len(content)), nil
}

func (in *input) bad(problem, fix string) *fault.DataError {
	return &fault.DataError{File: in.path, Problem: problem, Fix: fix}
}

func (in *input) close() error {
	in.unpack()
	return in.file.Close()
}

// unreadable is the error about a file that the system does not hand out.
func unreadable(path string, err error) error {
	return &fault.DataError{File: path, Problem: "cannot be read: " + err.Error(), Fix: "check the path and its permissions", Cause: err}
}

// openFile opens a file as what it is. columns are those that it is known to have, which
// spares a reading of JSON; nil if they are not known.
func openFile(ctx context.Context, path string, options Options, selection *selection, columns []string) (fileReader, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	f, err := in.open(ctx, options, selection, columns)
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	return f, nil
}

func (in *input) open(ctx context.Context, options Options, selection *selection, columns []string) (fileReader, error) {
	head, err := in.head()
	if err != nil {
		return nil, err
	}
	named, _, _ := ending(in.path)
	found, foreign, fix := binaryFormat(head)
	if foreign != "" {
		return nil, in.bad("is "+foreign, fix)
	}
	isText := named == separated || named == jsonRows
	if found == unknown && (isText || named == unknown) {
		return in.openText(ctx, options, selection, columns)
	}
	if named != unknown && named != found {
		content := found.String()
		if found == unknown {
			content = "something else"
		}
		return nil, contradiction(in.path, content, named.String(), "correct its ending, or write it again")
	}
	if err := options.onlyForText(found); err != nil {
		return nil, err
	}
	switch found {
	case parquetFile:
		return openParquet(in, selection)
	case npyArray:
		return openNPY(in, selection)
	default:
		return openNPZ(in, selection)
	}
}

// onlyForText refuses options that have no meaning for a format.
func (o Options) onlyForText(f fileFormat) error {
	var list []error
	if o.Separator != "" {
		list = append(list, &fault.FieldError{Field: FieldSeparator, Value: fmt.Sprintf("%q", o.Separator), Problem: fmt.Sprintf("has no meaning where the file is %s", f), Fix: "leave it out"})
	}
	if o.Encoding != "" && f != jsonRows {
		list = append(list, &fault.FieldError{Field: FieldEncoding, Value: o.Encoding, Problem: fmt.Sprintf("has no meaning where the file is %s", f), Fix: "leave it out"})
	}
	return errors.Join(list...)
}

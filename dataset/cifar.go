package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/internal/disk"
	"reprise/tensor"
)

// The format of a CIFAR-10 binary file (A. Krizhevsky,
// https://www.cs.toronto.edu/~kriz/cifar.html): records of a byte that is the
// class, and an image of 32 x 32 pixels, all of red, then green, then blue, each
// row by row.
const (
	cifarSide     = 32
	cifarChannels = 3
	cifarPixels   = cifarSide * cifarSide
	cifarRecord   = 1 + cifarChannels*cifarPixels
)

const (
	cifarTest  = "test_batch.bin"
	cifarNames = "batches.meta.txt"
)

func isCIFAR(name string) bool {
	return strings.HasPrefix(name, "data_batch_") && strings.HasSuffix(name, ".bin")
}

// openCIFAR reads a folder in CIFAR-10's binary version: the training images
// data_batch_*.bin, in ascending order of number, and test_batch.bin for
// validation. Without test_batch.bin a fraction is split off; with it, a fraction
// is refused. batches.meta.txt, if present, names the classes, one per line.
func (r reading) openCIFAR(ctx context.Context, folder string, fraction float64) (*Dataset, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, unreadable(folder, err)
	}
	var train, test []string
	for _, e := range entries {
		switch {
		case isCIFAR(e.Name()):
			train = append(train, filepath.Join(folder, e.Name()))
		case e.Name() == cifarTest:
			test = []string{filepath.Join(folder, cifarTest)}
		}
	}
	slices.SortFunc(train, func(a, b string) int { // 10 after 9
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	if test != nil && fraction != 0 {
		return nil, doesNotFit(FieldValidationFraction, fmt.Sprint(fraction),
			fmt.Sprintf("%s, which has validation samples of its own (%s)", folder, cifarTest), "leave it out")
	}
	share, err := checkFraction(fraction)
	if err != nil {
		return nil, err
	}
	names, err := readCIFARNames(filepath.Join(folder, cifarNames))
	if err != nil {
		return nil, err
	}
	d := &Dataset{name: filepath.Base(folder), shape: tensor.Shape{cifarSide, cifarSide, cifarChannels}, classNames: names, scaling: byteScaling(255)}
	images := cifarReader{classes: len(names), left: MaxBytes}
	all, err := images.read(ctx, train)
	if err != nil {
		return nil, err
	}
	if test == nil {
		n := len(all.labels)
		if n < 2 {
			return nil, &DataError{File: folder, Problem: "has too few images to train and to validate on", Fix: "add images"}
		}
		d.parts = splitRows(all, n, r.validationRows(n, share))
		return d.seal()
	}
	held, err := images.read(ctx, test)
	if err != nil {
		return nil, err
	}
	d.parts = [splits]part{Train: {block: all}, Validation: {block: held}}
	return d.seal()
}

// maxNames is the largest size of the file of class names.
const maxNames = 1 << 20

func readNames(path string) (text []byte, err error) {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxNames))
}

// readCIFARNames returns the names of the classes: those of CIFAR-10 if there is no
// file of names.
func readCIFARNames(path string) ([]string, error) {
	text, err := readNames(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}, nil
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); name != "" {
			if !utf8.ValidString(name) {
				return nil, &DataError{File: path, Value: quote(name), Problem: "is not UTF-8", Fix: "save the file as UTF-8"}
			}
			names = append(names, name)
		}
	}
	if n := len(names); n < 2 || n > 256 {
		return nil, &DataError{File: path, Value: fmt.Sprintf("%d names", n), Problem: "do not name 2 to 256 classes", Fix: "give each class a line"}
	}
	return names, nil
}

// cifarReader reads files until they hold more bytes than are left.
type cifarReader struct {
	classes int
	left    int64
}

// read returns the images of the files, row-major with the channels of a pixel
// side by side.
func (r *cifarReader) read(ctx context.Context, files []string) (*block, error) {
	b := &block{}
	for _, path := range files {
		if err := r.readFile(ctx, path, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (r *cifarReader) readFile(ctx context.Context, path string, b *block) error {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return unreadable(path, err)
	}
	size := info.Size()
	if size == 0 || size%cifarRecord != 0 {
		return &DataError{File: path, Value: fmt.Sprintf("%d bytes", size),
			Problem: fmt.Sprintf("are not a whole number of records of %d", cifarRecord), Fix: "fetch the file again, in CIFAR-10's binary version"}
	}
	if r.left -= size + 4*(size/cifarRecord); r.left < 0 {
		return &DataError{File: path, Problem: fmt.Sprintf("takes the images beyond the limit of %d bytes", int64(MaxBytes)), Fix: "use fewer files"}
	}
	b.raw = slices.Grow(b.raw, int(size))
	in := &contextReader{ctx, f}
	record := make([]byte, cifarRecord)
	for at := int64(0); at < size; at += cifarRecord {
		if _, err := io.ReadFull(in, record); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			return unreadable(path, err)
		}
		if int(record[0]) >= r.classes {
			return &DataError{File: path, Offset: at, HasOffset: true, Value: fmt.Sprintf("class %d", record[0]),
				Problem: fmt.Sprintf("is not one of %d", r.classes), Fix: "fetch the file again, or name all classes in " + cifarNames}
		}
		b.labels = append(b.labels, int32(record[0]))
		red, green, blue := record[1:1+cifarPixels], record[1+cifarPixels:1+2*cifarPixels], record[1+2*cifarPixels:]
		for i := range red {
			b.raw = append(b.raw, red[i], green[i], blue[i])
		}
	}
	return nil
}

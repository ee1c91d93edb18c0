package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/tensor"
)

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// idx returns an IDX file of unsigned bytes.
func idx(data []byte, dims ...uint32) string {
	b := []byte{0, 0, idxTypeUByte, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return string(append(b, data...))
}

// counting returns n bytes 0, 1, 2, ...
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// alternating returns labels 0, 1, 0, ...
func alternating(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 2)
	}
	return b
}

func gzipped(content string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.String()
}

// folder writes files and returns their folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeFile(t, dir, name, content)
	}
	return dir
}

func TestIDXFolderIsReadUnderItsUsualNames(t *testing.T) {
	images, labels := idx(counting(5*6), 5, 2, 3), idx(alternating(5), 5)
	testImages, testLabels := idx(counting(2*6), 2, 2, 3), idx(alternating(2), 2)
	for name, files := range map[string]map[string]string{
		"plain": {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels,
			"t10k-images-idx3-ubyte": testImages, "t10k-labels-idx1-ubyte": testLabels},
		"gzipped": {"train-images-idx3-ubyte.gz": gzipped(images), "train-labels-idx1-ubyte.gz": gzipped(labels),
			"test-images-idx3-ubyte.gz": gzipped(testImages), "test-labels-idx1-ubyte.gz": gzipped(testLabels)},
		"dotted and mixed": {"train-images.idx3-ubyte": images, "train-labels.idx1-ubyte.gz": gzipped(labels),
			"val-images.idx3-ubyte": testImages, "val-labels-idx1-ubyte": testLabels, "readme.txt": "hello"},
		"validation before test": {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels,
			"validation-images-idx3-ubyte": testImages, "validation-labels-idx1-ubyte": testLabels,
			"test-images-idx3-ubyte": images, "test-labels-idx1-ubyte": labels},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, files)
			d := mustOpen(t, Source{Path: dir})
			if d.Name() != filepath.Base(dir) || d.Len(Train) != 5 || d.Len(Validation) != 2 || !d.SampleShape().Equal(tensor.Shape{2, 3, 1}) || d.Classes() != 2 {
				t.Errorf("%s: %d + %d samples of %v in %d classes", d.Name(), d.Len(Train), d.Len(Validation), d.SampleShape(), d.Classes())
			}
			x, y := gather(d, Train)
			for i, v := range x {
				if v != float32(i)/255 {
					t.Fatalf("value %d is %v", i, v)
				}
			}
			if !slices.Equal(y, []int32{0, 1, 0, 1, 0}) || !slices.Equal(d.ClassNames(), []string{"0", "1"}) {
				t.Errorf("labels %v of %v", y, d.ClassNames())
			}
			if want := int64(7*6 + 4*7); d.Bytes() != want {
				t.Errorf("holds %d bytes, want %d", d.Bytes(), want)
			}
		})
	}
}

func TestIDXShapes(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		dims []uint32
		want tensor.Shape
	}{
		"features":  {"train-images-idx2-ubyte", []uint32{10, 12}, tensor.Shape{12}},
		"grey":      {"train-images-idx3-ubyte", []uint32{10, 4, 3}, tensor.Shape{4, 3, 1}},
		"coloured":  {"train-images-idx4-ubyte", []uint32{10, 2, 2, 3}, tensor.Shape{2, 2, 3}},
		"any digit": {"train-images-idx3-ubyte", []uint32{10, 12}, tensor.Shape{12}},
	} {
		d := mustOpen(t, Source{Path: folder(t, map[string]string{
			c.file: idx(counting(120), c.dims...), "train-labels-idx1-ubyte": idx(alternating(10), 10)})})
		if !d.SampleShape().Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, d.SampleShape(), c.want)
		}
	}
}

func TestIDXWithoutATestPairIsSplitByTheFraction(t *testing.T) {
	dir := folder(t, map[string]string{
		"train-images-idx3-ubyte": idx(counting(20*4), 20, 2, 2), "train-labels-idx1-ubyte": idx(alternating(20), 20)})
	for fraction, want := range map[float64]int{0: 4, 0.25: 5, 0.01: 1} {
		d := mustOpen(t, Source{Path: dir, ValidationFraction: fraction})
		if d.Len(Validation) != want || d.Len(Train) != 20-want {
			t.Errorf("fraction %v: %d + %d samples", fraction, d.Len(Train), d.Len(Validation))
		}
		if again := mustOpen(t, Source{Path: dir, ValidationFraction: fraction}); again.Fingerprint() != d.Fingerprint() {
			t.Errorf("fraction %v: another split when opened again", fraction)
		}
	}
}

func TestTheSameContentHasTheSameFingerprint(t *testing.T) {
	images, labels := idx(counting(20*4), 20, 2, 2), idx(alternating(20), 20)
	plain := mustOpen(t, Source{Path: folder(t, map[string]string{"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels})})
	packed := mustOpen(t, Source{Path: folder(t, map[string]string{"train-images.idx3-ubyte.gz": gzipped(images), "train-labels.idx1-ubyte.gz": gzipped(labels)})})
	if plain.Fingerprint() != packed.Fingerprint() {
		t.Errorf("%s and %s", plain.Fingerprint(), packed.Fingerprint())
	}
}

// checkDataError fails unless err is a *DataError whose message has all the
// parts.
func checkDataError(t *testing.T, err error, parts ...string) {
	t.Helper()
	var bad *DataError
	if !errors.As(err, &bad) {
		t.Fatalf("%T: %v, want a *DataError", err, err)
	}
	if bad.Problem == "" || bad.Fix == "" || bad.File == "" {
		t.Errorf("incomplete: %+v", bad)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestBadIDXFilesAreRefusedByPlaceAndFix(t *testing.T) {
	images, labels := idx(counting(4*4), 4, 2, 2), idx(alternating(4), 4)
	damaged := []byte(gzipped(images))
	damaged[len(damaged)-6] ^= 1                        // in the checksum
	broken := gzipped(images)[:10] + "\xff\xff\xff\xff" // no such kind of block
	const im, lb = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"empty folder":      {nil, []string{"lacks train-images-idx3-ubyte and train-labels-idx1-ubyte", "it is empty"}},
		"other files":       {map[string]string{"a.dat": "", "b.dat": ""}, []string{"lacks", "it has a.dat, b.dat"}},
		"labels missing":    {map[string]string{im: images}, []string{"lacks train-labels-idx1-ubyte (it has train-images"}},
		"images missing":    {map[string]string{lb: labels}, []string{"lacks train-images-idx3-ubyte"}},
		"half a test pair":  {map[string]string{im: images, lb: labels, "t10k-images-idx3-ubyte": images}, []string{"lacks t10k-labels-idx1-ubyte"}},
		"empty file":        {map[string]string{im: "", lb: labels}, []string{im + ": byte 0: the file ends here: it is truncated"}},
		"magic":             {map[string]string{im: "PNG" + images, lb: labels}, []string{im, "byte 0", "magic number 0x504e4700", "not that of an IDX file"}},
		"gzip, plain name":  {map[string]string{im: gzipped(images), lb: labels}, []string{"byte 0", "it is gzipped: let its name end in .gz"}},
		"plain, gzip name":  {map[string]string{im + ".gz": images, lb: labels}, []string{"byte 0", "is not gzip"}},
		"float elements":    {map[string]string{im: "\x00\x00\x0d" + images[3:], lb: labels}, []string{"byte 2", "element type 0x0d (float32)", "not supported"}},
		"unknown elements":  {map[string]string{im: "\x00\x00\x42" + images[3:], lb: labels}, []string{"element type 0x42"}},
		"changed places":    {map[string]string{im: labels, lb: images}, []string{im, "byte 3", "1 dimensions", "2 to 4"}},
		"labels of rank 2":  {map[string]string{im: images, lb: idx(alternating(4), 4, 1)}, []string{lb, "byte 3", "2 dimensions", "this file should have 1"}},
		"five dimensions":   {map[string]string{im: idx(counting(4), 4, 1, 1, 1, 1), lb: labels}, []string{"5 dimensions"}},
		"header cut":        {map[string]string{im: images[:10], lb: labels}, []string{"byte 10: the file ends here"}},
		"no images":         {map[string]string{im: idx(nil, 0, 2, 2), lb: labels}, []string{"byte 4", "dimension 0 is 0"}},
		"no width":          {map[string]string{im: idx(nil, 4, 2, 0), lb: labels}, []string{"byte 12", "dimension 2 is 0"}},
		"truncated":         {map[string]string{im: images[:len(images)-1], lb: labels}, []string{"needs 16 bytes", "truncated"}},
		"trailing":          {map[string]string{im: images + "x", lb: labels}, []string{"byte 32", "more bytes follow the last element"}},
		"labels truncated":  {map[string]string{im: images, lb: labels[:len(labels)-2]}, []string{lb, "truncated"}},
		"overflow":          {map[string]string{im: idx(nil, 1<<31, 1<<31, 1<<31), lb: labels}, []string{"byte 4", "more elements than the limit"}},
		"beyond the limit":  {map[string]string{im: idx(nil, 1<<20, 1<<7, 1<<6), lb: labels}, []string{"more elements than the limit of 4294967296"}},
		"gz declares a lot": {map[string]string{im + ".gz": gzipped(idx(nil, 1<<15, 1<<8, 1<<8)), lb: labels}, []string{"too short for them"}},
		"gz truncated":      {map[string]string{im + ".gz": gzipped(images)[:30], lb: labels}, []string{"the file ends here: it is truncated"}},
		"gz without sum":    {map[string]string{im + ".gz": gzipped(images)[:len(gzipped(images))-3], lb: labels}, []string{"truncated"}},
		"gz checksum":       {map[string]string{im + ".gz": string(damaged), lb: labels}, []string{"byte 32", "the gzip checksum is wrong"}},
		"gz data":           {map[string]string{im + ".gz": broken, lb: labels}, []string{"the compressed data is damaged"}},
		"gz trailing bytes": {map[string]string{im + ".gz": gzipped(images) + "junk of some length", lb: labels}, []string{"what follows is not gzip"}},
		"gz trailing data":  {map[string]string{im + ".gz": gzipped(images + "y"), lb: labels}, []string{"more bytes follow"}},
		"counts":            {map[string]string{im: images, lb: idx(alternating(5), 5)}, []string{lb, "5 labels do not fit the 4 images of", im}},
		"gap in labels":     {map[string]string{im: images, lb: idx([]byte{0, 1, 3, 1}, 4)}, []string{lb, "byte 10", "label 3", "no sample has label 2"}},
		"labels from 1":     {map[string]string{im: images, lb: idx([]byte{1, 2, 2, 1}, 4)}, []string{"no sample has label 0"}},
		"one class":         {map[string]string{im: images, lb: idx(make([]byte, 4), 4)}, []string{lb, "one class", "nothing to tell apart"}},
		"one sample":        {map[string]string{im: idx(counting(4), 1, 2, 2), lb: idx([]byte{0}, 1)}, []string{"one class"}},
		"test of other size": {map[string]string{im: images, lb: labels,
			"test-images-idx3-ubyte": idx(counting(16), 4, 4, 1), "test-labels-idx1-ubyte": labels},
			[]string{"test-images-idx3-ubyte", "samples of shape [4 1 1] differ from the [2 2 1]"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Source{Path: folder(t, c.files)})
			checkDataError(t, err, c.want...)
		})
	}
}

func TestIDXFileThatIsAFolderIsRefused(t *testing.T) {
	dir := folder(t, map[string]string{"train-labels-idx1-ubyte": idx(alternating(4), 4)})
	if err := os.Mkdir(filepath.Join(dir, "train-images-idx3-ubyte"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, Source{Path: dir})
	checkDataError(t, err, "train-images-idx3-ubyte", "is not a file")
}

func TestReadingIDXEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	content := idx(counting(4), 4, 1)
	for _, zipped := range []bool{false, true} {
		_, err := readIDX(ctx, idxInput{name: "x", Reader: strings.NewReader(content), size: int64(len(content)), gzip: zipped}, 2, 4)
		if !errors.Is(err, context.Canceled) || errors.As(err, new(*DataError)) {
			t.Errorf("gzip %t: %v", zipped, err)
		}
	}
}

// readIDXPlain is the dumb twin of readIDX for files that are not compressed.
func readIDXPlain(content []byte, low, high int) (dims []int, data []byte, ok bool) {
	if len(content) < 4 || !bytes.Equal(content[:3], []byte{0, 0, 8}) || int(content[3]) < low || int(content[3]) > high {
		return nil, nil, false
	}
	rank := int(content[3])
	if len(content) < 4+4*rank {
		return nil, nil, false
	}
	data = content[4+4*rank:]
	left := uint64(len(data))
	for i := range rank {
		d := uint64(binary.BigEndian.Uint32(content[4+4*i:]))
		if d == 0 || left%d != 0 {
			return nil, nil, false
		}
		left /= d
		dims = append(dims, int(d))
	}
	return dims, data, left == 1
}

func FuzzReadIDX(f *testing.F) {
	f.Add([]byte(idx(counting(16), 4, 2, 2)), false)
	f.Add([]byte(idx(alternating(4), 4)), false)
	f.Add([]byte(gzipped(idx(counting(16), 4, 4))), true)
	f.Add([]byte(idx(nil, 1<<31, 1<<31, 1<<31)), false)
	f.Add([]byte(idx(counting(3), 4)), false)
	f.Fuzz(func(t *testing.T, content []byte, zipped bool) {
		for _, ranks := range [][2]int{{1, 1}, {2, 4}} {
			in := idxInput{name: "fuzz", Reader: bytes.NewReader(content), size: int64(len(content)), gzip: zipped}
			got, err := readIDX(context.Background(), in, ranks[0], ranks[1])
			if err != nil {
				if !errors.As(err, new(*DataError)) {
					t.Fatalf("%T: %v", err, err)
				}
			} else if n, err := got.dims.NumElements(); err != nil || n != len(got.data) || n == 0 {
				t.Fatalf("%v with %d bytes, %v", got.dims, len(got.data), err)
			}
			if zipped {
				continue
			}
			dims, data, ok := readIDXPlain(content, ranks[0], ranks[1])
			if ok != (err == nil) {
				t.Fatalf("twin says %t, readIDX %v", ok, err)
			}
			if ok && (!slices.Equal(dims, got.dims) || !bytes.Equal(data, got.data)) {
				t.Fatalf("twin reads %v, readIDX %v", fmt.Sprint(dims), got.dims)
			}
		}
	})
}

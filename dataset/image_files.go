package dataset

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"reprise/dataset/imagefile"
	"reprise/dataset/packed"
	"reprise/dataset/preprocess"
	"reprise/internal/disk"
	"reprise/tensor"
)

// imageSource is a file of an image: its path, and what people call it, with folders
// separated by / on every system.
type imageSource struct{ path, name string }

// loadedImages are images of one shape.
type loadedImages struct {
	shape   tensor.Shape
	raw     []byte
	file    *packed.File // has the pixels if they are not in memory
	full    atomic.Pointer[error]
	content string // the SHA-256 of names and pixels as they were before resizing
	notes   []string
}

// loadImages reads files of images, several at a time, into memory. at is the folder or
// the table that has them. All that is wrong with the files comes in one error, with the
// problems that were found before. Pixels that take too much memory are written to a file.
func loadImages(ctx context.Context, at string, files []imageSource, o ImageOptions, problems imageProblems, p packing) (_ *loadedImages, err error) {
	infos := make([]imagefile.Info, len(files))
	failed := make([]error, len(files))
	err = eachImage(ctx, at, len(files), func(i int) { infos[i], failed[i] = probeImage(files[i].path) })
	if err != nil {
		return nil, err
	}
	all := &loadedImages{notes: otherEndings(files, infos)}
	defer func() {
		if err != nil && all.file != nil {
			_ = all.file.Close() // it is gone
		}
	}()
	sound := len(problems) == 0 && !slices.ContainsFunc(failed, func(err error) bool { return err != nil })
	var errs []error
	size, err := imageSize(at, infos, failed, o)
	if err == nil && sound {
		all.shape = tensor.Shape{size[0], size[1], imageChannels(infos, o)}
		err = all.allocate(at, len(files), p)
	}
	if err != nil {
		errs = append(errs, err)
	}
	hashes := make([][sha256.Size]byte, len(files))
	err = eachImage(ctx, at, len(files), func(i int) {
		if failed[i] == nil {
			hashes[i], failed[i] = all.load(ctx, files[i], infos[i], i, p.room)
		}
	})
	if err != nil {
		return nil, err
	}
	if full := all.full.Load(); full != nil {
		return nil, p.explain(&preprocess.SpillError{Err: *full}, at)
	}
	problems.addAll(files, failed)
	if errs = append(errs, problems.errors(at)...); len(errs) > 0 {
		return nil, joinAll(errs)
	}
	content := fingerprintWriter{Hash: sha256.New()}
	for i, file := range files {
		content.text(file.name)
		content.flush()
		content.Write(hashes[i][:])
	}
	all.content = hex.EncodeToString(content.Sum(nil))
	return all, nil
}

// eachImage calls do for 0 to n-1, several at a time, until the context ends.
func eachImage(ctx context.Context, at string, n int, do func(i int)) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				do(i)
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", at, err)
	}
	return nil
}

// openImage opens a regular file. Anything else might never end.
func openImage(path string) (disk.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, problemIrregular()
	}
	if info.Size() == 0 {
		return nil, 0, problemEmptyFile()
	}
	f, err := disk.Open(disk.OS{}, path)
	return f, info.Size(), err
}

func probeImage(path string) (imagefile.Info, error) {
	f, size, err := openImage(path)
	if err != nil {
		return imagefile.Info{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return imagefile.Probe(f, size)
}

// decodeImage calls use with the pixels of a file, of which probeImage returned want. It
// waits for room, and fails once the context has ended.
func decodeImage(ctx context.Context, path string, want imagefile.Info, room *ImageRoom, use func(imagefile.Pixels)) error {
	giveBack, err := room.take(ctx, want)
	if err != nil {
		return err
	}
	defer giveBack()
	p, err := decodeFile(ctx, path, want)
	if err == nil {
		use(p)
	}
	return err
}

func decodeFile(ctx context.Context, path string, want imagefile.Info) (none imagefile.Pixels, err error) {
	f, size, err := openImage(path)
	if err != nil {
		return none, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if size != want.Bytes {
		return none, problemChanged()
	}
	content := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := content.ReadFrom(io.LimitReader(f, size)); err != nil {
		return none, err
	}
	p, now, err := imagefile.Decode(ctx, content.Bytes())
	if err == nil && now != want {
		err = problemChanged()
	}
	return p, err
}

// load reads image i, and returns the hash of its pixels before resizing. They are kept if
// memory was allocated for them.
func (all *loadedImages) load(ctx context.Context, file imageSource, info imagefile.Info, i int, room *ImageRoom) (hash [sha256.Size]byte, err error) {
	err = decodeImage(ctx, file.path, info, room, func(p imagefile.Pixels) {
		sum := fingerprintWriter{Hash: sha256.New()}
		for _, n := range []int{p.Height, p.Width, p.Channels} {
			sum.number(uint64(n))
		}
		sum.flush()
		sum.Write(p.Data)
		sum.Sum(hash[:0])
		switch {
		case all.raw != nil:
			pixels := fitImage(p, all.shape).Data
			copy(all.raw[i*len(pixels):], pixels)
		case all.file != nil:
			pixels := fitImage(p, all.shape).Data
			if _, err := all.file.WriteAt(pixels, int64(i)*int64(len(pixels))); err != nil {
				all.full.Store(&err)
			}
		}
	})
	return hash, err
}

// fitImage returns an image in a shape: first its channels are made, then its size.
func fitImage(p imagefile.Pixels, shape tensor.Shape) imagefile.Pixels {
	return p.In(shape[2]).Resize(shape[0], shape[1])
}

// block returns the pixels without labels.
func (all *loadedImages) block() *block {
	if all.file == nil {
		return &block{raw: all.raw}
	}
	return &block{file: all.file}
}

// allocate makes room for n images: in a file if they take more memory than they may, and
// there can be one or must be one.
func (all *loadedImages) allocate(at string, n int, p packing) error {
	size, err := all.shape.NumElements()
	if err != nil {
		return err
	}
	total := int64(n) * int64(size+4)
	if total > p.limit {
		var unkept error
		if all.file, unkept = create(p, func(folder string) (*packed.File, error) { return packed.Create(folder, int64(n)*int64(size)) }); unkept == nil {
			all.notes = append(all.notes, keptNote(all.file))
			return nil
		}
		if p.asked {
			return p.explain(unkept, at)
		}
		all.notes = append(all.notes, unkeptNote(total, unkept))
	}
	if total > MaxBytes {
		return &DataError{File: at, Value: fmt.Sprintf("%d images of %d x %d x %d", n, all.shape[0], all.shape[1], all.shape[2]),
			Problem: fmt.Sprintf("take %d bytes, more than the limit of %d", total, int64(MaxBytes)), Fix: "write " + sizeLine([2]int{64, 64}) + " or another smaller size"}
	}
	all.raw = make([]byte, n*size)
	return nil
}

// imageChannels returns what was asked for, else 1 if no image can have a color.
func imageChannels(infos []imagefile.Info, o ImageOptions) int {
	switch {
	case o.Channels != 0:
		return o.Channels
	case slices.ContainsFunc(infos, func(info imagefile.Info) bool { return !info.Gray }):
		return 3
	}
	return 1
}

// imageSize returns what was asked for, else the size of all images. It fails if there are
// several.
func imageSize(at string, infos []imagefile.Info, failed []error, o ImageOptions) ([2]int, error) {
	if o.Size != [2]int{} {
		return o.Size, nil
	}
	counts := map[[2]int]int{}
	for i, info := range infos {
		if failed[i] == nil {
			counts[[2]int{info.Height, info.Width}]++
		}
	}
	sizes := make([][2]int, 0, len(counts))
	for size := range counts {
		sizes = append(sizes, size)
	}
	slices.SortFunc(sizes, func(a, b [2]int) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	switch len(sizes) {
	case 0:
		return [2]int{}, nil // there are other problems
	case 1:
		return sizes[0], nil
	}
	const most, large = 5, 64
	parts := make([]string, 0, most)
	for _, size := range sizes[:min(len(sizes), most)] {
		verb := "are"
		if counts[size] == 1 {
			verb = "is"
		}
		parts = append(parts, fmt.Sprintf("%d %s %d x %d", counts[size], verb, size[0], size[1]))
	}
	if more := len(sizes) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and so on for %d more", more))
	}
	propose := sizes[0]
	if max(propose[0], propose[1]) > large {
		propose = [2]int{large, large}
	}
	return [2]int{}, &DataError{File: at, Value: fmt.Sprintf("images of %d sizes", len(sizes)),
		Problem: "cannot be trained on together (height x width: " + strings.Join(parts, ", ") + ")",
		Fix:     "write " + sizeLine(propose) + " below dataset: to have all resized to one size"}
}

// otherEndings is a note about files whose names end in that of another format.
func otherEndings(files []imageSource, infos []imagefile.Info) []string {
	n, first := 0, ""
	for i, info := range infos {
		if named, ok := imagefile.FormatOf(files[i].name); ok && info.Format != "" && named != info.Format {
			if n++; n == 1 {
				first = fmt.Sprintf("%s, which is %s", showPath(files[i].name), info.Format)
			}
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return []string{"1 image has the ending of another format: " + first}
	}
	return []string{fmt.Sprintf("%d images have the ending of another format, the first of them %s", n, first)}
}

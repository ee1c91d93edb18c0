package dataset

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	"reprise/internal/disk"
	"reprise/tensor"
)

// ReadImages returns the images of one file, of IDX or with the records of CIFAR-10, whose
// classes it ignores: the shape of one image, channels last, and the bytes of all. It fails
// with a *DataError for anything else.
func ReadImages(ctx context.Context, path string) (tensor.Shape, []byte, error) {
	if filepath.Ext(path) == ".bin" {
		r := cifarReader{classes: 256, left: MaxBytes}
		all, err := r.read(ctx, []string{path})
		if err != nil {
			return nil, nil, err
		}
		return tensor.Shape{cifarSide, cifarSide, cifarChannels}, all.raw, nil
	}
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	var info fs.FileInfo
	if info, err = f.Stat(); err != nil {
		return nil, nil, unreadable(path, err)
	}
	images, err := readIDX(ctx, idxInput{name: path, Reader: f, size: info.Size(), gzip: strings.HasSuffix(path, ".gz")}, 2, idxMaxDims)
	if err != nil {
		return nil, nil, err
	}
	return idxPair{images: images}.sampleShape(), images.data, nil
}

package dataset

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"

	"reprise/dataset/imagefile"
	"reprise/tensor"
)

// ImageRoom bounds the memory in which images are decoded at the same time: by all
// libraries and models that share it, whatever the number of processors. It is safe for
// concurrent use. Waiting images are decoded in the order in which they came, so that a
// large one is not kept waiting by small ones.
type ImageRoom struct {
	bytes int64
	free  *semaphore.Weighted
}

// NewImageRoom returns a room of some bytes; 0 stands for imagefile.MaxMemory, in which
// the largest image fits.
func NewImageRoom(bytes int64) *ImageRoom {
	if bytes == 0 {
		bytes = imagefile.MaxMemory
	}
	return &ImageRoom{bytes: bytes, free: semaphore.NewWeighted(bytes)}
}

// take waits until an image fits beside those that are being decoded; giveBack must be
// called once it is. It fails for an image that can never fit, and once the context has
// ended.
func (r *ImageRoom) take(ctx context.Context, info imagefile.Info) (giveBack func(), err error) {
	n := info.Memory()
	if n > r.bytes {
		limit := tensor.Bytes(r.bytes)
		return nil, &imagefile.Error{
			One: fmt.Sprintf("may need more memory to decode than the limit of %s", limit), Many: fmt.Sprintf("may need more memory to decode than the limit of %s", limit),
			Fix: "make the images smaller",
		}
	}
	if err := r.free.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { r.free.Release(n) }, nil
}

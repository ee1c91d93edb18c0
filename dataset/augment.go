package dataset

import (
	"fmt"
	"strconv"

	"reprise/fault"
	"reprise/internal/philox"
)

// Augmentation says how the images of the training split are changed each time
// they are gathered, as is usual for CIFAR (He, Zhang, Ren and Sun, "Deep
// Residual Learning for Image Recognition", CVPR 2016, 4.2). The zero value
// changes nothing.
//
// What happens to a sample is a pure function of seed, epoch and its index in
// the split, and so independent of order, batch size and threads. Of the words w
// of philox.Block(seed, PurposeAugment, epoch, index), the highest bit of w[0]
// says whether to flip, and floor(w[i] * (2 Crop + 1) / 2^32) for i = 1 and 2 is
// where the crop begins in the padded image, down and to the right. No place is
// likelier than another by more than one part in 2^24. The crop is flipped after
// it is cut out.
type Augmentation struct {
	// Flip mirrors half of the images, left to right.
	Flip bool `json:"flip"`
	// Crop is the number of pixels of value 0 that are put around an image before
	// a piece of its own size is cut out, at a place drawn from all there are.
	Crop int `json:"crop"`
}

// The fields of an Augmentation, as a fault.FieldError names them.
const (
	FieldFlip = "augmentation.flip"
	FieldCrop = "augmentation.crop"
)

// maxCrop bounds the padding beside the image's own size.
const maxCrop = 255

// CheckAugmentation fails with a *fault.FieldError unless the data set's samples can
// be changed in this way: they are images, at least as large as their padding.
func (d *Dataset) CheckAugmentation(a Augmentation) error {
	if a == (Augmentation{}) {
		return nil
	}
	if d.scaling.table == nil || len(d.shape) != 3 {
		field, value := FieldFlip, "true"
		if !a.Flip {
			field, value = FieldCrop, strconv.Itoa(a.Crop)
		}
		return &fault.FieldError{Field: field, Value: value, Problem: fmt.Sprintf("does not fit samples of shape %v, which are not images", d.shape),
			Fix: "leave it out"}
	}
	if most := min(d.shape[0], d.shape[1], maxCrop); a.Crop < 0 || a.Crop > most {
		return &fault.FieldError{Field: FieldCrop, Value: strconv.Itoa(a.Crop),
			Problem: fmt.Sprintf("is not between 0 and %d for images of %d x %d", most, d.shape[0], d.shape[1]), Fix: "use a few pixels, such as 4"}
	}
	return nil
}

func (d *Dataset) mustTake(a Augmentation) {
	if a.Crop < 0 || a.Crop > maxCrop || len(d.shape) != 3 || d.scaling.table == nil {
		panic(fmt.Sprintf("dataset: augmentation %+v of samples of shape %v", a, d.shape))
	}
}

// placement is what was drawn for a sample: where the crop begins in relation to
// the image, and whether it is flipped.
type placement struct {
	down, right int
	flip        bool
}

func (a Augmentation) draw(seed, epoch uint64, index int) placement {
	w := philox.Block(seed, philox.PurposeAugment, epoch, uint64(index))
	places := uint64(2*a.Crop + 1)
	return placement{
		down:  int(uint64(w[1])*places>>32) - a.Crop,
		right: int(uint64(w[2])*places>>32) - a.Crop,
		flip:  a.Flip && w[0]>>31 == 1,
	}
}

// place scales an image and moves it as drawn.
func (d *Dataset) place(raw []byte, x []float32, p placement) {
	height, width, channels := d.shape[0], d.shape[1], d.shape[2]
	table := d.scaling.table
	stride := width * channels
	// The columns of the crop that lie within the image, before the flip.
	first, end := max(0, -p.right), min(width, width-p.right)
	for y := range height {
		to := x[y*stride : (y+1)*stride]
		from := y + p.down
		if from < 0 || from >= height || first >= end {
			fill(to, table[0])
			continue
		}
		line := raw[from*stride+(first+p.right)*channels:][:(end-first)*channels]
		if !p.flip {
			fill(to[:first*channels], table[0])
			for i, v := range line {
				to[first*channels+i] = table[v]
			}
			fill(to[end*channels:], table[0])
			continue
		}
		fill(to[:(width-end)*channels], table[0])
		for i := 0; i < len(line); i += channels {
			pixel := to[(width-first)*channels-i-channels:][:channels]
			for c, v := range line[i : i+channels] {
				pixel[c] = table[v]
			}
		}
		fill(to[(width-first)*channels:], table[0])
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

package dataset

import (
	"fmt"

	"reprise/fault"
)

// The fields of a Source that are for files of images, as a fault.FieldError names them.
const (
	FieldImage = "image"
	FieldRoot  = "root"
)

// maxImageSide is the longest side of the images that are trained on.
const maxImageSide = 8192

// ImageOptions say what becomes of the images of files. Zero fields leave it to the files.
// Two values are equal if they say the same.
type ImageOptions struct {
	// Size is [height width], to which all images are resized.
	Size [2]int `json:"size,omitzero"`
	// Channels is 1 for gray or 3 for red, green and blue.
	Channels int `json:"channels,omitempty"`
}

// check returns every mistake in the options.
func (o ImageOptions) check() []error {
	var errs []error
	fail := func(key, value, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: FieldImage + "." + key, Value: value, Problem: problem, Fix: fix})
	}
	for _, side := range o.Size {
		if o.Size != [2]int{} && (side < 1 || side > maxImageSide) {
			fail("size", fmt.Sprintf("%d", o.Size), fmt.Sprintf("is not a height and a width of 1 to %d pixels", maxImageSide), "use a size such as [28, 28]")
			break
		}
	}
	if o.Channels != 0 && o.Channels != 1 && o.Channels != 3 {
		fail("channels", fmt.Sprint(o.Channels), "is neither 1 nor 3", "use 1 for gray, 3 for color, or leave it out")
	}
	return errs
}

// sizeLine returns the line of a request that asks for a size.
func sizeLine(size [2]int) string { return fmt.Sprintf("image: {size: [%d, %d]}", size[0], size[1]) }

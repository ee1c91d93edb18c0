package dataset

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"reprise/tensor"
)

// cifar returns a file of images of the given classes; pixel i of channel c of
// image k is the byte k+i+100*c.
func cifar(classes ...byte) string {
	var b strings.Builder
	for k, class := range classes {
		b.WriteByte(class)
		for c := range 3 {
			for i := range cifarPixels {
				b.WriteByte(byte(k + i + 100*c))
			}
		}
	}
	return b.String()
}

func TestCIFARFolderIsReadInOrder(t *testing.T) {
	dir := folder(t, map[string]string{
		"data_batch_2.bin": cifar(2), "data_batch_1.bin": cifar(0, 1), "data_batch_10.bin": cifar(3), "test_batch.bin": cifar(9, 8, 7),
		"readme.html": "x", "readme.txt": "x",
	})
	d := mustOpen(t, Source{Path: dir})
	if d.Len(Train) != 4 || d.Len(Validation) != 3 || d.Classes() != 10 || !d.SampleShape().Equal(tensor.Shape{32, 32, 3}) {
		t.Fatalf("%d + %d samples of %v in %d classes", d.Len(Train), d.Len(Validation), d.SampleShape(), d.Classes())
	}
	for i, want := range []string{"airplane", "automobile", "bird", "cat"} {
		pixels, label, _ := d.AppendRaw(nil, Train, i)
		if d.ClassNames()[label] != want {
			t.Errorf("image %d is of class %s, want %s", i, d.ClassNames()[label], want)
		}
		k := []int{0, 1, 0, 0}[i]
		for _, at := range []int{0, 1, 32, 1023} {
			for c := range 3 {
				if got, want := pixels[3*at+c], float64(byte(k+at+100*c)); got != want {
					t.Errorf("image %d, pixel %d, channel %d: %v, want %v", i, at, c, got, want)
				}
			}
		}
	}
	if _, label, _ := d.AppendRaw(nil, Validation, 0); label != 9 {
		t.Errorf("class %d", label)
	}
	if err := d.CheckAugmentation(Augmentation{Flip: true, Crop: 4}); err != nil {
		t.Error(err)
	}
}

func TestCIFARWithoutTestImagesIsSplit(t *testing.T) {
	dir := folder(t, map[string]string{"data_batch_1.bin": cifar(0, 1, 0, 1, 0), "batches.meta.txt": "left\nright\n\n"})
	d := mustOpen(t, Source{Path: dir, ValidationFraction: 0.4})
	if d.Len(Train) != 3 || d.Len(Validation) != 2 || fmt.Sprint(d.ClassNames()) != "[left right]" {
		t.Errorf("%d + %d samples of %v", d.Len(Train), d.Len(Validation), d.ClassNames())
	}
}

func TestErrorsNameTheCIFARFileThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"cut off":       {map[string]string{"data_batch_1.bin": cifar(1, 2)[:cifarRecord+9]}, []string{"data_batch_1.bin", "3082 bytes are not a whole number of records of 3073"}},
		"empty":         {map[string]string{"data_batch_1.bin": ""}, []string{"0 bytes"}},
		"unknown class": {map[string]string{"data_batch_1.bin": cifar(1, 10)}, []string{"byte 3073", "class 10 is not one of 10"}},
		"no names":      {map[string]string{"data_batch_1.bin": cifar(1), "batches.meta.txt": "\n"}, []string{"batches.meta.txt", "0 names"}},
		"Latin-1 name":  {map[string]string{"data_batch_1.bin": cifar(1), "batches.meta.txt": "caf\xe9\ntea\n"}, []string{"batches.meta.txt", `"caf\xe9" is not UTF-8`}},
		"one image":     {map[string]string{"data_batch_1.bin": cifar(1)}, []string{"too few images"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Source{Path: folder(t, c.files)})
			checkDataError(t, err, c.want...)
		})
	}
	dir := folder(t, map[string]string{"data_batch_1.bin": cifar(1, 2), "test_batch.bin": cifar(1)})
	for name, c := range map[string]struct {
		source Source
		field  string
	}{
		"fraction": {Source{ValidationFraction: 0.5}, FieldValidationFraction},
		"target":   {Source{Target: "x"}, FieldTarget},
		"task":     {Source{Task: Regression}, FieldTask},
	} {
		c.source.Path = dir
		_, err := open(t, c.source)
		checkFieldError(t, name, err, c.field, "leave it out")
	}
	r := cifarReader{classes: 10, left: cifarRecord + 3}
	_, err := r.read(context.Background(), []string{filepath.Join(dir, "test_batch.bin")})
	checkDataError(t, err, "limit")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := currentReading.openCIFAR(ctx, dir, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

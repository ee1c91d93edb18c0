package dataset

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"reprise/tensor"
)

// colours returns n images of height x width pixels of three channels, every
// byte other than 0.
func colours(t testing.TB, n, height, width int) *Dataset {
	t.Helper()
	raw := counting(n * height * width * 3)
	for i := range raw {
		raw[i] |= 1
	}
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % 2)
	}
	b := &block{raw: raw, labels: labels}
	d, err := (&Dataset{name: "colours", shape: tensor.Shape{height, width, 3}, classNames: []string{"a", "b"}, scaling: byteScaling(255),
		parts: [splits]part{{block: b}, {block: b}}}).seal()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func augmented(d *Dataset, a Augmentation, seed, epoch uint64, index ...int) []float32 {
	b := d.NewBatch(len(index))
	b.Augmentation, b.Seed, b.Epoch = a, seed, epoch
	d.GatherBatch(Train, index, b)
	return b.Inputs
}

// naivePlace pads, cuts out and flips, one after the other.
func naivePlace(raw []byte, height, width, channels, crop int, p placement) []byte {
	padded := make([]byte, (height+2*crop)*(width+2*crop)*channels)
	stride := (width + 2*crop) * channels
	for y := range height {
		copy(padded[(y+crop)*stride+crop*channels:], raw[y*width*channels:(y+1)*width*channels])
	}
	var out []byte
	for y := range height {
		row := padded[(y+crop+p.down)*stride:]
		for x := range width {
			if p.flip {
				x = width - 1 - x
			}
			from := (x + crop + p.right) * channels
			out = append(out, row[from:from+channels]...)
		}
	}
	return out
}

func TestAugmentationIsPaddingCroppingAndFlipping(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		height, width := rapid.IntRange(1, 7).Draw(r, "height"), rapid.IntRange(1, 7).Draw(r, "width")
		a := Augmentation{Flip: rapid.Bool().Draw(r, "flip"), Crop: rapid.IntRange(0, min(height, width)).Draw(r, "crop")}
		seed, epoch := rapid.Uint64().Draw(r, "seed"), rapid.Uint64Range(0, 1<<56-1).Draw(r, "epoch")
		d := colours(t, 3, height, width)
		if err := d.CheckAugmentation(a); err != nil {
			r.Fatal(err)
		}
		size := height * width * 3
		got := augmented(d, a, seed, epoch, 0, 1, 2)
		for i := range 3 {
			p := a.draw(seed, epoch, i)
			want := naivePlace(d.parts[Train].raw[i*size:(i+1)*size], height, width, 3, a.Crop, p)
			for j, v := range want {
				if got[i*size+j] != float32(v)/255 {
					r.Fatalf("sample %d, value %d: %v, want %v/255 (%+v)", i, j, got[i*size+j], v, p)
				}
			}
		}
	})
}

func TestAugmentationDependsOnSeedEpochAndSampleOnly(t *testing.T) {
	d := mustOpen(t, Source{Path: "digits"})
	a := Augmentation{Flip: true, Crop: 2}
	n := d.Len(Train)
	all := augmented(d, a, 7, 3, first(n)...)
	order := NewPermutation(7, 3, n)
	for _, size := range []int{1, 3, 64} {
		for start := 0; start < n; start += size {
			var index []int
			for i := start; i < min(start+size, n); i++ {
				index = append(index, order.At(i))
			}
			got := augmented(d, a, 7, 3, index...)
			for i, at := range index {
				if !slices.Equal(got[i*64:(i+1)*64], all[at*64:(at+1)*64]) {
					t.Fatalf("batches of %d: sample %d is another", size, at)
				}
			}
		}
	}
	if slices.Equal(augmented(d, a, 7, 4, first(n)...), all) || slices.Equal(augmented(d, a, 8, 3, first(n)...), all) {
		t.Error("another epoch or seed changes nothing")
	}
}

func TestValidationIsNeverAugmented(t *testing.T) {
	d := mustOpen(t, Source{Path: "digits"})
	want, _ := gather(d, Validation)
	b := d.NewBatch(360)
	b.Augmentation, b.Seed = Augmentation{Flip: true, Crop: 3}, 1
	d.GatherBatch(Validation, first(360), b)
	if !slices.Equal(b.Inputs, want) {
		t.Error("another content")
	}
	b = d.NewBatch(d.Len(Train))
	b.Seed, b.Epoch = 1, 2
	want, _ = gather(d, Train)
	d.GatherBatch(Train, first(d.Len(Train)), b)
	if !slices.Equal(b.Inputs, want) {
		t.Error("no augmentation gives another content")
	}
}

func TestAFlipOfAFlipIsTheImage(t *testing.T) {
	d := colours(t, 1, 5, 6)
	raw := d.parts[Train].raw
	once := naivePlace(raw, 5, 6, 3, 0, placement{flip: true})
	if slices.Equal(once, raw) {
		t.Fatal("the image is symmetric")
	}
	x, want := make([]float32, len(raw)), make([]float32, len(raw))
	d.place(once, x, placement{flip: true})
	d.scaleRow(raw, nil, want)
	if !slices.Equal(x, want) {
		t.Errorf("%v, want %v", x, want)
	}
}

func TestEveryPlacementIsEquallyLikely(t *testing.T) {
	a := Augmentation{Flip: true, Crop: 4}
	const n = 81 * 2 * 500
	counts := map[placement]int{}
	for i := range n {
		counts[a.draw(11, uint64(i%10), i)]++
	}
	if len(counts) != 81*2 {
		t.Errorf("%d placements, want %d", len(counts), 81*2)
	}
	// Chi-squared of 161 degrees of freedom has mean 161 and standard deviation
	// 18; five of them away is not chance.
	var chi float64
	for _, c := range counts {
		chi += math.Pow(float64(c)-500, 2) / 500
	}
	if chi > 161+5*18 || chi < 161-5*18 {
		t.Errorf("chi-squared %v", chi)
	}
	for range 100 {
		if p := (Augmentation{Crop: 1}).draw(1, 2, 3); p.flip {
			t.Fatal("flipped without being asked")
		}
	}
}

func TestDrawsArePinned(t *testing.T) {
	// Golden: a resumed run must see the same images.
	a := Augmentation{Flip: true, Crop: 4}
	var got []placement
	for i := range 4 {
		got = append(got, a.draw(1, 2, i))
	}
	if want := []placement{{1, 3, true}, {1, 0, false}, {3, 3, true}, {-1, -1, true}}; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAugmentationThatDoesNotFitIsRefused(t *testing.T) {
	digits, wine := mustOpen(t, Source{Path: "digits"}), mustOpen(t, Source{Path: "wine"})
	for name, c := range map[string]struct {
		data  *Dataset
		a     Augmentation
		field string
		want  string
	}{
		"flip of a table": {wine, Augmentation{Flip: true}, FieldFlip, "[13], which are not images"},
		"crop of a table": {wine, Augmentation{Crop: 2}, FieldCrop, "2 does not fit"},
		"negative crop":   {digits, Augmentation{Crop: -1}, FieldCrop, "-1 is not between 0 and 8"},
		"crop too large":  {digits, Augmentation{Flip: true, Crop: 9}, FieldCrop, "9 is not between 0 and 8 for images of 8 x 8"},
	} {
		checkFieldError(t, name, c.data.CheckAugmentation(c.a), c.field, c.want)
	}
	for _, a := range []Augmentation{{}, {Flip: true}, {Crop: 8}} {
		if err := digits.CheckAugmentation(a); err != nil {
			t.Error(err)
		}
	}
	if err := wine.CheckAugmentation(Augmentation{}); err != nil {
		t.Error(err)
	}
}

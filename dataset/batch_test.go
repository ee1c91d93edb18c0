package dataset

import (
	"math"
	"slices"
	"testing"
)

// first returns the indices 0 to n-1.
func first(n int) []int {
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return index
}

func TestBatchesOfClassesAreWhatGatherGives(t *testing.T) {
	for _, name := range []string{"digits", "wine"} {
		d := mustOpen(t, Source{Path: name})
		batch := d.NewBatch(d.Len(Train))
		for _, split := range []Split{Train, Validation} {
			x, labels := gather(d, split)
			d.GatherBatch(split, first(d.Len(split)), batch)
			if !slices.Equal(batch.Inputs, x) || !slices.Equal(batch.Labels, labels) || len(batch.Tokens)+len(batch.Targets) != 0 {
				t.Errorf("%s, %v: another content", name, split)
			}
		}
		if d.Task() != Classification || d.InputKind() != InputFloat || d.LabelsPerSample() != 1 || d.TargetsPerSample() != 0 || d.Tokenizer() != nil {
			t.Errorf("%s: %s of %s", name, d.Task(), d.InputKind())
		}
	}
}

func TestGatherBatchAllocatesNothing(t *testing.T) {
	path := writeFile(t, t.TempDir(), "text.txt", sentence(40))
	for name, d := range map[string]*Dataset{
		"images": mustOpen(t, Source{Path: "digits"}), "classes": mustOpen(t, Source{Path: "wine"}),
		"targets": mustOpen(t, Source{Path: "diabetes"}), "text": mustOpen(t, Source{Path: path, Context: 16}),
	} {
		index, batch := []int{5, 6, 7}, d.NewBatch(4)
		if name == "images" {
			batch.Augmentation = Augmentation{Flip: true, Crop: 2}
		}
		if n := testing.AllocsPerRun(100, func() { d.GatherBatch(Train, index, batch) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestGatherBatchRefusesWhatDoesNotFit(t *testing.T) {
	path := writeFile(t, t.TempDir(), "text.txt", sentence(40))
	digits, wine, diabetes, text := mustOpen(t, Source{Path: "digits"}), mustOpen(t, Source{Path: "wine"}),
		mustOpen(t, Source{Path: "diabetes"}), mustOpen(t, Source{Path: path, Context: 16})
	for name, f := range map[string]func(){
		"too many rows":      func() { digits.GatherBatch(Train, first(3), digits.NewBatch(2)) },
		"no labels":          func() { digits.GatherBatch(Train, first(1), &Batch{Inputs: make([]float32, 64)}) },
		"no targets":         func() { diabetes.GatherBatch(Train, first(1), &Batch{Inputs: make([]float32, 10)}) },
		"no tokens":          func() { text.GatherBatch(Train, first(1), &Batch{Labels: make([]int32, 16)}) },
		"index of text":      func() { text.GatherBatch(Validation, []int{text.Len(Validation)}, text.NewBatch(1)) },
		"negative of text":   func() { text.GatherBatch(Train, []int{-1}, text.NewBatch(1)) },
		"index of images":    func() { digits.GatherBatch(Validation, []int{360}, digits.NewBatch(1)) },
		"negative of images": func() { digits.GatherBatch(Train, []int{-1}, digits.NewBatch(1)) },
		"unknown split":      func() { digits.Len(splits) },
		"augmented table": func() {
			b := wine.NewBatch(1)
			b.Augmentation.Flip = true
			wine.GatherBatch(Train, first(1), b)
		},
		"negative crop": func() {
			b := digits.NewBatch(1)
			b.Augmentation.Crop = -1
			digits.GatherBatch(Train, first(1), b)
		},
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestDiabetesIsWhatTheCatalogueSays(t *testing.T) {
	d := mustOpen(t, Source{Path: "diabetes"})
	s := inspect(t, d)
	if s.Task != Regression || s.Train.Samples != 353 || s.Validation.Samples != 89 || s.SampleShape.String() != "[10]" || d.Classes() != 0 {
		t.Fatalf("%+v", s)
	}
	// The well-known figures of this data set are those of all rows.
	if mean := meanOf(d.parts[Train].targets); s.Targets[0].Name != "progression" || math.Abs(mean-152.133484) > 1e-6 {
		t.Errorf("mean %v of %+v", mean, s.Targets[0])
	}
	var bmi []float64
	for i := 2; i < len(d.parts[Train].values); i += 10 {
		bmi = append(bmi, d.parts[Train].values[i])
	}
	if mean := meanOf(bmi); s.Columns[2].Name != "bmi" || slices.Min(bmi) != 18 || slices.Max(bmi) != 42.2 || math.Abs(mean-26.375792) > 1e-6 {
		t.Errorf("mean %v of %+v", mean, s.Columns[2])
	}
	checkOfTraining(t, d, s.Targets[0], func(row int) float64 { return d.parts[Train].targets[row] })
	checkOfTraining(t, d, s.Columns[2], func(row int) float64 { return bmi[row] })
	if len(s.Train.PerClass) != 0 || s.MemoryBytes != 442*(11*8+4) {
		t.Errorf("%v, %d bytes", s.Train.PerClass, s.MemoryBytes)
	}
}

func meanOf(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// checkOfTraining fails unless all figures of a column are those of the training
// rows, and its values standardised by them have mean 0 and variance 1 there.
func checkOfTraining(t *testing.T, d *Dataset, c ColumnSummary, value func(row int) float64) {
	t.Helper()
	var values, scaled, squares []float64
	for _, row := range d.parts[Train].rows {
		v := value(int(row))
		z := (v - c.Mean) / c.StandardDeviation
		values, scaled, squares = append(values, v), append(scaled, z), append(squares, z*z)
	}
	if c.Min != slices.Min(values) || c.Max != slices.Max(values) || math.Abs(meanOf(scaled)) > 1e-9 || math.Abs(meanOf(squares)-1) > 1e-9 {
		t.Errorf("%+v is not of the training rows", c)
	}
}

func TestWineIsWhatTheCatalogueSays(t *testing.T) {
	d := mustOpen(t, Source{Path: "wine"})
	s := inspect(t, d)
	total := []int{0, 0, 0}
	for i := range total {
		total[i] = s.Train.PerClass[i] + s.Validation.PerClass[i]
	}
	if !slices.Equal(total, []int{59, 71, 48}) || s.Train.Samples != 142 || s.Validation.Samples != 36 || s.Name != "wine" {
		t.Errorf("%v, %+v", total, s)
	}
	if c := s.Columns[12]; c.Name != "proline" || c.Min != 278 || c.Max != 1680 { // both in the training split
		t.Errorf("%+v", c)
	}
}

func BenchmarkGatherBatch(b *testing.B) {
	images := colours(b, 256, 32, 32)
	for name, c := range map[string]struct {
		d *Dataset
		a Augmentation
	}{
		"images": {images, Augmentation{}}, "augmented": {images, Augmentation{Flip: true, Crop: 4}},
		"text": {openOpticks(b, Source{}), Augmentation{}},
	} {
		b.Run(name, func(b *testing.B) {
			batch, index := c.d.NewBatch(32), first(32)
			batch.Augmentation = c.a
			b.ReportAllocs()
			for b.Loop() {
				c.d.GatherBatch(Train, index, batch)
			}
		})
	}
}

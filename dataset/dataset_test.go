package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"reprise/tensor"
)

// open opens a source with a library of its own.
func open(t *testing.T, source Source) (*Dataset, error) {
	t.Helper()
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), SystemDir: t.TempDir(), GoProxy: "off"})
	if err != nil {
		t.Fatal(err)
	}
	return library.Open(context.Background(), source)
}

func mustOpen(t *testing.T, source Source) *Dataset {
	t.Helper()
	d, err := open(t, source)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// gather returns all samples of a split, in order.
func gather(d *Dataset, split Split) ([]float32, []int32) {
	n := d.Len(split)
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	b := d.NewBatch(n)
	d.GatherBatch(split, index, b)
	return b.Inputs, b.Labels
}

func TestDigitsAreWhatTheCatalogueSays(t *testing.T) {
	d := mustOpen(t, Source{Path: "digits"})
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	if d.Name() != "digits" || d.Len(Train) != 1437 || d.Len(Validation) != 360 || d.Classes() != 10 || !d.SampleShape().Equal(tensor.Shape{8, 8, 1}) {
		t.Errorf("%s: %d + %d samples of %v in %d classes", d.Name(), d.Len(Train), d.Len(Validation), d.SampleShape(), d.Classes())
	}
	s := inspect(t, d)
	var perClass []int
	for c := range s.Train.PerClass {
		perClass = append(perClass, s.Train.PerClass[c]+s.Validation.PerClass[c])
	}
	// The counts in the data set's description of its 1,797 samples.
	if want := []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; !slices.Equal(perClass, want) {
		t.Errorf("samples per class %v, want %v", perClass, want)
	}
	if s.Values.Min != 0 || s.Values.Max != 16 || s.High != 16 {
		t.Errorf("values %+v", s.Values)
	}
	// The mean in the data set's description is that of both splits.
	sum := 0.0
	for _, split := range []Split{Train, Validation} {
		for i := range d.Len(split) {
			row, _, _ := d.AppendRaw(nil, split, i)
			for _, v := range row {
				sum += v
			}
		}
	}
	if mean := sum / (1797 * 64); math.Abs(mean-4.884165) > 1e-6 {
		t.Errorf("mean %v", mean)
	}
	// The two splits together are the 1,797 samples, each once.
	seen := map[string]bool{}
	for _, split := range []Split{Train, Validation} {
		for i := range d.Len(split) {
			row, label, _ := d.AppendRaw(nil, split, i)
			seen[fmt.Sprint(row, label)] = true
		}
	}
	if len(seen) != 1797 { // no two samples are equal
		t.Errorf("%d different samples", len(seen))
	}
}

func TestFingerprintsArePinned(t *testing.T) {
	// Golden: recorded runs name their data by it.
	dir := t.TempDir()
	iris := writeFile(t, dir, "small.csv", smallCSV)
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{Path: "digits"}, "d2d94e96a7813dd853058f196d38803df113c3ec843d67f482d043712e5703d1"},
		{Source{Path: iris, Target: "kind"}, goldenCSV},
	} {
		if got := mustOpen(t, c.source).Fingerprint(); got != c.want {
			t.Errorf("%v: %s, want %s", c.source, got, c.want)
		}
	}
}

func TestFingerprintIsTheHashOfItsSpecification(t *testing.T) {
	d, err := (&Dataset{name: "tiny", shape: tensor.Shape{1, 2, 1}, classNames: []string{"a", "bc"}, scaling: byteScaling(255),
		parts: splitRows(&block{raw: []byte{1, 2, 3, 4, 5, 6}, labels: []int32{0, 1, 0}}, 3, 1)}).seal()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.parts[Validation].rows) != 1 {
		t.Fatalf("%d validation rows", len(d.parts[Validation].rows))
	}
	number := func(n int) string { return string([]byte{byte(n), 0, 0, 0, 0, 0, 0, 0}) }
	text := number(18) + "reprise.dataset.v1" +
		number(3) + number(1) + number(2) + number(1) +
		number(2) + number(1) + "a" + number(2) + "bc" + number(255)
	for _, p := range d.parts[:Test] { // there is no test split
		text += number(len(p.rows))
		for _, row := range p.rows {
			text += string(p.raw[2*row : 2*row+2])
		}
		for _, row := range p.rows {
			text += number(int(p.labels[row]))
		}
	}
	sum := sha256.Sum256([]byte(text))
	if want := hex.EncodeToString(sum[:]); d.Fingerprint() != want {
		t.Errorf("%s, want %s", d.Fingerprint(), want)
	}
}

func TestFingerprintChangesWithEverythingThatShapesTraining(t *testing.T) {
	build := func(change func(*Dataset)) string {
		b := &block{raw: []byte{1, 2, 3, 4, 5, 6, 7, 8}, labels: []int32{0, 1, 0, 1}}
		d := &Dataset{name: "a", shape: tensor.Shape{2}, classNames: []string{"x", "y"}, scaling: byteScaling(255), parts: splitRows(b, 4, 1)}
		change(d)
		sealed, err := d.seal()
		if err != nil {
			t.Fatal(err)
		}
		return sealed.Fingerprint()
	}
	base := build(func(*Dataset) {})
	for name, change := range map[string]func(*Dataset){
		"value":      func(d *Dataset) { d.parts[Train].raw[3]++ },
		"label":      func(d *Dataset) { d.parts[Train].labels[2] = 1 },
		"shape":      func(d *Dataset) { d.shape = tensor.Shape{2, 1} },
		"class name": func(d *Dataset) { d.classNames = []string{"x", "z"} },
		"classes":    func(d *Dataset) { d.classNames = []string{"x", "y", "z"} },
		"membership": func(d *Dataset) { d.parts = splitRows(d.parts[Train].block, 4, 2) },
		"scaling":    func(d *Dataset) { d.scaling = byteScaling(16) },
	} {
		if build(change) == base {
			t.Errorf("another %s gives the same fingerprint", name)
		}
	}
	if build(func(d *Dataset) { d.name = "b" }) != base {
		t.Error("the name changes the fingerprint")
	}
}

func TestImagesAreSummarisedByChannel(t *testing.T) {
	d := colours(t, 40, 3, 2)
	s := inspect(t, d)
	if len(s.Channels) != 3 || s.Columns != nil {
		t.Fatalf("%+v", s)
	}
	for c, got := range s.Channels {
		var values []float64
		for i := range d.Len(Train) {
			row, _, _ := d.AppendRaw(nil, Train, i)
			for j := c; j < len(row); j += 3 {
				values = append(values, row[j])
			}
		}
		sum, squares := 0.0, 0.0
		for _, v := range values {
			sum += v
		}
		mean := sum / float64(len(values))
		for _, v := range values {
			squares += (v - mean) * (v - mean)
		}
		sd := math.Sqrt(squares / float64(len(values)))
		if got.Name != fmt.Sprintf("channel %d", c+1) || math.Abs(got.Mean-mean) > 1e-9 || math.Abs(got.StandardDeviation-sd) > 1e-9 ||
			got.Min != slices.Min(values) || got.Max != slices.Max(values) {
			t.Errorf("%+v, want mean %v, deviation %v", got, mean, sd)
		}
	}
}

func TestGatherScalesWithOneRounding(t *testing.T) {
	for _, divisor := range []int{16, 255} {
		s := byteScaling(divisor)
		for v, got := range s.table {
			// float64 holds the quotient to more than twice the digits, so that
			// rounding it again gives the correctly rounded float32.
			if want := float32(float64(v) / float64(divisor)); got != want {
				t.Errorf("%d / %d = %v, want %v", v, divisor, got, want)
			}
		}
	}
	d := mustOpen(t, Source{Path: "digits"})
	b := d.NewBatch(2)
	d.GatherBatch(Validation, []int{359, 0}, b)
	x, labels := b.Inputs, b.Labels
	for i, at := range []int{359, 0} {
		raw, label, _ := d.AppendRaw(nil, Validation, at)
		if labels[i] != label {
			t.Errorf("label of %d is %d, want %d", at, labels[i], label)
		}
		for j, v := range raw {
			if x[i*64+j] != float32(v)/16 {
				t.Fatalf("sample %d, value %d is %v, want %v/16", at, j, x[i*64+j], v)
			}
		}
	}
}

func TestDatasetServesManyGoroutines(t *testing.T) {
	d := mustOpen(t, Source{Path: "digits"})
	want, wantLabels := gather(d, Train)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, labels := gather(d, Train)
			if !slices.Equal(got, want) || !slices.Equal(labels, wantLabels) {
				t.Error("another content")
			}
			inspect(t, d)
		})
	}
	wg.Wait()
}

func TestReturnedSlicesAreCopies(t *testing.T) {
	d := mustOpen(t, Source{Path: "digits"})
	d.SampleShape()[0] = 99
	d.ClassNames()[0] = "changed"
	if d.SampleShape()[0] != 8 || d.ClassNames()[0] != "0" {
		t.Error("the data set changed through what it handed out")
	}
}

func TestOnlyAnOpenedDatasetIsValid(t *testing.T) {
	if err := mustOpen(t, Source{Path: "digits"}).Validate(); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]*Dataset{"nil": nil, "zero": {}} {
		if d.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOpeningRefusesWhatCannotBeTrainedOn(t *testing.T) {
	good := func() *Dataset {
		b := &block{raw: []byte{1, 2, 3, 4}, labels: []int32{0, 1}}
		return &Dataset{name: "a", shape: tensor.Shape{2}, features: 2, classNames: []string{"x", "y"}, scaling: byteScaling(255), parts: splitRows(b, 2, 1)}
	}
	if err := good().check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Dataset) *Dataset{
		"nil":              func(*Dataset) *Dataset { return nil },
		"zero":             func(*Dataset) *Dataset { return &Dataset{} },
		"one class":        func(d *Dataset) *Dataset { d.classNames = d.classNames[:1]; return d },
		"too many classes": func(d *Dataset) *Dataset { d.classNames = make([]string, MaxClasses+1); return d },
		"negative label":   func(d *Dataset) *Dataset { d.parts[Train].labels[0] = -1; return d },
		"label too large":  func(d *Dataset) *Dataset { d.parts[Train].labels[1] = 2; return d },
		"values missing":   func(d *Dataset) *Dataset { d.parts[Train].raw = d.parts[Train].raw[:3]; return d },
		"other shape":      func(d *Dataset) *Dataset { d.shape = tensor.Shape{3}; return d },
		"empty shape":      func(d *Dataset) *Dataset { d.shape, d.features = tensor.Shape{0}, 0; return d },
		"no validation":    func(d *Dataset) *Dataset { d.parts[Validation] = part{}; return d },
	} {
		if err := change(good()).check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSplitTakesAtLeastOneAndLeavesOne(t *testing.T) {
	for _, c := range []struct {
		n        int
		fraction float64
		want     int
	}{
		{2, 0.001, 1}, {2, 0.999, 1}, {3, 0.5, 2}, {5, 0.2, 1}, {6, 0.2, 2}, {1797, 0.2, 360}, {100, 0.07, 7}, {150, 0.1, 15},
		{1000000, 0.3, 300000}, {10, 0.99, 9}, {10, 1e-300, 1},
		{2_000_000_001, 0.2, 400_000_001}, {2_000_000_002, 0.2, 400_000_001}, {2_000_000_000, 0.07, 140_000_000},
		{200_000_001, 0.05, 10_000_001}, {50_000_005, 0.1234, 6_170_001},
	} {
		if got := currentReading.validationRows(c.n, c.fraction); got != c.want {
			t.Errorf("%v of %d: %d rows, want %d", c.fraction, c.n, got, c.want)
		}
	}
	// Runs recorded over so much data keep their split.
	for _, r := range []reading{firstReading, secondReading} {
		if got := r.validationRows(2_000_000_001, 0.2); got != 400_000_000 {
			t.Errorf("by earlier rules: %d rows", got)
		}
	}
}

func TestSplitsPartTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 500).Draw(t, "n")
		validation := rapid.IntRange(1, n-1).Draw(t, "validation")
		parts := splitRows(&block{labels: make([]int32, n)}, n, validation)
		all := slices.Concat(parts[Train].rows, parts[Validation].rows)
		if len(parts[Validation].rows) != validation || len(all) != n {
			t.Fatalf("%d and %d rows of %d", len(parts[Train].rows), len(parts[Validation].rows), n)
		}
		for _, p := range parts {
			if !slices.IsSorted(p.rows) {
				t.Fatalf("rows out of order: %v", p.rows)
			}
		}
		slices.Sort(all)
		for i, row := range all {
			if int(row) != i {
				t.Fatalf("row %d is missing or there twice: %v", i, all)
			}
		}
	})
}

func inspect(t testing.TB, d *Dataset) Summary {
	t.Helper()
	s, err := d.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// mixed is a table with a column of each kind, missing cells and rows that are left out.
func mixed(t *testing.T, rows int) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("amount,share,shape,when,yes,remark,farm,price,kind\n")
	for i := range rows {
		amount, shape, when, yes := fmt.Sprint(float64(i*i%97)/7), []string{"<round>", "flat & wide", "tall", ""}[i%4], fmt.Sprintf("2024-%02d-%02d", 1+i%12, 1+i%28), []string{"yes", "no", ""}[i%3]
		if i%11 == 0 {
			amount = "NA"
		}
		kind := []string{"a", "b", "c"}[i*7%3]
		if i%50 == 49 {
			kind = ""
		}
		fmt.Fprintf(&text, "%s,%g,%s,%s,%s,the animal number %d was seen again%s,farm %d,%g,%s\n", amount, float64(i%13)/3, shape, when, yes, i, strings.Repeat(" by the old gate at noon", 6), i%9, float64(i*5%31)/4, kind)
	}
	path := filepath.Join(t.TempDir(), "mixed.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openWith(t *testing.T, config Config, source Source) *Dataset {
	t.Helper()
	d, err := openErr(t, config, source)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openErr(t *testing.T, config Config, source Source) (*Dataset, error) {
	t.Helper()
	l, err := NewLibrary(config)
	if err != nil {
		t.Fatal(err)
	}
	return l.Open(t.Context(), source)
}

// inFile reports whether the values of a data set are in a file.
func inFile(d *Dataset) bool { return d.InFile() }

func equalData(t *testing.T, got, want *Dataset) {
	t.Helper()
	if got.Fingerprint() != want.Fingerprint() || got.PreprocessingHash() != want.PreprocessingHash() {
		t.Fatalf("fingerprint %s, document %s; want %s and %s", got.Fingerprint(), got.PreprocessingHash(), want.Fingerprint(), want.PreprocessingHash())
	}
	if computed, err := got.computeFingerprint(); err != nil || computed != want.Fingerprint() {
		t.Errorf("the values have the fingerprint %s, %v; want %s", computed, err, want.Fingerprint())
	}
	for split := range Split(splits) {
		n := want.Len(split)
		if got.Len(split) != n {
			t.Fatalf("%v: %d samples, want %d", split, got.Len(split), n)
		}
		a, b := got.NewBatch(n), want.NewBatch(n)
		index := make([]int, n)
		for i := range index {
			index[i] = n - 1 - i
		}
		if err := errors.Join(got.GatherBatch(split, index, a), want.GatherBatch(split, index, b)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Inputs, b.Inputs) || !slices.Equal(a.Labels, b.Labels) || !slices.Equal(a.Targets, b.Targets) {
			t.Errorf("%v: the samples differ", split)
		}
		for i := range n {
			x, label, err := got.AppendRaw(nil, split, i)
			y, other, otherErr := want.AppendRaw(nil, split, i)
			if fmt.Sprint(x, label, err) != fmt.Sprint(y, other, otherErr) {
				t.Fatalf("%v: sample %d is %v %d %v, want %v %d %v", split, i, x, label, err, y, other, otherErr)
			}
		}
	}
	a, b := inspect(t, got), inspect(t, want)
	a.MemoryBytes, b.MemoryBytes = 0, 0
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\nwant %+v", a, b)
	}
}

const testRowsOf = 300

// little is memory that is enough for the rows of mixed, and not for their values.
const little = testRowsOf * (rowMemory + 2*quantityMemory + keyMemory)

func TestATableInAFileIsTheSameDataSet(t *testing.T) {
	path := mixed(t, testRowsOf)
	for name, source := range map[string]Source{
		"classes":    {Target: "kind"},
		"quantities": {Target: "amount,price", Task: Regression, Table: TableOptions{Split: SplitOptions{TestFraction: 0.2}}},
		"groups":     {Target: "kind", Table: TableOptions{Split: SplitOptions{Method: SplitGroup, Column: "farm"}}},
		"times":      {Target: "kind", Table: TableOptions{Split: SplitOptions{Method: SplitTime, Column: "when"}}},
		"embedded and dropped": {Target: "kind", Table: TableOptions{
			Columns: `{"shape":{"kind":"category","encode":"embedding"},"amount":{"missing":"drop"},"share":{"missing":"median"},"remark":{"kind":"text","max_tokens":40}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			source.Path = path
			want := openWith(t, Config{}, source)
			if inFile(want) {
				t.Fatal("a small table is in a file")
			}
			config := Config{CacheDir: t.TempDir(), Memory: little}
			packed := openWith(t, config, source)
			if files := filesIn(t, config); !inFile(packed) || len(files) > 0 {
				t.Fatalf("in a file: %t; the cache has %q", inFile(packed), files)
			}
			equalData(t, packed, want)
			if notes := fmt.Sprint(packed.Notes()); !strings.Contains(notes, "which is removed afterwards") {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// numbers is a table that has nothing but numbers.
func numbers(t *testing.T, rows int) string {
	t.Helper()
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "x%d,", i)
	}
	text.WriteString("price,kind\n")
	for i := range rows {
		for j := range 30 {
			fmt.Fprintf(&text, "%g,", float64((i+j)*(i-j)%89)/3+1e9*float64(j/29))
		}
		fmt.Fprintf(&text, "%g,%d\n", float64(i*5%31)/4, i%3)
	}
	path := filepath.Join(t.TempDir(), "numbers.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNumbersInAFileAreTheSameDataSet(t *testing.T) {
	path := numbers(t, testRowsOf)
	for name, source := range map[string]Source{
		"classes":    {Target: "kind"},
		"quantities": {Target: "price,x3", Task: Regression, ValidationFraction: 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			source.Path = path
			want := openWith(t, Config{}, source)
			if inFile(want) || want.table != nil {
				t.Fatalf("in a file: %t, or not a table of numbers", inFile(want))
			}
			config := Config{CacheDir: t.TempDir(), Memory: testRowsOf * (rowMemory + 2*quantityMemory)}
			fresh := openWith(t, config, source)
			if files := filesIn(t, config); !inFile(fresh) || len(files) > 0 || !strings.Contains(fmt.Sprint(fresh.Notes()), "which is removed afterwards") {
				t.Errorf("in a file: %t; the cache has %q; notes %q", inFile(fresh), files, fresh.Notes())
			}
			equalData(t, fresh, want)
			unkept := openWith(t, Config{TempDir: config.CacheDir, Memory: config.Memory}, source)
			if !inFile(unkept) {
				t.Error("in memory, though there is a folder for what is not kept")
			}
			equalData(t, unkept, want)
			_, err := openErr(t, Config{Memory: config.Memory}, source)
			if err == nil || !strings.Contains(err.Error(), "cannot be kept in a file") {
				t.Errorf("a limit that cannot be held: %v", err)
			}
			_, err = openErr(t, Config{CacheDir: t.TempDir(), Memory: 5000}, source)
			if err == nil || !strings.Contains(err.Error(), "of memory even if their values are kept in a file, more than the limit of 4.8 KiB") {
				t.Errorf("a limit that is too small: %v", err)
			}
			p := packing{limit: 5000} // of which nobody said that it must hold
			inMemory, err := currentReading.openCSVOrTable(t.Context(), source, p)
			if err != nil {
				t.Fatal(err)
			}
			equalData(t, inMemory, want)
			if notes := fmt.Sprint(inMemory.Notes()); !strings.Contains(notes, "cannot be kept in a file") {
				t.Errorf("notes %q do not say that the data are in memory", notes)
			}
		})
	}
}

// A mistake is found in the same place, and leaves no file.
func TestMistakesOfATableInAFile(t *testing.T) {
	path := numbers(t, testRowsOf)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a word": {"\n0.333333,", "\nword,"}, "out of scale": {"\n0.333333,", "\n1e300,"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(strings.Replace(string(content), change[0], change[1], 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			source := Source{Path: path, Target: "kind"}
			_, want := openErr(t, Config{}, source)
			config := Config{CacheDir: t.TempDir(), Memory: testRowsOf * rowMemory}
			_, got := openErr(t, config, source)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("error %v, want %v", got, want)
			}
			if files := filesIn(t, config); want != nil && len(files) > 0 {
				t.Errorf("the cache has %q", files)
			}
		})
	}
}

func filesIn(t *testing.T, config Config) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(config.CacheDir, packedFolder, "*"))
	hidden, hiddenErr := filepath.Glob(filepath.Join(config.CacheDir, packedFolder, ".*"))
	if err := errors.Join(err, hiddenErr); err != nil {
		t.Fatal(err)
	}
	return append(files, hidden...)
}

func TestAChangedCellIsFound(t *testing.T) {
	source := Source{Path: mixed(t, testRowsOf), Target: "kind"}
	config := Config{CacheDir: t.TempDir(), Memory: little}
	before := openWith(t, config, source)
	content, err := os.ReadFile(source.Path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(content), "number 5 was", "number 6 was", 1)
	if err := os.WriteFile(source.Path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	after := openWith(t, config, source)
	if after.Fingerprint() == before.Fingerprint() {
		t.Error("the data set is the one before the change")
	}
	equalData(t, after, openWith(t, Config{}, source))
}

func TestWhereNoFileCanBeWritten(t *testing.T) {
	source := Source{Path: mixed(t, testRowsOf), Target: "kind"}
	want := openWith(t, Config{}, source)
	noFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(noFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	d := openWith(t, Config{CacheDir: noFolder, TempDir: temp, Memory: little}, source)
	if !inFile(d) {
		t.Error("the data are in memory, though there is a folder for what is not kept")
	}
	equalData(t, d, want)
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	_, err := openErr(t, Config{CacheDir: noFolder, Memory: little}, source)
	if err == nil || !strings.Contains(err.Error(), "cannot be kept in a file") || !strings.Contains(err.Error(), "allow more memory") {
		t.Errorf("a limit that cannot be held: %v", err)
	}
	l, err := NewLibrary(Config{CacheDir: noFolder})
	if err != nil {
		t.Fatal(err)
	}
	p := l.packing()
	p.limit = little // of which nobody said that it must hold
	inMemory, err := currentReading.openTable(t.Context(), source, p)
	if err != nil {
		t.Fatal(err)
	}
	equalData(t, inMemory, want)
	if notes := fmt.Sprint(inMemory.Notes()); !strings.Contains(notes, "cannot be kept in a file") {
		t.Errorf("notes %q do not say that the data are in memory", notes)
	}
}

func TestALimitThatIsTooSmallIsRefused(t *testing.T) {
	source := Source{Path: mixed(t, testRowsOf), Target: "kind"}
	_, err := openErr(t, Config{CacheDir: t.TempDir(), Memory: 1000}, source)
	if err == nil || !strings.Contains(err.Error(), "300 rows take 14 KiB of memory even if") {
		t.Errorf("error %v", err)
	}
}

func TestTwoThatPackAtOnceDoNotDisturbEachOther(t *testing.T) {
	source := Source{Path: mixed(t, testRowsOf), Target: "kind"}
	want := openWith(t, Config{}, source)
	config := Config{CacheDir: t.TempDir(), Memory: little}
	opened := make(chan *Dataset)
	for range 4 {
		go func() {
			l, err := NewLibrary(config)
			var d *Dataset
			if err == nil {
				d, err = l.Open(t.Context(), source)
			}
			if err != nil {
				t.Error(err)
			}
			opened <- d
		}()
	}
	for range 4 {
		if d := <-opened; d != nil {
			equalData(t, d, want)
		}
	}
	if files := filesIn(t, config); len(files) > 0 {
		t.Errorf("the cache has %q", files)
	}
}

func TestPackingEndsWithItsContext(t *testing.T) {
	source := Source{Path: mixed(t, testRowsOf), Target: "kind"}
	config := Config{CacheDir: t.TempDir(), Memory: little}
	openWith(t, config, source)
	l, err := NewLibrary(config)
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := l.Open(ended, source); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if files := filesIn(t, config); len(files) > 0 {
		t.Errorf("the cache has %q", files)
	}
}

func TestImagesInAFileAreTheSameDataSet(t *testing.T) {
	folder := t.TempDir()
	var list strings.Builder
	list.WriteString("file,kind\n")
	for i := range 30 {
		pixels := make([]byte, 64)
		for j := range pixels {
			pixels[j] = byte(i * (j + 3))
		}
		name := fmt.Sprintf("%s/%d.png", []string{"cat", "dog"}[i%2], i)
		writePNG(t, filepath.Join(folder, name), 8, pixels...)
		fmt.Fprintf(&list, "%s,%s\n", name, []string{"x", "y", "z"}[i%3])
	}
	table := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(table, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]Source{
		"folder": {Path: folder}, "resized": {Path: folder, Image: ImageOptions{Size: [2]int{6, 5}, Channels: 3}},
		"table": {Path: table, Target: "kind", Table: TableOptions{Root: folder}},
	} {
		t.Run(name, func(t *testing.T) {
			want := openWith(t, Config{}, source)
			temp := t.TempDir()
			got := openWith(t, Config{TempDir: temp, Memory: 1000}, source)
			if inFile(want) || !inFile(got) {
				t.Errorf("in files: %t, %t", inFile(want), inFile(got))
			}
			equalData(t, got, want)
			index := first(got.Len(Train))
			a, b := got.NewBatch(len(index)), want.NewBatch(len(index))
			a.Augmentation = Augmentation{Flip: true, Crop: 1}
			b.Augmentation = a.Augmentation
			if err := errors.Join(got.GatherBatch(Train, index, a), want.GatherBatch(Train, index, b)); err != nil || !slices.Equal(a.Inputs, b.Inputs) {
				t.Errorf("augmented batches differ, or %v", err)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
			_, err := openErr(t, Config{Memory: 1000}, source)
			if err == nil || !strings.Contains(err.Error(), "take more than 1000 B of memory, and cannot be kept in a file") {
				t.Errorf("a limit that cannot be held: %v", err)
			}
		})
	}
}

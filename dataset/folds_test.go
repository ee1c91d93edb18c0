package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/fault"
)

// drawFolds draws a number of rows, of folds that they suffice for, and of rows for the test.
func drawFolds(t *rapid.T) (n, test int, o SplitOptions) {
	o = SplitOptions{Folds: rapid.IntRange(2, 12).Draw(t, "folds"), Seed: rapid.Uint64().Draw(t, "seed"),
		TestFraction: rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "test")}
	n = rapid.IntRange(o.Folds, 300).Draw(t, "rows")
	return n, testRows(n, o.Folds-1, o.TestFraction), o
}

// foldOfEach returns the fold, from 1, that each row is for validation in, and 0 for rows of
// the test. It fails unless that is one fold for each, and the test is the same in all folds.
func foldOfEach(t interface{ Fatalf(string, ...any) }, o SplitOptions, n int, split func(o SplitOptions) []Split) []int {
	in := make([]int, n)
	var first []Split
	for o.Fold = 1; o.Fold <= o.Folds; o.Fold++ {
		of := split(o)
		if len(of) != n {
			t.Fatalf("fold %d has %d rows of %d", o.Fold, len(of), n)
		}
		if first == nil {
			first = of
		}
		for row, s := range of {
			if (s == Test) != (first[row] == Test) {
				t.Fatalf("row %d is in the %v split of fold %d, and the %v split of fold 1", row, s, o.Fold, first[row])
			}
			if s == Validation {
				if in[row] != 0 {
					t.Fatalf("row %d is for validation in folds %d and %d", row, in[row], o.Fold)
				}
				in[row] = o.Fold
			}
		}
	}
	for row, fold := range in {
		if fold == 0 && first[row] != Test {
			t.Fatalf("row %d is for validation in no fold", row)
		}
	}
	return in
}

// checkEven fails unless the folds have numbers of rows that differ by at most one.
func checkEven(t interface{ Fatalf(string, ...any) }, in []int, folds int, what string) {
	sizes := make([]int, folds)
	for _, fold := range in {
		if fold > 0 {
			sizes[fold-1]++
		}
	}
	if slices.Max(sizes)-slices.Min(sizes) > 1 {
		t.Fatalf("folds have %v %s", sizes, what)
	}
}

func TestFoldsAreDisjointCompleteAndEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, test, o := drawFolds(t)
		in := foldOfEach(t, o, n, func(o SplitOptions) []Split { return foldAtRandom(n, test, o) })
		checkEven(t, in, o.Folds, "rows")
		if got := n - len(slices.DeleteFunc(slices.Clone(in), func(f int) bool { return f == 0 })); got != test {
			t.Fatalf("%d rows for the test, want %d", got, test)
		}
	})
}

func TestStratifiedFoldsAreEvenInEachClass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, test, o := drawFolds(t)
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		labels := rapid.SliceOfN(rapid.Int32Range(0, int32(classes-1)), n, n).Draw(t, "labels")
		in := foldOfEach(t, o, n, func(o SplitOptions) []Split { return foldStratified(labels, classes, test, o) })
		checkEven(t, in, o.Folds, "rows")
		free := 0
		for c := range classes {
			var of []int
			for row, fold := range in {
				if labels[row] == int32(c) {
					of = append(of, fold)
				}
			}
			if len(of) == 0 {
				continue
			}
			free += max(len(of)-2, 0)
			checkEven(t, of, o.Folds, fmt.Sprintf("rows of class %d", c))
		}
		inTest := 0
		for _, fold := range in {
			if fold == 0 {
				inTest++
			}
		}
		if want := min(test, free); inTest != want {
			t.Fatalf("%d rows for the test, want %d", inTest, want)
		}
	})
}

func TestFoldsNeverDivideAGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups, test, o := drawFolds(t)
		groupOf := make([]int32, 0, 2*groups)
		for g := range groups {
			for range rapid.IntRange(1, 3).Draw(t, "rows") {
				groupOf = append(groupOf, int32(g))
			}
		}
		in := foldOfEach(t, o, len(groupOf), func(o SplitOptions) []Split { return foldByGroup(groupOf, groups, test, o) })
		foldOfGroup := map[int32]int{}
		for row, g := range groupOf {
			if fold, ok := foldOfGroup[g]; ok && fold != in[row] {
				t.Fatalf("group %d is in folds %d and %d", g, fold, in[row])
			}
			foldOfGroup[g] = in[row]
		}
		list := make([]int, 0, groups)
		for _, fold := range foldOfGroup {
			list = append(list, fold)
		}
		checkEven(t, list, o.Folds, "groups")
	})
}

func TestTheSeedChangesTheFolds(t *testing.T) {
	labels := make([]int32, 100)
	for name, split := range map[string]func(o SplitOptions) []Split{
		"random":     func(o SplitOptions) []Split { return foldAtRandom(100, 0, o) },
		"stratified": func(o SplitOptions) []Split { return foldStratified(labels, 1, 0, o) },
		"group": func(o SplitOptions) []Split {
			groupOf := make([]int32, 100)
			for i := range groupOf {
				groupOf[i] = int32(i)
			}
			return foldByGroup(groupOf, 100, 0, o)
		},
	} {
		one, again, two := split(SplitOptions{Folds: 5, Fold: 1, Seed: 1}), split(SplitOptions{Folds: 5, Fold: 1, Seed: 1}), split(SplitOptions{Folds: 5, Fold: 1, Seed: 2})
		if slices.Equal(one, two) || !slices.Equal(one, again) {
			t.Errorf("%s: the folds do not follow the seed", name)
		}
	}
}

// writeFoldTable writes a table of 23 rows: 12 of class a, 8 of b, 3 of c, in seven farms.
func writeFoldTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("size,farm,day,kind\n")
	for i := range 23 {
		fmt.Fprintf(&b, "%d,farm %d,2024-01-%02d,%s\n", i*i%17, i%7, i+1, []string{"a", "b", "c"}[min(i/12+i/20, 2)])
	}
	path := filepath.Join(t.TempDir(), "animals.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFold(ctx context.Context, t *testing.T, source Source) (*Dataset, error) {
	t.Helper()
	library, err := NewLibrary(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return library.Open(ctx, source)
}

// Every row is judged once, and each fold learns its preprocessing from its own rows.
func TestATableHasFolds(t *testing.T) {
	path := writeFoldTable(t)
	fingerprints := map[string]int{}
	rows := 0
	for fold := 1; fold <= 5; fold++ {
		d, err := openFold(t.Context(), t, Source{Path: path, Target: "kind", Table: TableOptions{Split: SplitOptions{Folds: 5, Fold: fold, TestFraction: 0.1}}})
		if err != nil {
			t.Fatal(err)
		}
		if d.Len(Test) != 3 || d.Len(Train)+d.Len(Validation) != 20 || d.Len(Validation) != 4 {
			t.Errorf("fold %d has %d, %d and %d rows", fold, d.Len(Train), d.Len(Validation), d.Len(Test))
		}
		rows += d.Len(Validation)
		fingerprints[d.Fingerprint()] = fold
		if notes := strings.Join(d.Notes(), "\n"); strings.Count(notes, "fewer than the 5 folds") != 1 || !strings.Contains(notes, `class "c" has 3 rows`) {
			t.Errorf("fold %d: %s", fold, notes)
		}
	}
	if rows != 20 || len(fingerprints) != 5 {
		t.Errorf("%d rows are judged, by %d different folds", rows, len(fingerprints))
	}
}

func TestFoldsThatMakeNoSense(t *testing.T) {
	path := writeFoldTable(t)
	for name, c := range map[string]struct {
		change func(s *Source)
		fields []string
		words  string
	}{
		"one fold":                    {func(s *Source) { s.Table.Split.Folds, s.Table.Split.Fold = 1, 1 }, []string{FieldFolds}, "is not from 2 to 1000"},
		"too many for a Library":      {func(s *Source) { s.Table.Split.Folds = 1001 }, []string{FieldFolds}, "is not from 2 to 1000"},
		"no fold":                     {func(s *Source) { s.Table.Split.Fold = 0 }, []string{FieldFold}, "is none of the 5 folds"},
		"a fold beyond the last":      {func(s *Source) { s.Table.Split.Fold = 6 }, []string{FieldFold}, "is none of the 5 folds"},
		"a fold of none":              {func(s *Source) { s.Table.Split.Folds = 0 }, []string{FieldFold}, "no meaning without folds"},
		"more than rows":              {func(s *Source) { s.Table.Split.Folds = 24 }, []string{FieldFolds}, "is too many for 23 rows"},
		"more than rows beside tests": {func(s *Source) { s.Table.Split.Folds, s.Table.Split.TestFraction = 23, 0.2 }, []string{FieldSplit + ".test_fraction"}, "leaves no row for the test"},
		"more than groups": {func(s *Source) {
			s.Table.Split = SplitOptions{Method: SplitGroup, Column: "farm", Folds: 8, Fold: 1}
		}, []string{FieldFolds}, "is too many for 7 different values"},
		"by time": {func(s *Source) { s.Table.Split.Method, s.Table.Split.Column = SplitTime, "day" }, []string{FieldFolds}, "later than those it is judged by"},
		"everything at once": {func(s *Source) {
			s.ValidationFraction, s.Table.Split = 0.3, SplitOptions{Method: SplitFiles, ValidationPath: path, Folds: 5, Fold: 7, TestFraction: 0.1}
		}, []string{FieldSplit + ".test_fraction", FieldFold, FieldFolds, FieldValidationFraction}, "which names the rows for validation"},
		"the catalogue": {func(s *Source) { s.Path, s.Target = "wine", "" }, []string{FieldFolds}, "folds are for tables and folders of images"},
		"a text": {func(s *Source) {
			s.Path, s.Target = filepath.Join(filepath.Dir(path), "poem.txt"), ""
			if err := os.WriteFile(s.Path, []byte("roses are red"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.Task = NextToken
		}, []string{FieldFolds}, "folds are for tables and folders of images"},
	} {
		t.Run(name, func(t *testing.T) {
			source := Source{Path: path, Target: "kind", Table: TableOptions{Split: SplitOptions{Folds: 5, Fold: 1}}}
			c.change(&source)
			_, err := openFold(t.Context(), t, source)
			var fields []string
			for _, part := range fault.Parts(err) {
				var bad *fault.FieldError
				if errors.As(part, &bad) {
					fields = append(fields, bad.Field)
				}
			}
			if !slices.Equal(fields, c.fields) || !strings.Contains(fmt.Sprint(err), c.words) {
				t.Errorf("%v, of the fields %v; want %v and %q", err, fields, c.fields, c.words)
			}
		})
	}
}

// The row of a class that has no other is for validation in some fold, which cannot have
// learned the class.
func TestAClassOfOneRowCannotBeFolded(t *testing.T) {
	o := SplitOptions{Folds: 2, Fold: 1}
	labels := []int32{0, 0, 0, 1, 2, 2}
	if _, _, err := foldOf(len(labels), labels, []string{"a", "b", "c"}, o); err == nil || !strings.Contains(err.Error(), `class "b" has one`) {
		t.Errorf("%v", err)
	}
	o.Method = SplitRandom
	if _, notes, err := foldOf(len(labels), labels, []string{"a", "b", "c"}, o); err != nil || len(notes) > 0 {
		t.Errorf("%v, %v", notes, err)
	}
}

func TestAFolderOfImagesHasFoldsOfItsImagesForTraining(t *testing.T) {
	root := pets(t, 20)
	judged := map[string]bool{}
	for fold := 1; fold <= 4; fold++ {
		d := mustOpen(t, Source{Path: root, Table: TableOptions{Split: SplitOptions{Folds: 4, Fold: fold}}})
		if counts := d.ClassCounts(Validation); d.Len(Train) != 15 || d.Len(Validation) != 5 || counts[0] < 2 || counts[1] < 2 {
			t.Errorf("fold %d: %d for training, %v for validation", fold, d.Len(Train), counts)
		}
		for i := range d.Len(Validation) {
			row, _, err := d.AppendRaw(nil, Validation, i)
			if err != nil {
				t.Fatal(err)
			}
			judged[fmt.Sprint(row)] = true
		}
	}
	if len(judged) != 20 {
		t.Errorf("%d of 20 images are judged", len(judged))
	}

	split := t.TempDir()
	for i := range 12 {
		writePNG(t, filepath.Join(split, []string{"train", "train", "test"}[i%3], []string{"cat", "dog"}[i%2], fmt.Sprintf("%d.png", i)), 1, byte(i))
	}
	source := Source{Path: split, Table: TableOptions{Split: SplitOptions{Folds: 2, Fold: 2}}}
	if d := mustOpen(t, source); d.Len(Train) != 4 || d.Len(Validation) != 4 || d.Len(Test) != 4 {
		t.Errorf("%d + %d + %d beside a folder test", d.Len(Train), d.Len(Validation), d.Len(Test))
	}
	if err := os.Rename(filepath.Join(split, "test"), filepath.Join(split, "val")); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, source)
	var bad *fault.FieldError
	if !errors.As(err, &bad) || bad.Field != FieldFolds || !strings.Contains(bad.Problem, "images for validation of its own (val)") {
		t.Errorf("%v", err)
	}
}

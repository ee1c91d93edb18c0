package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const smallTargets = `a,y,"b,c",z
1,10,0.5,-1
2,20,0.25,1
3,35,0.125,-2
4,40,1,2
5,55,2,7
`

func openTargets(t *testing.T, text, target string) (*Dataset, error) {
	t.Helper()
	return currentReading.openCSV(context.Background(), Source{Path: writeFile(t, t.TempDir(), "data.csv", text), Task: Regression, Target: target})
}

func TestTargetsAreStandardisedAndRestored(t *testing.T) {
	for target, c := range map[string]struct{ targets, features []string }{
		"y":         {[]string{"y"}, []string{"a", "b,c", "z"}},
		"z, y":      {[]string{"z", "y"}, []string{"a", "b,c"}},
		"b,c":       {[]string{"b,c"}, []string{"a", "y", "z"}}, // a column of that name
		`a,"b,c",z`: {[]string{"a", "b,c", "z"}, []string{"y"}},
	} {
		d, err := openTargets(t, smallTargets, target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		var names []string
		for _, y := range d.Targets() {
			names = append(names, y.Name)
		}
		if !slices.Equal(names, c.targets) || !slices.Equal(d.ColumnNames(), c.features) || d.TargetsPerSample() != len(names) {
			t.Errorf("%s: targets %q, features %q", target, names, d.ColumnNames())
		}
		lines := strings.Split(strings.TrimSpace(smallTargets), "\n")[1:]
		place := map[string]int{"a": 0, "y": 1, "b,c": 2, "z": 3}
		batch := d.NewBatch(5)
		sum, squares := make([]float64, len(names)), make([]float64, len(names))
		for _, split := range []Split{Train, Validation} {
			n := d.Len(split)
			d.GatherBatch(split, first(n), batch)
			for i := range n {
				cells := strings.Split(lines[d.parts[split].row(i)], ",")
				for j, y := range d.Targets() {
					v := batch.Targets[i*len(names)+j]
					if got := y.Restore(v); math.Abs(got-cellNumber(t, cells[place[y.Name]])) > 1e-5 {
						t.Errorf("%s, %v sample %d: %s is restored as %v, want %s", target, split, i, y.Name, got, cells[place[y.Name]])
					}
					if split == Train {
						sum[j] += float64(v)
						squares[j] += float64(v) * float64(v)
					}
				}
			}
		}
		for j := range names {
			if n := float64(d.Len(Train)); math.Abs(sum[j]) > 1e-6*n || math.Abs(squares[j]/n-1) > 1e-6 {
				t.Errorf("%s: %s has mean %v and variance %v in training", target, names[j], sum[j]/n, squares[j]/n)
			}
		}
	}
}

func cellNumber(t *testing.T, cell string) (v float64) {
	t.Helper()
	if _, err := fmt.Sscan(cell, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFingerprintsOfTargetsArePinned(t *testing.T) {
	// Golden: recorded runs name their data by it.
	if got := mustOpen(t, Source{Path: "diabetes"}).Fingerprint(); got != "abe8da47ea2d09686b5b1874515f11f8e6d50f6e123aaa6c5a79a117aed43bb7" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for _, target := range []string{"y", "z", "y,z", "z,y"} {
		d, err := openTargets(t, smallTargets, target)
		if err != nil {
			t.Fatal(err)
		}
		seen[d.Fingerprint()] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d different fingerprints of 4 different data sets", len(seen))
	}
}

func TestTargetsThatCannotBeLearntAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a name":    {"x,y\n1,2\n2,high\n3,4\n", []string{"line 3", `column "y"`, `"high" is not a number`}},
		"empty":     {"x,y\n1,2\n2,\n3,4\n", []string{"line 3", `column "y"`, "the cell is empty"}},
		"missing":   {"x,y\n1,2\n2,NaN\n3,4\n", []string{"missing value"}},
		"constant":  {"x,y\n1,7\n2,7\n3,7\n4,7\n", []string{`column "y"`, "7 is the target of every training row"}},
		"one row":   {"x,y\n1,7\n", []string{"1 row below"}},
		"no column": {"y\n7\n8\n", []string{"the target is the only column"}},
		"cells":     {"x,y\n1,7,8\n", []string{"3 cells do not fit the 2 columns"}},
		"too large": {"x,y\n1,1e39\n2,1\n", []string{"too large for a 32-bit float"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openTargets(t, c.text, "y")
			checkDataError(t, err, c.want...)
		})
	}
	for name, c := range map[string]struct {
		target string
		want   []string
	}{
		"none":    {"", []string{"name the column to predict"}},
		"unknown": {"w", []string{`"w" is not a column`}},
		"of list": {"y,w", []string{`"w" is not a column`}},
		"twice":   {"y,y", []string{`"y" is named twice`}},
	} {
		_, err := openTargets(t, smallTargets, c.target)
		checkFieldError(t, name, err, FieldTarget, c.want...)
	}
	_, err := open(t, Source{Path: writeFile(t, t.TempDir(), "data.csv", smallTargets), Target: "y,z"})
	checkFieldError(t, "a list of classes", err, FieldTarget, `"y,z" is not a column`)
}

func TestAColumnMayBeLearntEitherWay(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data.csv", "x,y\n1,0\n2,1\n3,0\n4,1\n5,1\n6,0\n")
	for _, task := range []Task{"", Classification, Regression} {
		d := mustOpen(t, Source{Path: path, Task: task, Target: "y"})
		want := task
		if task == "" {
			want = Classification
		}
		if d.Task() != want || d.Name() != filepath.Base(path) {
			t.Errorf("%s: %s", task, d.Task())
		}
	}
}

func TestTargetsThatAreNotFiniteAreNotValid(t *testing.T) {
	d := mustOpen(t, Source{Path: "diabetes"})
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		changed := *d
		b := *d.parts[Train].block
		b.targets = slices.Clone(b.targets)
		b.targets[d.parts[Validation].rows[0]] = bad
		changed.parts = d.parts
		changed.parts[Train].block, changed.parts[Validation].block = &b, &b
		if err := changed.check(); err == nil || !strings.Contains(err.Error(), "validation sample 0 has progression") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestFingerprintsOfTheOtherTasksAreHashesOfTheirSpecification(t *testing.T) {
	var text []byte
	number := func(v uint64) { text = binary.LittleEndian.AppendUint64(text, v) }
	float := func(v float64) { number(math.Float64bits(v)) }
	word := func(s string) { number(uint64(len(s))); text = append(text, s...) }
	check := func(d *Dataset) {
		t.Helper()
		sum := sha256.Sum256(text)
		if want := hex.EncodeToString(sum[:]); d.Fingerprint() != want {
			t.Errorf("%s: %s, want %s", d.Task(), d.Fingerprint(), want)
		}
		text = nil
	}
	d, err := openTargets(t, smallTargets, "z,y")
	if err != nil {
		t.Fatal(err)
	}
	word("reprise.dataset.v2")
	word("regression")
	for _, v := range []uint64{1, 2, 2} { // rank, features, targets
		number(v)
	}
	for _, y := range d.Targets() {
		float(y.Mean)
		float(y.StandardDeviation)
	}
	number(0)
	for _, c := range d.scaling.columns {
		float(c.Mean)
		float(c.SD)
	}
	rows := [][4]float64{{1, 0.5, -1, 10}, {2, 0.25, 1, 20}, {3, 0.125, -2, 35}, {4, 1, 2, 40}, {5, 2, 7, 55}} // a, "b,c", z, y
	for _, p := range d.parts[:Test] {                                                                         // there is no test split
		number(uint64(len(p.rows)))
		for _, from := range []int{0, 2} {
			for _, row := range p.rows {
				float(rows[row][from])
				float(rows[row][from+1])
			}
		}
	}
	check(d)

	d = mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "a.txt", "abcabc"), Context: 2, ValidationFraction: 0.5})
	word("reprise.dataset.v2")
	word("next_token")
	word(`{"format":"reprise.tokenizer.v1","kind":"bytes"}`)
	for _, v := range []uint64{2, 3, 97, 98, 99, 3, 97, 98, 99} {
		number(v)
	}
	check(d)
}

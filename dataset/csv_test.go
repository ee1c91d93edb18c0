package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/fault"
)

const smallCSV = `width,kind,height,fixed
1,cat,10,0.1
2,dog,20,0.1
3,cat,40,0.1
4.5,dog,30,0.1
-5,cat,1e1,0.1
0.25,dog,25,0.1
`

// goldenCSV is the fingerprint of smallCSV.
const goldenCSV = "c2b6fa46cbfa222e90fac94d8ba272ab1c539cc3b81a48b9b5d19ea25d205467"

// openCSVText opens a file as one of numbers, which is what is tried first.
func openCSVText(t *testing.T, text, target string) (*Dataset, error) {
	t.Helper()
	return currentReading.openCSV(context.Background(), Source{Path: writeFile(t, t.TempDir(), "data.csv", text), Target: target})
}

func TestCSVIsReadByItsHeader(t *testing.T) {
	d, err := openCSVText(t, smallCSV, "kind")
	if err != nil {
		t.Fatal(err)
	}
	if d.Name() != "data.csv" || d.Len(Train) != 4 || d.Len(Validation) != 2 || d.SampleShape().String() != "[3]" {
		t.Errorf("%s: %d + %d samples of %v", d.Name(), d.Len(Train), d.Len(Validation), d.SampleShape())
	}
	if !slices.Equal(d.ClassNames(), []string{"cat", "dog"}) || !slices.Equal(d.ColumnNames(), []string{"width", "height", "fixed"}) {
		t.Errorf("classes %v, columns %v", d.ClassNames(), d.ColumnNames())
	}
	seen := map[string]bool{}
	for _, split := range []Split{Train, Validation} {
		for i := range d.Len(split) {
			row, label, _ := d.AppendRaw(nil, split, i)
			seen[fmt.Sprintf("%v %s", row, d.ClassNames()[label])] = true
		}
	}
	for _, want := range []string{"[1 10 0.1] cat", "[2 20 0.1] dog", "[3 40 0.1] cat", "[4.5 30 0.1] dog", "[-5 10 0.1] cat", "[0.25 25 0.1] dog"} {
		if !seen[want] {
			t.Errorf("%s is missing in %v", want, seen)
		}
	}
	s := inspect(t, d)
	heights := []float64{10, 20, 40, 30, 10, 25}
	checkOfTraining(t, d, s.Columns[1], func(row int) float64 { return heights[row] })
	if s.Columns[1].Name != "height" || s.Columns[2].StandardDeviation != 0 || s.Low != s.Columns[0].Min || s.High != 40 {
		t.Errorf("%+v", s)
	}
}

func TestCSVSpellingsThatMeanTheSameReadTheSame(t *testing.T) {
	want, err := openCSVText(t, smallCSV, "kind")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"byte order mark":  "\xEF\xBB\xBF" + smallCSV,
		"CRLF":             strings.ReplaceAll(smallCSV, "\n", "\r\n"),
		"both":             "\xEF\xBB\xBF" + strings.ReplaceAll(smallCSV, "\n", "\r\n"),
		"no last newline":  strings.TrimSpace(smallCSV),
		"spaces":           strings.ReplaceAll(smallCSV, ",", " , "),
		"empty lines":      "\n" + strings.ReplaceAll(smallCSV, "\n", "\n\n"),
		"quotes":           strings.ReplaceAll(smallCSV, "cat", `"cat"`),
		"other spelling":   strings.ReplaceAll(smallCSV, "1e1", "+010.0"),
		"quoted BOM title": "\xEF\xBB\xBF" + strings.Replace(smallCSV, "width", `"width"`, 1),
	} {
		got, err := openCSVText(t, text, "kind")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.Fingerprint() != want.Fingerprint() {
			t.Errorf("%s: another fingerprint", name)
		}
	}
}

func TestCSVClassesAreSorted(t *testing.T) {
	for name, c := range map[string]struct {
		cells []string
		want  []string
	}{
		"names by bytes":         {[]string{"b", "a", "Z", "é", "a", "b", "10 cm"}, []string{"10 cm", "Z", "a", "b", "é"}},
		"numbers by value":       {[]string{"10", "9", "-1", "2", "10", "9"}, []string{"-1", "2", "9", "10"}},
		"one value, one class":   {[]string{"1", "1.0", "0", "-0", "01", "1e0"}, []string{"0", "1"}},
		"fractions":              {[]string{"0.5", "0.25", "0.50"}, []string{"0.25", "0.5"}},
		"large numbers":          {[]string{"100000000", "3", "3"}, []string{"3", "100000000"}},
		"spaces around a name":   {[]string{" a", "a ", "b"}, []string{"a", "b"}},
		"true and false":         {[]string{"true", "false", "true"}, []string{"false", "true"}},
		"name that begins as 1e": {[]string{"1e", "2e", "1e"}, []string{"1e", "2e"}},
	} {
		text := "y,x\n"
		for i, cell := range c.cells {
			text += fmt.Sprintf("%s,%d\n", cell, i)
		}
		d, err := openCSVText(t, text, "y")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.ClassNames(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for _, split := range []Split{Train, Validation} {
			for i := range d.Len(split) {
				row, label, _ := d.AppendRaw(nil, split, i)
				cell := strings.TrimSpace(c.cells[int(row[0])])
				if got := d.ClassNames()[label]; got != cell && !sameNumber(got, cell) {
					t.Errorf("%s: row %v has class %q, want %q", name, row, got, cell)
				}
			}
		}
	}
}

func sameNumber(a, b string) bool {
	x, okX := new(big.Float).SetString(a)
	y, okY := new(big.Float).SetString(b)
	return okX && okY && x.Cmp(y) == 0
}

func TestBadCSVFilesAreRefusedByPlaceAndFix(t *testing.T) {
	rows := func(lines ...string) string { return "a,b,y\n1,2,p\n3,4,q\n" + strings.Join(lines, "\n") + "\n" }
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty file":        {"", []string{"data.csv: the file is empty"}},
		"blank file":        {"\n\n", []string{"the file is empty"}},
		"header only":       {"a,y\n", []string{"there are no rows below the header"}},
		"one row":           {"a,y\n1,p\n", []string{"1 row below the header is not enough"}},
		"UTF-16":            {"\xff\xfea\x00", []string{"line 1", "UTF-16"}},
		"nameless column":   {"a,,y\n1,2,p\n", []string{"line 1", "column 2 of 3 has no name"}},
		"duplicate column":  {"\na,y,a \n1,p,2\n", []string{"line 2", `column "a"`, "columns 1 and 3 have this name"}},
		"header not UTF-8":  {"\xe9,y\n1,p\n", []string{"line 1", "not UTF-8"}},
		"no features":       {"y\np\nq\n", []string{`column "y"`, "only column"}},
		"ragged, short":     {rows("5,6"), []string{"line 4", "2 cells do not fit the 3 columns"}},
		"ragged, long":      {rows("5,6,p,"), []string{"line 4", "4 cells do not fit the 3 columns"}},
		"not a number":      {rows("5,tall,p"), []string{"line 4", `column "b"`, `"tall" is not a number`}},
		"decimal comma":     {rows(`5,"1,5",p`), []string{`"1,5" is not a number`, "decimal point"}},
		"empty cell":        {rows("5,,p"), []string{"line 4", `column "b"`, "the cell is empty"}},
		"NaN":               {rows("5,nan,p"), []string{`"nan" stands for a missing value`}},
		"NA":                {rows("NA,5,p"), []string{`column "a"`, `"NA" stands for a missing value`}},
		"infinite":          {rows("5,-Inf,p"), []string{`"-Inf" is not finite`}},
		"beyond float64":    {rows("5,1e999,p"), []string{`"1e999" is too large`}},
		"beyond float32":    {rows("5,1e39,p"), []string{`"1e39" is too large for a 32-bit float`}},
		"line after quotes": {rows("\"5\n\",6,p", "7,x,p"), []string{"line 6", `"x" is not a number`}},
		"bare quote":        {rows(`5,6"7,p`), []string{"line 4", "quote", "out of place"}},
		"open quote":        {rows(`5,6,"p`), []string{"quote", "out of place"}},
		"empty target":      {rows("5,6, "), []string{"line 4", `column "y"`, "the target is empty"}},
		"NaN target":        {"a,y\n1,0\n2,1\n3,NaN\n", []string{"line 4", `"NaN" is not a class`}},
		"target not UTF-8":  {rows("5,6,\xff"), []string{"line 4", "not UTF-8"}},
		"name, then number": {rows("5,6,7"), []string{"line 4", `"7" is a number, while "p" on line 2 is a name`}},
		"number, then name": {"a,y\n1,0\n2,zero\n", []string{"line 3", `"zero" is a name, while "0" on line 2 is a number`}},
		"one class":         {"a,y\n1,p\n2,p\n", []string{`column "y"`, `"p" is the only class`}},
		"one number":        {"a,y\n1,1\n2,1.0\n", []string{`"1" is the only class`}},
		"a name each":       {"a,y\n1,p\n2,q\n3,r\n", []string{`column "y"`, "3 rows with 3 different names are too many to be classes; name a column of classes"}},
		"out of scale":      {outOfScale(), []string{`column "x"`, "out of scale"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openCSVText(t, c.text, "y")
			checkDataError(t, err, c.want...)
		})
	}
}

// outOfScale returns a table whose only validation row lies 1e68 standard
// deviations from the others.
func outOfScale() string {
	text := "x,y\n"
	held := int(splitRows(&block{}, 4, 1)[Validation].rows[0])
	for i := range 4 {
		x := fmt.Sprintf("%de-40", i+1)
		if i == held {
			x = "1e30"
		}
		text += fmt.Sprintf("%s,%d\n", x, i%2)
	}
	return text
}

func manyNumbers() string {
	text := "x,y\n"
	for i := range 1200 {
		text += fmt.Sprintf("%d,%d\n%d,%d\n", i, i, i, i)
	}
	return text
}

func TestNumbersThatCannotBeClassesAreAnsweredWithTheTask(t *testing.T) {
	for text, has := range map[string]string{
		"a,y\n1,1.5\n2,2.5\n3,0.5\n": "has 3 different numbers in 3 rows", manyNumbers(): "has more than 1000 different numbers",
	} {
		_, err := openCSVText(t, text, "y")
		checkFieldError(t, has, err, FieldTask, `column "y"`, has, "choose the task regression")
		var bad *fault.FieldError
		if errors.As(err, &bad) && bad.Example != "regression" {
			t.Errorf("example = %q", bad.Example)
		}
	}
}

func TestARegressionOnNamesIsAnsweredWithTheOtherTask(t *testing.T) {
	path := writeFile(t, t.TempDir(), "data.csv", "a,y\n1,p\n2,q\n3,p\n")
	_, err := open(t, Source{Path: path, Target: "y", Task: Regression})
	checkDataError(t, err, "line 2", `column "y"`, `3 cells, the first of them "p", are not numbers`, "or choose the task classification")
	// A feature is another matter, and so is a number that is written in another way.
	path = writeFile(t, t.TempDir(), "data.csv", "a,y\np,1\nq,2\nr,3\n")
	_, err = currentReading.openCSV(context.Background(), Source{Path: path, Target: "y", Task: Regression})
	checkDataError(t, err, `column "a"`, "remove the column")
	path = writeFile(t, t.TempDir(), "data.csv", "a,y\n1,1_000\n2,2\n3,4\n")
	_, err = open(t, Source{Path: path, Target: "y", Task: Regression})
	checkDataError(t, err, `column "y"`, `write columns: {"y": {kind: number, thousands: "_"}}`)
}

func TestAHeaderOfNumbersIsSaidToLookLikeData(t *testing.T) {
	for text, target := range map[string]string{
		"5.1,3.5,setosa\n4.9,3,setosa\n6,2,versi\n": "", "5.1,3.5,setosa\n4.9,3,versi\n": "species", "1,1,a\n2,1,b\n": "", "1,,2,a\n": "a",
	} {
		_, err := openCSVText(t, text, target)
		if err == nil || !strings.Contains(err.Error(), "line 1 looks like data (") || !strings.Contains(err.Error(), "names the columns") {
			t.Errorf("%q: %v", text, err)
		}
	}
	// Columns may have numbers as names.
	if _, err := openCSVText(t, "2001,2002,y\n1,2,p\n2,3,q\n3,1,p\n4,4,q\n", "y"); err != nil {
		t.Error(err)
	}
}

func TestAThousandClassesAreStillClasses(t *testing.T) {
	text := "x,y\n"
	for i := range 2000 {
		text += fmt.Sprintf("%d,c%d\n", i, i%1000)
	}
	d, err := openCSVText(t, text, "y")
	if err != nil || d.Classes() != 1000 {
		t.Fatalf("%v", err)
	}
}

func TestCSVTargetMustBeNamed(t *testing.T) {
	for name, c := range map[string]struct {
		text, target string
		want         []string
	}{
		"missing":    {smallCSV, "", []string{"no column is named as the target", `one of "width", "kind", "height", "fixed"`}},
		"unknown":    {smallCSV, "Kind", []string{`"Kind" is not a column`, `"kind"`}},
		"semicolons": {"a;y\n1;2\n", "y", []string{"separate the columns by commas"}},
	} {
		_, err := openCSVText(t, c.text, c.target)
		checkFieldError(t, name, err, FieldTarget, c.want...)
	}
}

// checkFieldError fails unless err is a *fault.FieldError of the field whose message
// has all the parts.
func checkFieldError(t *testing.T, name string, err error, field string, parts ...string) {
	t.Helper()
	var bad *fault.FieldError
	if !errors.As(err, &bad) || bad.Field != field {
		t.Errorf("%s: %T: %v, want a *fault.FieldError of %s", name, err, err, field)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not say %q", name, err, part)
		}
	}
}

func TestCSVMemoryIsBounded(t *testing.T) {
	table := &table{path: "data.csv", task: Classification, target: "y", maxBytes: 3 * (8*2 + 4), packing: packing{limit: MaxBytes}}
	err := table.read(context.Background(), strings.NewReader("a,b,y\n1,2,p\n3,4,q\n5,6,p\n7,8,q\n"))
	checkDataError(t, err, "line 5", "4 rows of 2 numbers take more memory than the limit of 60 bytes")
	path := filepath.Join(t.TempDir(), "huge.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(MaxBytes+1), f.Close()); err != nil { // sparse
		t.Skip(err)
	}
	_, err = open(t, Source{Path: path, Target: "y"})
	checkDataError(t, err, "a row takes more than the limit of 67108864 bytes")
	_, err = secondReading.openCSV(t.Context(), Source{Path: path, Target: "y"})
	checkDataError(t, err, "4294967297 bytes are more than the limit of 4294967296")
}

func TestReadingCSVEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := currentReading.readCSV(ctx, strings.NewReader(smallCSV), "data.csv", Classification, "kind")
	if !errors.Is(err, context.Canceled) || errors.As(err, new(*DataError)) {
		t.Errorf("%v", err)
	}
}

func TestColumnsAreStandardisedByTheTrainingSplit(t *testing.T) {
	// Against exact arithmetic: mean and standard deviation are within a few
	// roundings of the true ones.
	rapid.Check(t, func(t *rapid.T) {
		rows, features := rapid.IntRange(2, 40).Draw(t, "rows"), rapid.IntRange(1, 4).Draw(t, "features")
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), rows*features, rows*features).Draw(t, "values")
		parts := splitRows(&block{}, rows, currentReading.validationRows(rows, 0.2))
		train := parts[Train].rows
		columns := currentReading.standardise(values, features, train)
		for j, got := range columns {
			mean, sum := new(big.Float).SetPrec(200), new(big.Float).SetPrec(200)
			n := big.NewFloat(float64(len(train)))
			for _, row := range train {
				mean.Add(mean, big.NewFloat(values[int(row)*features+j]))
			}
			mean.Quo(mean, n)
			for _, row := range train {
				d := new(big.Float).SetPrec(200).Sub(big.NewFloat(values[int(row)*features+j]), mean)
				sum.Add(sum, d.Mul(d, d))
			}
			wantMean, _ := mean.Float64()
			wantSD, _ := sum.Sqrt(sum.Quo(sum, n)).Float64()
			if math.Abs(got.Mean-wantMean) > 1e-8 || math.Abs(got.SD-wantSD) > 1e-8 {
				t.Fatalf("column %d: mean %v, want %v; sd %v, want %v", j, got.Mean, wantMean, got.SD, wantSD)
			}
		}
	})
}

func TestAConstantColumnBecomesZero(t *testing.T) {
	// 0.1 summed and divided is not 0.1 again; it must not be blown up to noise.
	text := "x,c,y\n"
	for i := range 30 {
		text += fmt.Sprintf("%d,0.1,%d\n", i, i%2)
	}
	d, err := openCSVText(t, text, "y")
	if err != nil {
		t.Fatal(err)
	}
	for _, split := range []Split{Train, Validation} {
		x, _ := gather(d, split)
		for i := 1; i < len(x); i += 2 {
			if x[i] != 0 {
				t.Fatalf("%v sample %d has %v", split, i/2, x[i])
			}
		}
	}
}

func TestStandardisedValuesArePinned(t *testing.T) {
	// Golden: a compiler that fuses or reorders would change them.
	d, err := openCSVText(t, smallCSV, "kind")
	if err != nil {
		t.Fatal(err)
	}
	x, _ := gather(d, Train)
	var got []uint32
	for _, v := range x {
		got = append(got, math.Float32bits(v))
	}
	want := []uint32{
		0x3f23877c, 0x3fa294f3, 0x0, 0x3f86cd17, 0x3eb15cac, 0x0,
		0xbfc918c6, 0xbfc02465, 0x0, 0xbdf780f4, 0xbdec7b90, 0x0,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte(smallCSV), "kind")
	f.Add([]byte("\xEF\xBB\xBFa,y\r\n1,0\r\n2,1\r\n3,1\r\n"), "y")
	f.Add([]byte("a,y\n1,\"p\nq\"\n2,r\n3,r\n"), "y")
	f.Add([]byte(outOfScale()), "y")
	f.Add([]byte("a,y\n\"1"), "")
	f.Add([]byte("a,y\r1e-200,1\r2e-200,1.0\r3e-200,9007199254740993\r"), "y")
	f.Fuzz(func(t *testing.T, content []byte, target string) {
		d, err := currentReading.readCSV(context.Background(), bytes.NewReader(content), "fuzz.csv", Classification, target)
		if err != nil {
			if !errors.As(err, new(*DataError)) && !errors.As(err, new(*fault.FieldError)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if err := d.check(); err != nil {
			t.Fatal(err)
		}
		for _, split := range []Split{Train, Validation} {
			x, labels := gather(d, split)
			for _, v := range x {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%v in %v", v, x)
				}
			}
			for _, label := range labels {
				if label < 0 || int(label) >= d.Classes() {
					t.Fatalf("label %d of %d", label, d.Classes())
				}
			}
		}
		if !slices.IsSorted(d.ClassNames()) {
			for _, name := range d.ClassNames() {
				if _, ok := new(big.Float).SetString(name); !ok {
					t.Fatalf("classes are not sorted: %q", d.ClassNames())
				}
			}
		}
		inspect(t, d)
	})
}

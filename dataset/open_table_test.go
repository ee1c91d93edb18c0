package dataset

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/internal/figures"
)

// animals is a table with a column of every kind, and its twin in JSON Lines.
func animals(rows int) (csv, jsonLines string) {
	var c, j strings.Builder
	c.WriteString("name,island,born,weight,tagged,farm,species\n")
	for i := range rows {
		island := []string{"Biscoe", "Dream", "Torgersen"}[i*7%3]
		born := fmt.Sprintf("20%02d-%02d-%02d", i%20, i%12+1, i%28+1)
		weight := fmt.Sprintf("%d.5", 30+i*13%17)
		tagged := []string{"true", "false"}[i%2]
		species := []string{"cat", "dog"}[i*5%11%2]
		weightCSV, weightJSON := weight, weight
		if i%9 == 4 {
			weightCSV, weightJSON = "NA", "null"
		}
		fmt.Fprintf(&c, "n%d,%s,%s,%s,%s,f%d,%s\n", i, island, born, weightCSV, tagged, i%8, species)
		fmt.Fprintf(&j, `{"name":"n%d","island":%q,"born":%q,"weight":%s,"tagged":%s,"farm":"f%d","species":%q}`+"\n",
			i, island, born, weightJSON, tagged, i%8, species)
	}
	return c.String(), j.String()
}

func TestATableOfAnyKindOfColumnIsOpened(t *testing.T) {
	csv, jsonLines := animals(40)
	dir := t.TempDir()
	var sets []*Dataset
	for name, text := range map[string]string{"a.csv": csv, "a.jsonl": jsonLines, "a.tsv": strings.ReplaceAll(csv, ",", "\t")} {
		d := mustOpen(t, Source{Path: writeFile(t, dir, name, text), Target: "species"})
		if d.Len(Train) != 32 || d.Len(Validation) != 8 || d.Len(Test) != 0 || !slices.Equal(d.ClassNames(), []string{"cat", "dog"}) {
			t.Errorf("%s: %d + %d samples of %v", name, d.Len(Train), d.Len(Validation), d.ClassNames())
		}
		if names := d.ColumnNames(); !slices.Contains(names, "island=Dream") || !slices.Contains(names, "born.month.sin") || slices.Contains(names, "name") {
			t.Errorf("%s: features %q", name, names)
		}
		if len(d.Preprocessing()) == 0 || d.PreprocessingHash() == "" {
			t.Errorf("%s: no document", name)
		}
		sets = append(sets, d)
	}
	for _, split := range []Split{Train, Validation} {
		want, labels := gather(sets[0], split)
		for _, d := range sets[1:] {
			if got, other := gather(d, split); !slices.Equal(got, want) || !slices.Equal(other, labels) {
				t.Errorf("%v: another format gives other samples", split)
			}
		}
	}
}

// What the document alone makes of the rows of the file is what training sees.
func TestTheDocumentGivesTheBitsOfTraining(t *testing.T) {
	csv, _ := animals(40)
	path := writeFile(t, t.TempDir(), "a.csv", csv)
	d := mustOpen(t, Source{Path: path, Target: "species"})
	document, err := preprocess.Parse(d.Preprocessing())
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := preprocess.NewEncoder(document)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tablefile.Open(t.Context(), tablefile.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	binding, unknown, err := encoder.Bind(r.Columns())
	if err != nil || len(unknown) > 0 {
		t.Fatal(unknown, err)
	}
	var all [][]float32
	var classes []int
	row := make([]tablefile.Cell, len(r.Columns()))
	for range 40 {
		at, err := r.Next(t.Context(), row)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, encoder.Features())
		if err := binding.Row(at, row, x); err != nil {
			t.Fatal(err)
		}
		class, ok := binding.Class(row)
		if !ok {
			t.Fatalf("%+v has no class", row)
		}
		all, classes = append(all, x), append(classes, class)
	}
	for _, split := range []Split{Train, Validation} {
		x, labels := gather(d, split)
		for i := range labels {
			at := d.parts[split].row(i)
			if !slices.Equal(x[i*encoder.Features():(i+1)*encoder.Features()], all[at]) || int(labels[i]) != classes[at] {
				t.Fatalf("row %d differs", at)
			}
		}
	}
}

func TestAnyChangedCellChangesTheFingerprint(t *testing.T) {
	csv, _ := animals(20)
	dir := t.TempDir()
	source := Source{Path: writeFile(t, dir, "a.csv", csv), Target: "species"}
	seen := map[string]string{mustOpen(t, source).Fingerprint(): "nothing"}
	lines := strings.Split(csv, "\n")
	for column, cell := range []string{"other", "Biscoe", "2001-01-01", "7.25", "false", "f7", "cat"} {
		cells := strings.Split(lines[5], ",")
		if cells[column] == cell {
			t.Fatalf("column %d has %s already", column, cell)
		}
		cells[column] = cell
		changed := slices.Clone(lines)
		changed[5] = strings.Join(cells, ",")
		writeFile(t, dir, "a.csv", strings.Join(changed, "\n"))
		got := mustOpen(t, source).Fingerprint()
		if other, ok := seen[got]; ok {
			t.Errorf("column %d: the fingerprint of %s", column, other)
		}
		seen[got] = fmt.Sprintf("column %d", column)
	}
}

func TestTheRowsOfATableAreSplitAsAsked(t *testing.T) {
	csv, _ := animals(40)
	dir := t.TempDir()
	path := writeFile(t, dir, "a.csv", csv)
	lines := strings.Split(strings.TrimSuffix(csv, "\n"), "\n")
	part := func(name string, from, to int) string {
		return writeFile(t, dir, name, strings.Join(slices.Concat(lines[:1], lines[from:to]), "\n"))
	}
	open := func(o SplitOptions) *Dataset {
		return mustOpen(t, Source{Path: path, Target: "species", Table: TableOptions{Split: o}})
	}
	column := func(at, row int) string { return strings.Split(lines[row+1], ",")[at] }

	byGroup := open(SplitOptions{Method: SplitGroup, Column: "farm", TestFraction: 0.25})
	splitOf := map[string]Split{}
	for s := range byGroup.parts {
		for _, row := range byGroup.parts[s].rows {
			farm := column(5, int(row))
			if other, ok := splitOf[farm]; ok && other != Split(s) {
				t.Errorf("farm %s is in two splits", farm)
			}
			splitOf[farm] = Split(s)
		}
	}
	if len(splitOf) != 8 || byGroup.Len(Test) != 10 || slices.ContainsFunc(byGroup.ColumnNames(), func(n string) bool { return strings.HasPrefix(n, "farm") }) {
		t.Errorf("%v, %d rows for the test, features %q", splitOf, byGroup.Len(Test), byGroup.ColumnNames())
	}

	byTime := open(SplitOptions{Method: SplitTime, Column: "born"})
	latest := ""
	for _, row := range byTime.parts[Train].rows {
		latest = max(latest, column(2, int(row)))
	}
	for _, row := range byTime.parts[Validation].rows {
		if column(2, int(row)) <= latest {
			t.Errorf("%s is for validation, %s for training", column(2, int(row)), latest)
		}
	}

	byFiles := mustOpen(t, Source{Path: part("train.csv", 1, 25), Target: "species", Table: TableOptions{Split: SplitOptions{
		Method: SplitFiles, ValidationPath: part("validation.csv", 25, 35), TestPath: part("test.csv", 35, 41)}}})
	if byFiles.Len(Train) != 24 || byFiles.Len(Validation) != 10 || byFiles.Len(Test) != 6 {
		t.Errorf("%d, %d and %d rows", byFiles.Len(Train), byFiles.Len(Validation), byFiles.Len(Test))
	}
	if s := inspect(t, byFiles); s.Test == nil || s.Test.Samples != 6 {
		t.Errorf("the summary has the test %+v", s.Test)
	}

	stratified := inspect(t, open(SplitOptions{}))
	for class, n := range stratified.Train.PerClass {
		held := stratified.Validation.PerClass[class]
		if share := float64(n+held) * 0.2; math.Abs(float64(held)-share) > 1 {
			t.Errorf("%d of %d rows of class %d are for validation", held, n+held, class)
		}
	}
	if open(SplitOptions{Seed: 1}).Fingerprint() == open(SplitOptions{Seed: 2}).Fingerprint() {
		t.Error("the seed changes nothing")
	}
}

func TestAllProblemsOfATableAreReportedAtOnce(t *testing.T) {
	text := "size,price,when,colour,y\n1,$5,01.02.2024,red,a\n2,$6,02.02.2024,blue,b\ntall,$7,03.02.2024,red,a\n4,$8,04.02.2024,blue,b\n"
	path := writeFile(t, t.TempDir(), "a.csv", text)
	_, err := open(t, Source{Path: path, Target: "y"})
	checkDataError(t, err, `line 4, column "size": "tall" is not a number`, "missing: [tall]", `line 2, column "price": 4 cells`, `unit: "$"`,
		`column "when": 4 cells`, `format: "DD.MM.YYYY"`)
	// The lines that the errors propose settle it.
	var specs ColumnSpecs
	if err := specs.UnmarshalJSON([]byte(`{"price":{"kind":"number","unit":"$"},"when":{"kind":"date","format":"DD.MM.YYYY"}}`)); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, Source{Path: path, Target: "y", Table: TableOptions{Columns: specs, Missing: NewTexts([]string{"tall"})}})
	if notes := strings.Join(d.Notes(), "\n"); !strings.Contains(notes, `column "size": 1 cell is missing; replaced by the mean, with an indicator`) {
		t.Errorf("notes %s", notes)
	}
}

func TestRowsWithoutATargetAreLeftOutAndCounted(t *testing.T) {
	csv, _ := animals(20)
	csv = strings.Replace(csv, "f3,cat", "f3,", 1)
	csv = strings.Replace(csv, "f3,dog", "f3,", 1)
	d := mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "a.csv", csv), Target: "species"})
	left := 20 - d.Len(Train) - d.Len(Validation)
	if notes := d.Notes(); left == 0 || len(notes) == 0 || !strings.Contains(notes[0], fmt.Sprintf("left out: %s that", figures.Plural(left, "row"))) {
		t.Errorf("%d rows are left out, notes %q", left, notes)
	}
}

func TestMistakesInTheOptionsOfATableNameTheField(t *testing.T) {
	csv, _ := animals(20)
	dir := t.TempDir()
	path := writeFile(t, dir, "a.csv", csv)
	specs := func(text string) (c ColumnSpecs) {
		if err := c.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	text := writeFile(t, dir, "a.txt", strings.Repeat("some text ", 100))
	for field, s := range map[string]Source{
		"columns":               {Path: path, Target: "species", Table: TableOptions{Columns: specs(`{"wieght":{"kind":"number"}}`)}},
		"columns.weight.kind":   {Path: path, Target: "species", Table: TableOptions{Columns: specs(`{"weight":{"kind":"float"}}`)}},
		"split.method":          {Path: path, Target: "species", Table: TableOptions{Split: SplitOptions{Method: "half"}}},
		"split.column":          {Path: path, Target: "species", Table: TableOptions{Split: SplitOptions{Method: SplitTime, Column: "bron"}}},
		"split.test_fraction":   {Path: path, Target: "species", ValidationFraction: 0.6, Table: TableOptions{Split: SplitOptions{TestFraction: 0.5}}},
		"split.validation_path": {Path: path, Target: "species", Table: TableOptions{Split: SplitOptions{Method: SplitFiles}}},
		"encoding":              {Path: path, Target: "species", Table: TableOptions{Encoding: "utf-7"}},
		"separator":             {Path: path, Target: "species", Table: TableOptions{Separator: "a"}},
		"missing":               {Path: "digits", Table: TableOptions{Missing: NewTexts([]string{"x"})}},
		"split":                 {Path: text, Table: TableOptions{Split: SplitOptions{Seed: 1}}},
		"target":                {Path: path, Target: "specis", Table: TableOptions{Split: SplitOptions{Seed: 1}}},
	} {
		_, err := open(t, s)
		checkFieldError(t, field, err, field)
	}
}

func TestARegressionOfATableRestoresItsUnit(t *testing.T) {
	csv, _ := animals(40)
	d := mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "a.csv", csv), Target: "weight", Task: Regression})
	if d.Task() != Regression || len(d.Targets()) != 1 || d.Len(Train)+d.Len(Validation) != 36 {
		t.Fatalf("%s with targets %v, %d rows", d.Task(), d.Targets(), d.Len(Train)+d.Len(Validation))
	}
	b := d.NewBatch(1)
	d.GatherBatch(Validation, []int{0}, b)
	want := d.parts[Validation].targets[d.parts[Validation].row(0)]
	if got := d.Targets()[0].Restore(b.Targets[0]); math.Abs(got-want) > 1e-4 {
		t.Errorf("%v, want %v", got, want)
	}
}

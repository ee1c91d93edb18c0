package preprocess

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/dataset/columns"
	"reprise/dataset/table"
	"reprise/fault"
)

// rows returns a table in CSV as names and cells.
func rows(t interface{ Fatal(...any) }, text string) (names []string, cells [][]table.Cell) {
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range all[1:] {
		row := make([]table.Cell, len(record))
		for i, text := range record {
			row[i] = table.Cell{Kind: table.Text, Text: text}
		}
		cells = append(cells, row)
	}
	return all[0], cells
}

func place(i int) table.Place { return table.Place{File: "t.csv", Row: i + 1, Line: i + 2} }

// fit infers the columns, and learns from the first train of the rows that are kept. The
// last column is the target, of the classes a and b.
func fit(t interface {
	Helper()
	Fatal(...any)
}, names []string, cells [][]table.Cell, o columns.Options, train int) (Document, *Builder) {
	t.Helper()
	profiler := columns.NewProfiler(names, o)
	for i, row := range cells {
		profiler.Add(place(i), row)
	}
	var meaning []columns.Column
	for i := range profiler.Profiles() {
		c, problem := profiler.Profiles()[i].Infer()
		if problem != nil {
			t.Fatal(*problem)
		}
		meaning = append(meaning, c)
	}
	target := names[len(names)-1]
	b := NewBuilder(meaning, []string{target}, o.Missing)
	for i, row := range cells {
		if _, err := b.Add(place(i), row); err != nil {
			t.Fatal(err)
		}
	}
	list := make([]uint32, train)
	for i := range list {
		list[i] = uint32(i)
	}
	d, err := b.Fit(context.Background(), list)
	if err != nil {
		t.Fatal(err)
	}
	d.Target = Target{Column: target, Classes: []string{"a", "b"}}
	return d, b
}

const small = `size,colour,day,old,name,y
1,red,2024-01-01,yes,n1,a
2,blue,2024-02-01,no,n2,b
,red,2025-02-03,yes,n3,a
5,green,2025-02-03,,n4,b
4,blue,,no,n5,a
,,2025-02-03,no,n6,b
100,violet,2030-01-01,yes,n7,b
`

func TestTheDocumentOfASmallTable(t *testing.T) {
	names, cells := rows(t, small)
	d, _ := fit(t, names, cells, columns.Options{Columns: map[string]columns.Spec{"colour": {Kind: columns.Category}}}, 6)
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	// By hand: mean of 1, 2, 5, 4 is 3; with it twice the deviations are 2, 1, 0, 2, 1, 0.
	// The median of the dates is 2025-02-03; three of the six years are 2025 and one is
	// filled in, so that the mean is 2024+4/6.
	want := `{"version":"reprise.preprocessing.v1","columns":[` +
		`{"name":"size","kind":"number","missing":{"strategy":"mean","value":3,"indicator":true},"scale":{"mean":3,"standard_deviation":1.2909944487358056}},` +
		`{"name":"colour","kind":"category","missing":{"strategy":"category"},"categories":["blue","red"],"other":true,"missing_category":true},` +
		`{"name":"day","kind":"date","missing":{"strategy":"median","value":1738540800,"indicator":true},"scale":{"mean":2024.6666666666667,"standard_deviation":0.4714045207910317},"parts":["year","month","day","weekday"]},` +
		`{"name":"old","kind":"boolean","missing":{"strategy":"mean","value":0.4,"indicator":true}}],` +
		`"ignored":["name"],"target":{"column":"y","classes":["a","b"]}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	e, err := NewEncoder(d)
	if err != nil {
		t.Fatal(err)
	}
	wantNames := []string{
		"size", "size (missing)", "colour=blue", "colour=red", "colour (other)", "colour (missing)", "day.year", "day.month.sin", "day.month.cos",
		"day.day.sin", "day.day.cos", "day.weekday.sin", "day.weekday.cos", "day (missing)", "old", "old (missing)",
	}
	if got := e.Names(); !slices.Equal(got, wantNames) || e.Features() != len(wantNames) {
		t.Errorf("features %q", got)
	}
	b, unknown, err := e.Bind(names)
	if err != nil || unknown != nil {
		t.Fatal(unknown, err)
	}
	x := make([]float32, e.Features())
	sd := 1.2909944487358056
	year := func(v float64) float64 { return (v - 2024.6666666666667) / 0.4714045207910317 }
	angle := func(k, n float64) []float64 {
		return []float64{math.Sin(2 * math.Pi * k / n), math.Cos(2 * math.Pi * k / n)}
	}
	date := func(y, month, day, weekday, missing float64) []float64 {
		return slices.Concat([]float64{year(y)}, angle(month, 12), angle(day, 31), angle(weekday, 7), []float64{missing})
	}
	for i, want := range map[int][]float64{
		0: slices.Concat([]float64{-2 / sd, 0, 0, 1, 0, 0}, date(2024, 0, 0, 0, 0), []float64{1, 0}),
		3: slices.Concat([]float64{2 / sd, 0, 0, 0, 1, 0}, date(2025, 1, 2, 0, 0), []float64{0.4, 1}),
		4: slices.Concat([]float64{1 / sd, 0, 1, 0, 0, 0}, date(2025, 1, 2, 0, 1), []float64{0, 0}),
		5: slices.Concat([]float64{0, 1, 0, 0, 0, 1}, date(2025, 1, 2, 0, 0), []float64{0, 0}),
		6: slices.Concat([]float64{97 / sd, 0, 0, 0, 1, 0}, date(2030, 0, 0, 1, 0), []float64{1, 0}),
	} {
		if err := b.Row(place(i), cells[i], x); err != nil {
			t.Fatal(err)
		}
		for j := range want {
			if math.Abs(float64(x[j])-want[j]) > 1e-6*max(1, math.Abs(want[j])) {
				t.Errorf("row %d: %s is %v, want %v", i, wantNames[j], x[j], want[j])
			}
		}
	}
}

// drawTable draws a table with a column of every kind; cells may be missing.
func drawTable(t *rapid.T) string {
	n := rapid.IntRange(4, 16).Draw(t, "rows")
	var text strings.Builder
	text.WriteString("number,category,date,boolean,y\n")
	missing := rapid.IntRange(0, 3).Draw(t, "missing in ten")
	cell := func(v string) string {
		if rapid.IntRange(0, 9).Draw(t, "missing") < missing {
			return rapid.SampledFrom([]string{"", "NA", "?", "null"}).Draw(t, "as")
		}
		return v
	}
	for range n {
		fmt.Fprintf(&text, "%s,%s,%s,%s,%s\n",
			cell(fmt.Sprint(float64(rapid.IntRange(-1e6, 1e6).Draw(t, "thousandths"))/1000)),
			cell(rapid.SampledFrom([]string{"p", "q", "r", "s", "t"}).Draw(t, "category")),
			cell(fmt.Sprintf("20%02d-%02d-%02d %02d:%02d", rapid.IntRange(0, 40).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month"),
				rapid.IntRange(1, 28).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"))),
			cell(rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "boolean")),
			rapid.SampledFrom([]string{"a", "b"}).Draw(t, "y"))
	}
	return text.String()
}

// kinds are those of the columns of drawTable: few rows could suggest others.
func kinds(t *rapid.T) columns.Options {
	strategy := func(kind columns.Kind) columns.Spec {
		s := columns.Spec{Kind: kind, Missing: rapid.SampledFrom(columns.Strategies(kind)).Draw(t, "strategy")}
		if s.Missing == columns.Constant {
			s.Value = map[columns.Kind]string{columns.Number: "7", columns.Category: "q", columns.Date: "2020-02-02", columns.Boolean: "yes"}[kind]
		}
		if kind != columns.Category { // or how often cells are missing in all rows decides
			indicator := rapid.Bool().Draw(t, "indicator")
			s.Indicator = &indicator
		}
		return s
	}
	return columns.Options{Columns: map[string]columns.Spec{
		"number": strategy(columns.Number), "category": strategy(columns.Category),
		"date": strategy(columns.Date), "boolean": strategy(columns.Boolean),
	}}
}

// A row has the bits in prediction that it had in training, from a document that was
// written and read, and with the columns in any order.
func TestPredictionSeesTheBitsOfTraining(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, cells := rows(t, drawTable(t))
		o := kinds(t)
		dropped := func(row []table.Cell) bool {
			for i, c := range row {
				if o.Columns[names[i]].Missing == columns.Drop && columns.NewMissing(nil).Is(c) {
					return true
				}
			}
			return false
		}
		kept := slices.DeleteFunc(slices.Clone(cells), dropped)
		if len(kept) < 2 {
			t.Skip("hardly a row is left")
		}
		d, b := fit(t, names, cells, o, rapid.IntRange(1, len(kept)).Draw(t, "training rows"))
		raw, err := d.Marshal()
		if err != nil {
			t.Skip("no feature varies")
		}
		if d, err = Parse(raw); err != nil {
			t.Fatal(err)
		}
		e, err := NewEncoder(d)
		if err != nil {
			t.Fatal(err)
		}
		order := rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(t, "order")
		shuffled := make([]string, len(order))
		for to, from := range order {
			shuffled[to] = names[from]
		}
		binding, _, err := e.Bind(shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if b.Rows() != len(kept) {
			t.Fatalf("%d rows, want %d", b.Rows(), len(kept))
		}
		want, got := make([]float32, e.Features()), make([]float32, e.Features())
		for i, row := range kept {
			e.Encode(b.Values()[i*len(d.Columns):(i+1)*len(d.Columns)], want)
			other := make([]table.Cell, len(order))
			for to, from := range order {
				other[to] = row[from]
			}
			if err := binding.Row(place(i), other, got); err != nil {
				t.Fatal(err)
			}
			for j := range want {
				if math.Float32bits(got[j]) != math.Float32bits(want[j]) {
					t.Fatalf("row %d: feature %d is %v, was %v", i, j, got[j], want[j])
				}
				if v := float64(want[j]); math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("row %d: feature %d is %v", i, j, v)
				}
			}
			class, ok := binding.Class(other)
			if want := row[4].Text; !ok || d.Target.Classes[class] != want {
				t.Fatalf("row %d: class %d, %t, want %s", i, class, ok, want)
			}
		}
		for _, row := range cells {
			if dropped(row) {
				full, _, _ := e.Bind(names)
				var bad *fault.DataError
				if err := full.Row(place(0), row, got); !errors.As(err, &bad) || !strings.Contains(bad.Problem, "is missing") {
					t.Fatalf("a row that was left out in training: %v", err)
				}
			}
		}
	})
}

// Nothing is learnt from rows that are not for training.
func TestTheDocumentDependsOnTheTrainingRowsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, cells := rows(t, drawTable(t))
		o := kinds(t)
		for name, spec := range o.Columns {
			if spec.Missing == columns.Drop {
				spec.Missing = ""
				o.Columns[name] = spec
			}
		}
		train := rapid.IntRange(2, len(cells)-1).Draw(t, "training rows")
		before, _ := fit(t, names, cells, o, train)
		_, others := rows(t, drawTable(t))
		after, _ := fit(t, names, append(slices.Clone(cells[:train]), others...), o, train)
		a, errA := before.Marshal()
		b, errB := after.Marshal()
		if !bytes.Equal(a, b) || (errA == nil) != (errB == nil) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func TestNewDataIsHeldAgainstTheDocument(t *testing.T) {
	names, cells := rows(t, small)
	d, _ := fit(t, names, cells, columns.Options{Columns: map[string]columns.Spec{"colour": {Kind: columns.Category}}}, 6)
	e, err := NewEncoder(d)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.Bind([]string{"Size", "colour", "day"})
	for _, part := range []string{`columns "size", "old" are missing`, `rename "Size"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v has no %s", err, part)
		}
	}
	b, unknown, err := e.Bind([]string{"size", "colour", "day", "old", "extra"})
	if err != nil || !slices.Equal(unknown, []string{"extra"}) || b.HasTarget() {
		t.Errorf("unknown %q, target %t, %v", unknown, b.HasTarget(), err)
	}
	b, _, _ = e.Bind(names)
	x := make([]float32, e.Features())
	for column, c := range map[string]struct{ text, part string }{
		"size": {"large", "is not a number as in training"},
		"day":  {"soon", "is not a date as in training"},
		"old":  {"perhaps", "is not a boolean as in training"},
	} {
		row := slices.Clone(cells[0])
		row[slices.Index(names, column)].Text = c.text
		var bad *fault.DataError
		if err := b.Row(place(0), row, x); !errors.As(err, &bad) || bad.Line != 2 || bad.Column != column || bad.Problem != c.part {
			t.Errorf("%s: %v", column, err)
		}
	}
	row := slices.Clone(cells[0])
	row[0].Text = "1e38"
	if err := b.Row(place(0), row, x); err != nil {
		t.Errorf("a far number: %v", err)
	}
	row[5].Text = "c"
	if _, ok := b.Class(row); ok {
		t.Error("a class that was not seen in training has a number")
	}
}

func TestNumericClassesAreComparedByValue(t *testing.T) {
	d := Document{Version: Version, Columns: []Column{{Name: "x", Kind: columns.Boolean, Missing: Fill{Strategy: columns.Mean}}},
		Target: Target{Column: "y", Classes: []string{"0", "1", "2.5"}, NumericClasses: true}}
	e, err := NewEncoder(d)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := e.Bind([]string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	if class, ok := b.Class([]table.Cell{{}, {Kind: table.Text, Text: " 1 "}}); !ok || class != 1 {
		t.Errorf("with spaces, 1 is class %d, %t", class, ok)
	}
	for text, want := range map[string]int{"0": 0, "-0.0": 0, "1.0": 1, "25e-1": 2, "3": -1, "": -1, "one": -1} {
		class, ok := b.Class([]table.Cell{{}, {Kind: table.Text, Text: text}})
		if ok != (want >= 0) || ok && class != want {
			t.Errorf("%q is class %d, %t", text, class, ok)
		}
	}
	if class, ok := b.Class([]table.Cell{{}, {Kind: table.Number, Number: 2.5}}); class != 2 || !ok {
		t.Errorf("2.5 is class %d, %t", class, ok)
	}
}

func TestADocumentHasOneForm(t *testing.T) {
	names, cells := rows(t, small)
	d, _ := fit(t, names, cells, columns.Options{Missing: []string{"<none>"}}, 6)
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := d.Hash()
	if other, _ := again.Hash(); other != hash || len(hash) != 64 {
		t.Errorf("hash %s, was %s", other, hash)
	}
	text := string(raw)
	for name, changed := range map[string]string{
		"version":         strings.Replace(text, ".v1", ".v2", 1),
		"unknown field":   strings.Replace(text, `"kind":"number"`, `"kind":"number","color":1`, 1),
		"white space":     strings.Replace(text, `,"columns"`, `, "columns"`, 1),
		"order of keys":   strings.Replace(text, `"name":"size","kind":"number"`, `"kind":"number","name":"size"`, 1),
		"number":          strings.Replace(text, `"value":3`, `"value":3.0`, 1),
		"something after": text + "{}",
		"twice":           strings.Replace(text, `"name":"old"`, `"name":"size"`, 1),
		"kind":            strings.Replace(text, `"kind":"boolean"`, `"kind":"text"`, 1),
		"strategy":        strings.Replace(text, `"strategy":"median"`, `"strategy":"category"`, 1),
		"no scale":        strings.Replace(text, `,"scale":{"mean":3,"standard_deviation":1.2909944487358056}`, "", 1),
		"parts":           strings.Replace(text, `"year","month"`, `"month","year"`, 1),
		"no target":       strings.Replace(text, `"column":"y",`, "", 1),
		"empty":           "",
		"null":            "null",
	} {
		if changed == text {
			t.Fatalf("%s: nothing was changed in %s", name, text)
		}
		if _, err := Parse([]byte(changed)); err == nil {
			t.Errorf("%s: accepted: %s", name, changed)
		}
	}
}

func FuzzParse(f *testing.F) {
	names, cells := rows(f, small)
	d, _ := fit(f, names, cells, columns.Options{}, 6)
	raw, err := d.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":"reprise.preprocessing.v1","columns":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := d.Marshal()
		if err != nil || !bytes.Equal(raw, again) {
			t.Fatalf("%s becomes %s, %v", raw, again, err)
		}
		e, err := NewEncoder(d)
		if err != nil {
			t.Fatal(err)
		}
		codes := make([]float64, len(d.Columns)) // 0 is a code of every kind
		e.Encode(codes, make([]float32, e.Features()))
		if len(e.Names()) != e.Features() {
			t.Fatalf("%d names of %d features", len(e.Names()), e.Features())
		}
	})
}

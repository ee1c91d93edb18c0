package columns

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reprise/dataset/table"
	"reprise/fault"
)

// profile returns the profile of a column of texts.
func profile(name string, o Options, texts ...string) *Profile {
	p := NewProfiler([]string{name}, o)
	for i, text := range texts {
		p.Add(table.Place{File: "t.csv", Row: i + 1, Line: i + 2}, []table.Cell{{Kind: table.Text, Text: text}})
	}
	return &p.Profiles()[0]
}

// times repeats texts.
func times(n int, texts ...string) []string {
	var all []string
	for range n {
		all = append(all, texts...)
	}
	return all
}

func TestKindsAreInferred(t *testing.T) {
	var different, prose []string
	for i := range 60 {
		different = append(different, fmt.Sprintf("name %c%c", 'a'+i%26, 'a'+i/26))
		prose = append(prose, fmt.Sprintf("this is sentence %c%c of several", 'a'+i%26, 'a'+i/26))
	}
	for name, c := range map[string]struct {
		column string
		texts  []string
		kind   Kind
		reason string
	}{
		"numbers":                {"x", []string{"1.5", "-2", " 3e4 ", "", "NA"}, Number, "all 3 values are numbers"},
		"zero and one":           {"x", []string{"0", "1", "1", "0"}, Number, "numbers"},
		"counted rows":           {"n", []string{"1", "2", "3", "4"}, Ignored, "count the rows"},
		"years":                  {"year", []string{"1999", "2000", "2001"}, Number, "numbers"},
		"descending":             {"n", []string{"10", "9", "8"}, Number, "numbers"},
		"ids":                    {"user_id", []string{"10", "93", "8", "12"}, Ignored, "names the rows"},
		"ids that come again":    {"user_id", []string{"10", "93", "8", "10"}, Number, "numbers"},
		"fractions called id":    {"id", []string{"1.5", "3.5", "7.25"}, Number, "numbers"},
		"constant":               {"x", []string{"a", "a", "a"}, Ignored, `every value is "a"`},
		"constant number":        {"x", []string{"5", "", "5"}, Ignored, `every value is "5"`},
		"one word or nothing":    {"x", []string{"left", "", "left", "", "left"}, Category, "1 different value"},
		"empty":                  {"x", []string{"", "NA", "n/a", "NaN", "null", "NULL", "?", "  "}, Ignored, "no row has a value"},
		"yes and no":             {"x", []string{"Yes", "no", "YES", ""}, Boolean, "true or false"},
		"true alone":             {"x", []string{"true", "", "true"}, Boolean, "true or false"},
		"two pairs":              {"x", []string{"yes", "true", "yes", "true"}, Category, "2 different values"},
		"dates":                  {"d", []string{"2024-02-29", "2024/03/01", "2024-03-01T10:30", "2024-03-01 10:30:15.5Z", "2024-03-01T10:30:00+02:00"}, Date, "all 5 values are dates"},
		"no such day":            {"d", times(3, "2023-02-29", "2023-02-30"), Category, "2 different values"},
		"categories":             {"x", times(5, "a", "b", "c"), Category, "3 different values in 15 rows"},
		"names":                  {"x", different, Ignored, "every value is different"},
		"names, some twice":      {"x", append(different, "name aa"), Ignored, "too many for a category"},
		"prose":                  {"x", prose, Text, "6 words"},
		"words among categories": {"x", append(times(8, "a", "b"), "17"), Category, "3 different"},
	} {
		t.Run(name, func(t *testing.T) {
			got, problem := profile(c.column, Options{}, c.texts...).Infer()
			if problem != nil {
				t.Fatalf("problem: %+v", *problem)
			}
			if got.Kind != c.kind || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%s: %s, want %s: %s", got.Kind, got.Reason, c.kind, c.reason)
			}
		})
	}
}

func TestTypedCellsAreInferred(t *testing.T) {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	for kind, cells := range map[Kind][]table.Cell{
		Number:  {{Kind: table.Integer, Integer: 5}, {Kind: table.Number, Number: 2.5}, {Kind: table.Missing}},
		Boolean: {{Kind: table.Boolean, Integer: 1}, {Kind: table.Boolean}},
		Date:    {{Kind: table.Time, Time: day}, {Kind: table.Time, Time: day.Add(time.Hour)}},
	} {
		p := NewProfiler([]string{"x"}, Options{})
		for i, c := range cells {
			p.Add(table.Place{Row: i + 1}, []table.Cell{c})
		}
		if got, problem := p.Profiles()[0].Infer(); got.Kind != kind || problem != nil {
			t.Errorf("%s: %+v, %v", kind, got, problem)
		}
	}
}

// A column that is not quite of a kind is a problem that says what would settle it, and
// the request that it proposes does settle it.
func TestMixedColumnsAreProblemsThatTheProposedRequestSettles(t *testing.T) {
	number := func(f Format) Spec { return Spec{Kind: Number, Format: f} }
	for name, c := range map[string]struct {
		texts []string
		count int
		row   int
		fix   []string
		by    []Options
	}{
		"a word among numbers": {append(times(9, "1", "2"), "unknown"), 1, 19, []string{"missing: [unknown]", "columns: {x: category}"},
			[]Options{{Missing: []string{"unknown"}}, {Columns: map[string]Spec{"x": {Kind: Category}}}}},
		"words among numbers": {append([]string{"low"}, times(9, "1", "2", "high")...), 10, 1, []string{"missing: [high, low]"},
			[]Options{{Missing: []string{"low", "high"}}}},
		"thousands": {[]string{"1,234", "12", "1,234,567.5"}, 2, 1, []string{`columns: {x: {kind: number, thousands: ","}}`},
			[]Options{{Columns: map[string]Spec{"x": number(Format{Thousands: ","})}}}},
		"decimal comma": {[]string{"1.234,5", "1,25", "3"}, 2, 1, []string{`thousands: ".", decimal: ","`},
			[]Options{{Columns: map[string]Spec{"x": number(Format{Thousands: ".", Decimal: ","})}}}},
		"currency": {[]string{"$5", "-$1,200.50", "$7"}, 3, 1, []string{`thousands: ",", unit: "$"`},
			[]Options{{Columns: map[string]Spec{"x": number(Format{Thousands: ",", Unit: "$"})}}}},
		"percent": {[]string{"5%", "7.5 %", "-3%"}, 3, 1, []string{`unit: "%"`},
			[]Options{{Columns: map[string]Spec{"x": number(Format{Unit: "%"})}}}},
		"dates, day first": {[]string{"01.02.2024", "28.02.2024"}, 2, 1, []string{"format: \"DD.MM.YYYY\"", "or MM.DD.YYYY if the month comes first"},
			[]Options{{Columns: map[string]Spec{"x": {Kind: Date, Format: Format{Pattern: "DD.MM.YYYY"}}}}}},
		"dates, month first": {[]string{"01/02/2024", "02/28/2024"}, 2, 1, []string{"format: \"MM/DD/YYYY\""},
			[]Options{{Columns: map[string]Spec{"x": {Kind: Date, Format: Format{Pattern: "MM/DD/YYYY"}}}}}},
		"a word among dates": {append(times(9, "2024-01-01", "2024-01-02"), "never"), 1, 19, []string{"missing: [never]"},
			[]Options{{Missing: []string{"never"}}}},
		"a number sign of C": {append(times(9, "1", "2"), "inf"), 1, 19, []string{"missing: [inf]"},
			[]Options{{Missing: []string{"inf"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problem := profile("x", Options{}, c.texts...).Infer()
			if problem == nil {
				t.Fatal("no problem")
			}
			if problem.Count != c.count || problem.First.Place.Row != c.row {
				t.Errorf("%d cells from row %d, want %d from row %d", problem.Count, problem.First.Place.Row, c.count, c.row)
			}
			for _, part := range c.fix {
				if !strings.Contains(problem.Fix, part) {
					t.Errorf("%q has no %q", problem.Fix, part)
				}
			}
			for _, o := range c.by {
				if errs := o.Check(); len(errs) > 0 {
					t.Errorf("%+v: %v", o, errs)
				}
				if _, problem := profile("x", o, c.texts...).Infer(); problem != nil {
					t.Errorf("%+v: %+v", o, *problem)
				}
			}
		})
	}
}

func TestAColumnOfAnotherKindThanAskedIsAProblem(t *testing.T) {
	for name, c := range map[string]struct {
		spec  Spec
		texts []string
		part  string
	}{
		"number":             {Spec{Kind: Number}, []string{"1", "b"}, "is not a number"},
		"numbers":            {Spec{Kind: Number}, []string{"c", "b"}, "are not numbers"},
		"boolean":            {Spec{Kind: Boolean}, []string{"yes", "maybe"}, "is not true or false"},
		"date":               {Spec{Kind: Date}, []string{"2024-01-01", "soon"}, "is not a date"},
		"pattern":            {Spec{Kind: Date, Format: Format{Pattern: "DD.MM.YYYY"}}, []string{"31.12.2024", "31.13.2024"}, "is not a date"},
		"constant":           {Spec{Kind: Number, Missing: Constant, Value: "none"}, []string{"1", "2"}, "not a number"},
		"strategy of a kind": {Spec{Missing: Mean}, times(3, "a", "b"), "cannot be replaced by mean"},
	} {
		o := Options{Columns: map[string]Spec{"x": c.spec}}
		if errs := o.Check(); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		if _, problem := profile("x", o, c.texts...).Infer(); problem == nil || !strings.Contains(problem.Problem, c.part) {
			t.Errorf("%s: %+v, want %s", name, problem, c.part)
		}
	}
}

func TestMissingCellsHaveADefaultThatFitsTheKind(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		spec  Spec
		texts []string
		want  Fill
	}{
		"few numbers":   {Spec{}, append(times(20, "1", "3"), ""), Fill{Strategy: Mean}},
		"many numbers":  {Spec{}, []string{"1", "3", "", "4"}, Fill{Strategy: Mean, Indicator: true}},
		"none":          {Spec{}, []string{"1", "3"}, Fill{Strategy: Mean}},
		"boolean":       {Spec{}, []string{"yes", "no", ""}, Fill{Strategy: Mean, Indicator: true}},
		"date":          {Spec{}, []string{"2024-01-01", "2024-01-02", "?"}, Fill{Strategy: Median, Indicator: true}},
		"category":      {Spec{}, append(times(3, "a", "b"), ""), Fill{Strategy: OwnCategory}},
		"asked":         {Spec{Missing: Median, Indicator: &yes}, []string{"1", "3"}, Fill{Strategy: Median, Indicator: true}},
		"asked, no way": {Spec{Missing: Drop}, []string{"1", "3", "", "4"}, Fill{Strategy: Drop}},
		"constant":      {Spec{Kind: Number, Missing: Constant, Value: "-1"}, []string{"1", "3"}, Fill{Strategy: Constant, Value: "-1"}},
	} {
		got, problem := profile("x", Options{Columns: map[string]Spec{"x": c.spec}}, c.texts...).Infer()
		if problem != nil || got.Missing != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got.Missing, problem, c.want)
		}
	}
}

func TestFurtherTextsAreMissing(t *testing.T) {
	m := NewMissing([]string{"none", "-999"})
	if !m.Is(table.Cell{Kind: table.Text, Text: " none "}) {
		t.Error("spaces around a text count")
	}
	for text, want := range map[string]bool{
		"none": true, "None": false, "-999": true, "-999.0": true, "999": false, "N/A": true, "n/A": true, "NAN": true, "0": false, "": true,
	} {
		if got := m.Is(table.Cell{Kind: table.Text, Text: text}); got != want {
			t.Errorf("%q is missing: %t", text, got)
		}
	}
	if !m.Is(table.Cell{Kind: table.Integer, Integer: -999}) || !m.Is(table.Cell{Kind: table.Number, Number: -999}) || m.Is(table.Cell{Kind: table.Integer}) {
		t.Error("numbers of a type are not compared by value")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	yes := true
	for field, spec := range map[string]Spec{
		"columns.x.kind":      {Kind: "numeric"},
		"columns.x.missing":   {Kind: Category, Missing: Mean},
		"columns.x.value":     {Kind: Number, Missing: Constant},
		"columns.x.indicator": {Kind: Category, Missing: OwnCategory, Indicator: &yes},
		"columns.x.thousands": {Kind: Number, Format: Format{Thousands: ".", Decimal: "."}},
		"columns.x.decimal":   {Kind: Number, Format: Format{Decimal: ";"}},
		"columns.x.unit":      {Kind: Category, Format: Format{Unit: "$"}},
		"columns.x.format":    {Kind: Date, Format: Format{Pattern: "DD.MM"}},
	} {
		errs := Options{Columns: map[string]Spec{"x": spec}}.Check()
		var e *fault.FieldError
		if len(errs) != 1 || !errors.As(errs[0], &e) || e.Field != field {
			t.Errorf("%s: %v", field, errs)
		}
	}
	errs := Options{Columns: map[string]Spec{"aeg": {}}}.CheckNames([]string{"age", "sex"})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), `did you mean "age"?`) {
		t.Errorf("%v", errs)
	}
}

func TestDatesAreReadInEveryDocumentedNotation(t *testing.T) {
	for text, want := range map[string]string{
		"1970-01-01": "1970-01-01T00:00:00Z", "2024/02/29": "2024-02-29T00:00:00Z", "2024-03-01 10:30": "2024-03-01T10:30:00Z",
		"2024-03-01T10:30:15": "2024-03-01T10:30:15Z", "2024-03-01T10:30:15.25Z": "2024-03-01T10:30:15.25Z",
		"2024-03-01T00:30+01:00": "2024-02-29T23:30:00Z", "0001-01-01": "0001-01-01T00:00:00Z", "9999-12-31": "9999-12-31T00:00:00Z",
	} {
		seconds, ok := Format{}.Date(table.Cell{Kind: table.Text, Text: text})
		if got := TimeOf(seconds).Format(time.RFC3339Nano); !ok || got != want {
			t.Errorf("%s is %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "2024", "2024-1-1", "2024-13-01", "2024-02-30", "0000-01-01", "2024-01/01", "2024-01-01T", "2024-01-01 25:00", "2024-01-01T10:30:61",
		"2024-01-01x", "2024-01-01T10:30:00.", "20240101", "2024-01-01T10", "-2024-01-01",
	} {
		if v, ok := (Format{}).Date(table.Cell{Kind: table.Text, Text: text}); ok {
			t.Errorf("%q is taken for %v", text, TimeOf(v))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds")
		seconds, ok := Format{}.Date(table.Cell{Kind: table.Text, Text: time.Unix(want, 0).UTC().Format(time.RFC3339)})
		if !ok || seconds != float64(want) || TimeOf(seconds).Unix() != want {
			t.Fatalf("%d is %v, %t", want, seconds, ok)
		}
	})
}

// What a format reads, it reads as the number that was written in it.
func TestNumbersOfAFormatAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(-1e12, 1e12).Draw(t, "cents")
		f := rapid.SampledFrom([]Format{{}, {Thousands: ","}, {Thousands: ".", Decimal: ","}, {Thousands: "'", Unit: "CHF"}, {Unit: "%"}}).Draw(t, "format")
		magnitude := max(cents, -cents)
		whole := fmt.Sprint(magnitude / 100)
		if f.Thousands != "" {
			for i := len(whole) - 3; i > 0; i -= 3 {
				whole = whole[:i] + f.Thousands + whole[i:]
			}
		}
		text := fmt.Sprintf("%s%s%02d", whole, f.point(), magnitude%100)
		switch before := rapid.Bool().Draw(t, "unit before"); {
		case f.Unit != "" && before:
			text = f.Unit + " " + text
		case f.Unit != "":
			text += f.Unit
		}
		if cents < 0 {
			text = "-" + text
		}
		if got, ok := f.Number(table.Cell{Kind: table.Text, Text: text}); !ok || got != float64(cents)/100 {
			t.Fatalf("%q is %v, %t, want %v", text, got, ok, float64(cents)/100)
		}
	})
	for _, text := range []string{"1,23", "1234,567", ",123", "1,2345", "1,,234", "12,34,567"} {
		if v, ok := (Format{Thousands: ","}).Number(table.Cell{Kind: table.Text, Text: text}); ok {
			t.Errorf("%q is taken for %v", text, v)
		}
	}
}

func FuzzCellsNeverPanic(f *testing.F) {
	for _, text := range []string{"$1,200", "1.234,5 EUR", "5%", "31.12.2024", "2024-01-01T00:00:00.5+02:00", "-$", "1e9", "NaN", "é", "1 000"} {
		f.Add(text, ",", "$", "DD.MM.YYYY")
	}
	f.Fuzz(func(t *testing.T, text, thousands, unit, pattern string) {
		c := table.Cell{Kind: table.Text, Text: text}
		format := Format{Thousands: thousands, Unit: unit, Pattern: pattern}
		format.Number(c)
		format.Date(c)
		if g, ok := guess(strings.TrimSpace(text)); ok && g.Pattern == "" {
			if _, read := g.Number(c); !read {
				t.Fatalf("%q is guessed to be %+v, which does not read it", text, g)
			}
		}
		p := profile("x", Options{}, text, text, "1")
		p.Infer()
	})
}

package dataset

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestNumbersHaveOneNotation(t *testing.T) {
	for cell, want := range map[string]float64{
		"0": 0, "-0": 0, "7": 7, "+7": 7, "-7": -7, "007": 7, "1.5": 1.5, ".5": 0.5, "5.": 5, "-.5e1": -5, "1e3": 1000,
		"1E+3": 1000, "1e-3": 0.001, "0e999": 0, "0.000": 0, "2.2250738585072014e-308": 0x1p-1022,
		"3.4028234663852886e38": math.MaxFloat32, "-3.4028234663852886e38": -math.MaxFloat32,
		"0.1000000000000000055511151231257827": 0.1, "123456789012345678901234567890": 123456789012345678901234567890,
	} {
		if v, ok := currentReading.parseNumber(cell); !ok || v != want {
			t.Errorf("%q is %v, %t, want %v", cell, v, ok, want)
		}
	}
	for _, cell := range []string{
		"", " ", ".", "+", "-", "e", "e1", "1e", "1e+", "1e1.5", "--1", "+-1", "1..2", "1.2.3", "1 2", "1e 3", "abc",
		"1_000", "0x1p4", "0x10", "0X1P4", "0x1_0p0", "0b1", "0o7", "1p4", "1f", "1,5", "1,234", "$1", "5%", "1/2", "١٢", "１２", "−5",
		"inf", "-Inf", "+infinity", "NaN", "nan", "1e400", "-1e39", "1e-400", "1e-310", "-2e-308", "1\x00", "1e99999999999999999999",
	} {
		if v, ok := currentReading.parseNumber(cell); ok {
			t.Errorf("%q is taken for %v", cell, v)
		}
	}
}

func TestCellsThatAreNotNumbersAreExplained(t *testing.T) {
	for cell, want := range map[string][]string{
		"1_000":        {`"1_000" is not a number`, "as 1000"},
		"0x1p4":        {`"0x1p4" is not a number`, "in decimal digits"},
		"0x1_0p0":      {"is not a number"},
		"0x10":         {"in decimal digits"},
		"1 234":        {"without separators", "as 1234"},
		"1\u00a0234.5": {"without separators", "as 1234.5"},
		"1'234":        {"without separators", "as 1234"},
		"1,234":        {"between the thousands, as 1234"},
		"1,234,567.8":  {"as 1234567.8"},
		"1.234.567":    {"as 1234567"},
		"1.234,56":     {"as 1234.56"},
		"-1,5":         {"decimal point as a point, as -1.5"},
		"1,5e3":        {"as 1.5e3"},
		"1,23456":      {"as 1.23456"},
		"−5":           {"minus sign as a hyphen, as -5"},
		"１２":           {"digits 0 to 9"},
		"٣.٥":          {"digits 0 to 9"},
		"-":            {"missing value"},
		"N/A":          {"missing value"},
		"+NaN":         {"missing value"},
		"Infinity":     {"is not finite"},
		"1e400":        {"too large"},
		"1e-400":       {"too small", "become 0"},
		"-3e-310":      {"too small", "scale the column up"},
		"5%":           {"remove the column, or encode it"},
		"\x1b[31m":     {`"\x1b[31m" is not a number`},
		"1\x002":       {`"1\x002" is not a number`},
	} {
		err := (&table{path: "data.csv"}).badNumber(3, "x", cell)
		checkDataError(t, err, append([]string{"data.csv: line 3", `column "x"`}, want...)...)
		if cell == "1,234" && strings.Contains(err.Error(), "point") {
			t.Errorf("%q: %v", cell, err)
		}
	}
}

func TestThereIsOneClassPerLabel(t *testing.T) {
	for name, c := range map[string]struct{ cells, want []string }{
		"beyond 2^53":       {[]string{"9007199254740992", "9007199254740993", "5", "5"}, []string{"5", "9007199254740992", "9007199254740993"}},
		"snowflakes":        {[]string{"1234567890123456789", "1234567890123456788", "5", "5"}, []string{"5", "1234567890123456788", "1234567890123456789"}},
		"sections":          {[]string{"1_1", "1_2", "2_1", "1_1"}, []string{"1_1", "1_2", "2_1"}},
		"hexadecimal":       {[]string{"0x1p4", "0x10p0", "0x1p4"}, []string{"0x10p0", "0x1p4"}},
		"beyond float64":    {[]string{"1e400", "1e401", "10e399"}, []string{"1e400", "1e401"}},
		"near 0":            {[]string{"1e-400", "0", "0.0"}, []string{"0", "1e-400"}},
		"long fractions":    {[]string{"0.1", "0.1000000000000000055", "0.10"}, []string{"0.1", "0.1000000000000000055"}},
		"one number":        {[]string{"1", "01", "+1", "1.0", "1.", "10e-1", "2"}, []string{"1", "2"}},
		"half":              {[]string{".5", "0.5", "5e-1", "-.5"}, []string{"-0.5", "0.5"}},
		"names with blanks": {[]string{"a b", "ab", "a  b", "ab"}, []string{"a  b", "a b", "ab"}},
		"infinite exponent": {[]string{"1e99999999999", "1e99999999998", "1e99999999999"}, []string{"1e99999999998", "1e99999999999"}},
	} {
		text := "x,y\n"
		for i, cell := range c.cells {
			text += fmt.Sprintf("%d,%s\n", i, cell)
		}
		d, err := openCSVText(t, text, "y")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Equal(d.ClassNames(), c.want) {
			t.Errorf("%s: classes %q, want %q", name, d.ClassNames(), c.want)
		}
	}
	_, err := openCSVText(t, "x,y\n1,1_1\n2,11\n3,1_1\n", "y")
	checkDataError(t, err, "line 3", `"11" is a number, while "1_1" on line 2 is a name`)
}

func TestQuantitiesAreNotTreatedAsClasses(t *testing.T) {
	column := func(rows int, cell func(int) string) string {
		text := "x,y\n"
		for i := range rows {
			text += fmt.Sprintf("%d,%s\n", i, cell(i))
		}
		return text
	}
	whole := func(k int) func(int) string { return func(i int) string { return fmt.Sprint(i % k) } }
	for name, c := range map[string]struct {
		text    string
		refused bool
	}{
		"214 whole numbers in 442 rows": {column(442, whole(214)), true},
		"21 classes, 9 rows each":       {column(21*9, whole(21)), true},
		"21 classes, 10 rows each":      {column(21*10, whole(21)), false},
		"100 classes, 20 rows each":     {column(2000, whole(100)), false},
		"200 classes, 20 rows each":     {column(4000, whole(200)), true},
		"26 letters from 1 on":          {column(520, func(i int) string { return fmt.Sprint(1 + i%26) }), false},
		"ages from 17 to 90":            {column(7400, func(i int) string { return fmt.Sprint(17 + i%74) }), true},
		"30 numbers with a gap":         {column(3000, func(i int) string { return fmt.Sprint(i % 30 * 2) }), true},
		"20 classes, 2 rows each":       {column(40, whole(20)), false},
		"21 fractions":                  {column(2100, func(i int) string { return fmt.Sprintf("%d.5", i%21) }), true},
		"nine ratings":                  {column(50, func(i int) string { return fmt.Sprint(1 + float64(i%9)/2) }), false},
		"200 names":                     {column(400, func(i int) string { return fmt.Sprintf("c%d", i%200) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, t.TempDir(), "data.csv", c.text)
			_, err := open(t, Source{Path: path, Target: "y"})
			if c.refused {
				checkFieldError(t, name, err, FieldTask, `column "y"`, "different numbers in", "choose the task regression, or classification if each")
			} else if err != nil {
				t.Error(err)
			}
			// An explicit task is obeyed.
			mustOpen(t, Source{Path: path, Target: "y", Task: Classification})
			if name != "200 names" {
				mustOpen(t, Source{Path: path, Target: "y", Task: Regression})
			}
		})
	}
}

func TestWholeNumbersThatDifferInLostDigitsAreRefused(t *testing.T) {
	rows := func(cell func(int) string) string {
		text := "x,y\n"
		for i := range 60 {
			text += fmt.Sprintf("%s,%d\n", cell(i), i%2)
		}
		return text
	}
	for name, c := range map[string]struct {
		cell func(int) string
		want string // "" if it is accepted
	}{
		"consecutive ids":        {func(i int) string { return fmt.Sprint(1234567890123456700 + i) }, "more digits than a 64-bit float holds"},
		"one apart in float64":   {func(i int) string { return fmt.Sprint(9007199254740992 + i%2) }, "more digits than a 64-bit float holds"},
		"hidden by the mean":     {func(i int) string { return fmt.Sprint(9007199254740000 + i%2) }, "rounding hides how the column varies"},
		"microseconds of a day":  {func(i int) string { return fmt.Sprint(1700000000000000 + i*1440000000) }, ""},
		"nanoseconds of a day":   {func(i int) string { return fmt.Sprint(1700000000000000001 + i*1440000000001) }, ""},
		"one id everywhere":      {func(int) string { return "1234567890123456789" }, ""},
		"long fractions":         {func(i int) string { return fmt.Sprintf("0.%d%030d", i%7, 1) }, ""},
		"floats written in full": {func(i int) string { return fmt.Sprintf("%d00000000000000000000", i+1) }, ""},
	} {
		for _, task := range []Task{Classification, Regression} {
			target, text := "y", rows(c.cell)
			if task == Regression {
				target = "x"
			}
			_, err := open(t, Source{Path: writeFile(t, t.TempDir(), "data.csv", text), Target: target, Task: task})
			switch {
			case c.want != "":
				checkDataError(t, err, `column "x"`, c.want, "subtract a constant")
			case err != nil && (task == Classification || name != "one id everywhere"):
				t.Errorf("%s, %s: %v", name, task, err)
			}
		}
	}
}

func TestLineEndsOfEverySystemReadTheSame(t *testing.T) {
	const text = "a,\"b \"\"c\"\"\",y\n1,2,0\n\n2,1,\"1\"\n3,1,0\n2,2,1\n"
	want, err := openCSVText(t, text, "y")
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]string{"CR": "\r", "CRLF": "\r\n", "CR CR": "\r\r"} {
		changed := strings.ReplaceAll(text, "\n", end)
		for _, text := range []string{changed, strings.TrimSpace(changed), "\xEF\xBB\xBF" + changed} {
			got, err := openCSVText(t, text, "y")
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got.Fingerprint() != want.Fingerprint() {
				t.Errorf("%s: another fingerprint", name)
			}
		}
	}
	// One byte at a time, so that CR and LF are read separately.
	for _, end := range []string{"\r", "\r\n", "\n"} {
		r := &oneByte{strings.NewReader(strings.ReplaceAll(text, "\n", end))}
		if d, err := currentReading.readCSV(context.Background(), r, "data.csv", "", "y"); err != nil || d.Fingerprint() != want.Fingerprint() {
			t.Errorf("%q: %v", end, err)
		}
	}
	// A CR within LF lines belongs to its cell; one in quotes does not end lines.
	_, err = openCSVText(t, "a,y\n1\r2,0\n3,1\n4,1\n", "y")
	checkDataError(t, err, "line 2", `"1\r2" is not a number`)
	if d, err := openCSVText(t, "\"a\rb\",y\n1,0\n3,1\n4,1\n", "y"); err != nil || !slices.Equal(d.ColumnNames(), []string{"a\rb"}) {
		t.Errorf("%v", err)
	}
	// Errors count lines that end in CR, too.
	_, err = openCSVText(t, "a,y\r1,0\r2,1\rx,0\r", "y")
	checkDataError(t, err, "line 4", `"x" is not a number`)
}

type oneByte struct{ r *strings.Reader }

func (o *oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func TestOpenQuotesAreReportedWhereTheyOpen(t *testing.T) {
	tail := strings.Repeat("0,0,z\n", 50)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"to the end":          {"a,b,y\n0,0,z\n1,2,\"x\n" + tail, []string{"line 3:", "a quote opens here", "before line 5"}},
		"after a long cell":   {"a,b,y\n\"0\n\n\",0,z\n\"1\n\",2,\"x\n" + tail, []string{"line 6:", "a quote opens here"}},
		"to the next quote":   {"a,b,y\n1,2,\"x\n" + tail + "3,4,\"y\"\n", []string{"line 2:", "a quote opens here", "before line 53"}},
		"in the header":       {"a,\"b,y\n" + tail, []string{"line 1:", "a quote opens here"}},
		"within a line":       {"a,b,y\n1,2,\"x\"z\n" + tail, []string{"line 2:", "the quote at byte 7 of the line is out of place"}},
		"in an unquoted cell": {"a,b,y\n1,2,x\"z\n" + tail, []string{"line 2:", "the quote at byte 6 of the line is out of place"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openCSVText(t, c.text, "y")
			checkDataError(t, err, c.want...)
		})
	}
}

package dataset

import (
	"fmt"
	"strings"
	"testing"
)

func TestAnotherSeparatorIsNamedEvenAmongQuotes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"quoted header, semicolons": {"\"name\";value\n\"a;b\";1\n\"c\";2\n", "line 1: the columns are separated by semicolons; separate the columns by commas"},
		"quoted cells only":         {"name;value\n\"a;b\";1\n\"c\";2\n", "separate the columns by commas"},
		"tabs":                      {"\"name\"\tvalue\n\"a\"\t1\n", "line 1: the columns are separated by tabs; separate the columns by commas"},
		"vertical bars":             {"\"name\"|value\n\"a\"|1\n", "line 1: the columns are separated by vertical bars; separate the columns by commas"},
		"commas in quotes":          {"\"a, b\";\"c, d\";value\n1;2;3\n", "line 1: the columns are separated by semicolons"},
		"commas within names":       {"length;width, in mm;value\n1;2;3\n", "separate the columns by commas"},
		"empty lines before":        {"\n\n\"name\";value\n\"a\";1\n", "line 3: the columns are separated by semicolons"},
		"byte order mark":           {"\xEF\xBB\xBF\"name\";value\n\"a\";1\n", "separated by semicolons"},
	} {
		for _, target := range []string{"value", ""} {
			_, err := openCSVText(t, c.text, target)
			if target == "" && !strings.Contains(c.text, `"`) {
				c.want = "separate the columns by commas"
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, target %q: %v, want %q", name, target, err, c.want)
			}
		}
	}
	// A quote that is out of place among commas is still that.
	_, err := openCSVText(t, "a;1,b;2,y\n5\"7,1,p\n", "y")
	checkDataError(t, err, "line 2", "the quote at byte 2 of the line is out of place")
}

func TestACommentInPlaceOfTheHeaderIsSaidToBeOne(t *testing.T) {
	for text, target := range map[string]string{
		"# my data\na,y\n1,p\n2,q\n": "y", "# my data, of 2026\na,y\n1,p\n": "", "# my \"data\"\na,y\n1,p\n": "y", "# a,y\n1,p\n2,q\n": "a",
	} {
		_, err := openCSVText(t, text, target)
		if err == nil || !strings.Contains(err.Error(), "line 1 looks like a comment, which CSV files do not have: remove the line") {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, err := openCSVText(t, "a,y\n1,p\n# the rest\n2,q\n", "y")
	checkDataError(t, err, "line 3", "1 cell does not fit the 2 columns of the header; remove the line: CSV files have no comments")
	if _, err := openCSVText(t, "#,y\n1,p\n2,q\n3,p\n4,q\n", "y"); err != nil { // a column may have this name
		t.Error(err)
	}
}

func TestAllMistakesInTheCellsAreReportedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"text columns and missing cells": {
			"island,bill,sex,y\nTorg,1,male,a\n\"Torg, x\",NA,female,b\nDream,,,a\nDream,4,male,b\n",
			[]string{
				`data.csv: columns "island", "sex" are text, such as "Torg" on line 2; remove the columns, or encode them as numbers`,
				`data.csv: 3 cells are missing in 2 columns ("bill", "sex"), the first on line 3; fill them in, or remove the rows`,
			},
		},
		"one column of text": {
			"island,x,y\nTorg,1,a\nDream,2,b\n",
			[]string{`data.csv: line 2, column "island": "Torg" is not a number; remove the column, or encode it as numbers`},
		},
		"missing in one column": {
			"x,y\n1,a\nNA,b\n,a\n4,b\n",
			[]string{`data.csv: column "x": 2 cells are missing, the first on line 3; fill them in, or remove the rows`},
		},
		"one missing, one text, one comma": {
			"w,x,z,y\n1,1,1,a\n,tall,\"1,5\",b\n3,3,3,a\n",
			[]string{
				`data.csv: line 3, column "x": "tall" is not a number; remove the column, or encode it as numbers`,
				`data.csv: line 3, column "z": "1,5" is not a number; write the decimal point as a point, as 1.5`,
				`data.csv: line 3, column "w": the cell is empty; fill it in, or remove the row`,
			},
		},
		"several of one kind in a column": {
			"x,y\n\"1,5\",a\n2,b\n\"2,5\",a\n",
			[]string{`data.csv: line 2, column "x": "1,5" is not a number (the column has 2 cells that are not usable numbers); write the decimal point as a point, as 1.5`},
		},
		"missing targets": {
			"x,y\n1,a\nword,\n3,NaN\n4,b\n",
			[]string{
				`data.csv: line 3, column "x": "word" is not a number; remove the column, or encode it as numbers`,
				`data.csv: column "y": 2 cells are missing, the first on line 3; fill them in, or remove the rows`,
			},
		},
		"mixed classes and a bad row": {
			"x,y\nNA,a\n2,7\n3,b,\n",
			[]string{
				`data.csv: line 2, column "x": "NA" stands for a missing value; fill it in, or remove the row`,
				`data.csv: line 3, column "y": "7" is a number, while "a" on line 2 is a name; use numbers for all classes, or names for all`,
				`data.csv: line 4: 3 cells do not fit the 2 columns of the header; give every row one cell for each column`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openCSVText(t, c.text, "y")
			if err == nil {
				t.Fatal("no error")
			}
			var got []string
			for line := range strings.SplitSeq(err.Error(), "\n") {
				_, after, _ := strings.Cut(line, "data.csv: ")
				got = append(got, "data.csv: "+after)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestMistakesInManyColumnsAreBounded(t *testing.T) {
	header, good, bad := "", "", ""
	for i := range 30 {
		header += fmt.Sprintf("c%d,", i)
		good += "1,"
		bad += "\"1,5\","
	}
	_, err := openCSVText(t, header+"y\n"+good+"a\n"+good+"b\n"+bad+"a\n", "y")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxMistakes+1 || !strings.Contains(lines[maxMistakes], "20 more columns with cells that are not usable numbers; correct the others first") {
		t.Errorf("%v", err)
	}
}

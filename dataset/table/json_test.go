package table

import (
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"lines.jsonl", "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2.5, \"b\": null}\n", "a | b\n1 \"x\"\n2.5f -\n"},
		{"list.json", "[\n {\"a\": 1},\n {\"a\": true}\n]\n", "a\n1\ntrue\n"},
		{"empty_list.json", "[{}, {\"a\": false}]", "a\n-\nfalse\n"},
		{"one_line.ndjson", "{\"a\":1}{\"a\":2} {\"a\":3}", "a\n1\n2\n3\n"},
		{"mark.jsonl", "\xef\xbb\xbf{\"a\": 1}", "a\n1\n"},
		{"union.jsonl", "{\"b\": 1}\r\n\r\n{\"a\": 2, \"b\": 3}", "b | a\n1 -\n3 2\n"},
		{"nested.jsonl", `{"wind": {"speed": 3, "from": {"degree": 90}}, "wind2": 1}`, "wind.speed | wind.from.degree | wind2\n3 90 1\n"},
		{"null_group.jsonl", "{\"w\": null, \"x\": null}\n{\"w\": {\"s\": 1}}", "x | w.s\n- -\n- 1\n"},
		{"mixed_group.jsonl", "{\"w\": 1}\n{\"w\": {\"s\": 2}}", "w | w.s\n1 -\n- 2\n"},
		{"numbers.jsonl", `{"a": -0, "b": 1.0, "c": 1e3, "d": 9223372036854775807, "e": 9223372036854775808, "f": 1e-400}`,
			"a | b | c | d | e | f\n0 1f 1000f 9223372036854775807 \"9223372036854775808\" 0f\n"},
		{"escapes.jsonl", `{"\u0061\n": "x\"\\\ud834\udd1e}{", "b": "ß"}`, "a\n | b\n\"x\\\"\\\\𝄞}{\" \"ß\"\n"},
		{"tight.jsonl", "{\"a\":1,\"b\":{},\"c\":{\"d\":null}}", "a | c.d\n1 -\n"},
	} {
		got, err := read(Options{Path: file(t, c.name, c.content)})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
		got, err = read(Options{Path: file(t, c.name+".gz", gz(c.content))})
		if err != nil || got != c.want {
			t.Errorf("%s.gz: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestListsInJSONMayBeIgnored(t *testing.T) {
	path := file(t, "t.jsonl", `{"a": 1, "tags": ["x", "]\""], "deep": {"list": [[]], "n": 2}, "b": {"c": 1}}`)
	got, err := read(Options{Path: path, Ignore: []string{"tags", "deep.list", "b"}})
	if err != nil || got != "a | deep.n\n1 2\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestMistakesInJSON(t *testing.T) {
	for _, c := range []struct {
		content string
		parts   []string
	}{
		{"{\"a\": 1}\n{\"a\": [1, 2]}", []string{`line 2, column "a": [1, 2] is a list`, "dataset.columns: {a: ignored}"}},
		{"{\"a b\": []}", []string{`dataset.columns: {"a b": ignored}`}},
		{"{\"a\": {\"b\":\n []}}", []string{`line 2, column "a.b"`}},
		{"{\"a\": 1,\n \"a\": 2}", []string{`line 2, column "a": "a" is a key that the row has twice`}},
		{"{\"a\": {\"b\": 1}, \"a.b\": 2}", []string{`"a.b" is a key that the row has twice`}},
		{"{\"a\": 1}\n\n{\"a\": 1,}", []string{"line 3: the row is not JSON"}},
		{"{\"a\": 1}\n{\"a\": \n\nNaN}", []string{"line 4: NaN is not JSON", "write null"}},
		{"{\"a\": 1}\n{\"a\": -Infinity}", []string{"line 2: -Infinity is not JSON", "write null"}},
		{"{\"a\": 01}", []string{"line 1: the row is not JSON"}},
		{"{\"a\": 1]}", []string{"not JSON"}},
		{"{\"a\": 1e999}", []string{`line 1, column "a": "1e999" is too large`}},
		{"{\"a\": 1}\n{\"a\":", []string{"line 2: the file ends within a row"}},
		{"[{\"a\": 1}\n", []string{"line 2: the list of rows is not closed"}},
		{"[{\"a\": 1},\n", []string{"line 2: the file ends within a row"}},
		{"[{\"a\": 1} {\"a\": 2}]", []string{`'{' follows a row`, "by commas"}},
		{"[{\"a\": 1}]{\"a\": 2}", []string{`'{' follows the list of rows`}},
		{"{\"a\": 1},\n{\"a\": 2}", []string{"a comma follows a row"}},
		{"{\"a\": 1}\n7", []string{`line 2: '7' does not begin an object`}},
		{"[]", []string{"has no rows"}},
		{"{}", []string{"has no columns"}},
		{"{\"a\": " + strings.Repeat("{\"b\": ", 10_000) + "1" + strings.Repeat("}", 10_001), []string{"line 1: is nested deeper than the limit of 32"}},
		{"[{\"a\": " + strings.Repeat("[", 10_000), []string{"nested deeper"}},
		{"{\"a\": \"" + strings.Repeat("x", MaxCellBytes+1) + "\"}", []string{"more than the limit of 1048576 for a cell"}},
	} {
		_, err := read(Options{Path: file(t, "t.json", c.content)})
		refused(t, err, append(c.parts, "t.json")...)
	}
}

func TestARowOfJSONHasALimit(t *testing.T) {
	content := zst("{\"a\": 1}\n{\"a\": \"" + strings.Repeat("xxx\n", MaxRowBytes/4))
	_, err := read(Options{Path: file(t, "t.jsonl.zst", content)})
	refused(t, err, "a row takes more than the limit of 67108864 bytes")
}

func TestFilesOfJSONHaveTheSameKeys(t *testing.T) {
	path := file(t, "a.jsonl", "{\"x\": 1, \"y\": 2}")
	pattern := strings.TrimSuffix(path, "a.jsonl") + "*.jsonl"
	write := func(content string) { writeFile(t, strings.Replace(path, "a.jsonl", "b.jsonl", 1), content) }
	write("{\"y\": null}\n{\"y\": 4, \"x\": 3}")
	if got, err := read(Options{Path: pattern}); err != nil || got != "x | y\n1 2\n- -\n3 4\n" {
		t.Errorf("%q, %v", got, err)
	}
	write("{\"y\": 4, \"z\": 3}")
	_, err := read(Options{Path: pattern})
	refused(t, err, "b.jsonl", "a.jsonl", `lacks the column "x"`, `has the column "z" in addition`)
}

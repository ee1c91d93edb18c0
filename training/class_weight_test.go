package training

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestWeightsOfClasses(t *testing.T) {
	words, numbers := []string{"fine", "fraud", "unknown"}, []string{"3", "7"}
	for _, c := range []struct {
		weight  string // JSON
		classes []string
		counts  []int
		want    []float32
		problem string
	}{
		{`"balanced"`, words, []int{6, 2, 4}, []float32{12. / 18, 2, 1}, ""},
		{`"balanced"`, words, []int{9, 3, 0}, []float32{12. / 18, 2, 1}, ""},
		{`{"fraud":5}`, words, []int{6, 2, 4}, []float32{1, 5, 1}, ""},
		{`{"1":5,"fine":0.5}`, words, []int{6, 2, 4}, []float32{0.5, 5, 1}, ""},
		{`{"7":5}`, numbers, []int{1, 1}, []float32{1, 5}, ""},
		{`{"0":5}`, numbers, []int{1, 1}, nil, `"0" is not a class; the classes are "3", "7"`},
		{`{"fruad":5}`, words, []int{6, 2, 4}, nil, `did you mean "fraud"?`},
		{`{"3":5}`, words, []int{6, 2, 4}, nil, `"3" is not a class`},
		{`{"01":5}`, words, []int{6, 2, 4}, nil, `"01" is not a class`},
		{`{"1":5,"fraud":6}`, words, []int{6, 2, 4}, nil, `"fraud" is the class that "1" names, too`},
		{`{"x":5,"y":6}`, words, []int{6, 2, 4}, nil, `"y" is not a class`},
		{`{"fine":0,"fraud":0}`, words, []int{6, 2, 0}, nil, "leaves no class to learn"},
	} {
		var w ClassWeight
		if err := json.Unmarshal([]byte(c.weight), &w); err != nil {
			t.Fatal(err)
		}
		got, err := w.Weights(c.classes, c.counts)
		switch {
		case c.problem != "":
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v, want %s", c.weight, err, c.problem)
			}
		case err != nil || !slices.Equal(got, c.want):
			t.Errorf("%s: %v, %v, want %v", c.weight, got, err, c.want)
		}
		if raw, err := json.Marshal(w); err != nil || string(raw) != c.weight {
			t.Errorf("%s is written as %s, %v", c.weight, raw, err)
		}
	}
	if got, err := ClassWeight("").Weights(words, nil); got != nil || err != nil {
		t.Errorf("without weights: %v, %v", got, err)
	}
}

func TestWeightsOfClassesHaveOneSpelling(t *testing.T) {
	for given, want := range map[string]string{
		`{ "b": 2.0, "a": 1e0 }`: `{"a":1,"b":2}`, `{}`: "", `null`: "", ` "balanced"`: `"balanced"`,
		`"even"`: "error", `{"a":-1}`: `{"a":-1}`, `{"a":"1"}`: "error", `[1]`: "error", `{"a":1e300}`: "error",
	} {
		var w ClassWeight
		err := json.Unmarshal([]byte(given), &w)
		if (err != nil) != (want == "error") || err == nil && string(w) != want {
			t.Errorf("%s: %s, %v, want %s", given, w, err, want)
		}
	}
	for _, bad := range []ClassWeight{`{"a":-1}`, `{"a":1e300}`, "none"} {
		if bad.validate() == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}

package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// fixtures are what testdata/sklearn_fixtures.py wrote.
type fixtures struct {
	Classification []struct {
		Name          string          `json:"name"`
		Classes       int             `json:"classes"`
		Labels        []int           `json:"labels"`
		Logits        [][]float32     `json:"logits"`
		Probabilities [][]float64     `json:"probabilities"`
		Want          json.RawMessage `json:"want"`
		// Calibration are the means of the probabilities of two classes, and the shares that
		// came true.
		Calibration [2][]float64 `json:"calibration"`
	} `json:"classification"`
	Regression []struct {
		Name        string          `json:"name"`
		Targets     []float64       `json:"targets"`
		Predictions []float64       `json:"predictions"`
		Want        json.RawMessage `json:"want"`
	} `json:"regression"`
}

func readFixtures(t *testing.T) fixtures {
	t.Helper()
	raw, err := os.ReadFile("testdata/sklearn.json")
	if err != nil {
		t.Fatal(err)
	}
	var f fixtures
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Classification) < 20 || len(f.Regression) < 10 {
		t.Fatalf("%d and %d cases", len(f.Classification), len(f.Regression))
	}
	return f
}

func TestFiguresOfClassesAreThoseOfScikitLearn(t *testing.T) {
	for _, c := range readFixtures(t).Classification {
		t.Run(c.Name, func(t *testing.T) {
			tally := NewClassTally(c.Classes)
			for i, label := range c.Labels {
				var err error
				if c.Logits != nil {
					err = tally.AddLogits(label, c.Logits[i])
				} else {
					err = tally.AddProbabilities(label, c.Probabilities[i])
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			compare(t, tally.Figures(), c.Want)
		})
	}
}

func TestFiguresOfQuantitiesAreThoseOfScikitLearn(t *testing.T) {
	for _, c := range readFixtures(t).Regression {
		t.Run(c.Name, func(t *testing.T) {
			var tally ValueTally
			for i, target := range c.Targets {
				if err := tally.Add(target, c.Predictions[i]); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, tally.Figures(), c.Want)
		})
	}
}

// compare compares the JSON form of figures with that of a fixture: the same keys, the same
// nulls, and numbers that agree to 1e-9 of their size.
func compare(t *testing.T, figures any, want json.RawMessage) {
	t.Helper()
	raw, err := json.Marshal(figures)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	compareValues(t, "figures", a, b)
}

func compareValues(t *testing.T, path string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: %v, want %v", path, got, want)
			return
		}
		for key, w := range want {
			g, ok := got[key]
			if !ok && w != nil {
				t.Errorf("%s.%s is missing, want %v", path, key, w)
				continue
			}
			compareValues(t, path+"."+key, g, w)
		}
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("%s.%s is not in the fixture", path, key)
			}
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			t.Errorf("%s: %v, want %v", path, got, want)
			return
		}
		for i := range want {
			compareValues(t, fmt.Sprintf("%s[%d]", path, i), list[i], want[i])
		}
	case float64:
		v, ok := got.(float64)
		if !ok || !(math.Abs(v-want) <= 1e-9*math.Abs(want)+1e-15) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	default:
		if got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

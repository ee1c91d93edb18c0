package api

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// hyperparameter is a scalar of config, as the schema describes it.
type hyperparameter struct {
	path string         // such as config.optimizer.beta1
	rule map[string]any // of the schema
	base string         // what a request needs to have it
}

// hyperparameters lists every scalar of config, in each form that has it. The other
// tests of this file hold for each of them, so that a new one only has to be in the
// schema and in the struct that it is a field of.
func hyperparameters(t *testing.T) []hyperparameter {
	t.Helper()
	s := requestSchema()
	var list []hyperparameter
	within := func(key string, rule map[string]any) {
		base := ", " + key + ": {}"
		if examples, _ := rule["examples"].([]any); len(examples) > 0 {
			base = ", " + key + ": " + flow(examples[0])
		} else if name, ok := s.property(rule, "name")["const"].(string); ok {
			base = ", " + key + ": " + name
		}
		for _, inner := range s.keys(rule) {
			if inner != "name" {
				list = append(list, hyperparameter{"config." + key + "." + inner, s.property(rule, inner), base})
			}
		}
	}
	config := s.at(schemaURL + "#/properties/config")
	for _, key := range s.keys(config) {
		rule := s.property(config, key)
		switch {
		case key == "devices": // where it trains, of the job and not of the training; see job_test.go
		case rule["anyOf"] != nil:
			for _, form := range forms(s, "/properties/config/properties/"+key) {
				within(key, s.at(schemaURL+"#"+form))
			}
		case rule["type"] == "object":
			within(key, rule)
		default:
			list = append(list, hyperparameter{"config." + key, rule, ""})
		}
	}
	if len(list) < 40 {
		t.Fatalf("only %d hyperparameters found", len(list))
	}
	return list
}

// values returns what the hyperparameter may be set to, in YAML.
func (h hyperparameter) values() []string {
	var out []string
	for _, list := range []any{h.rule["examples"], h.rule["enum"]} {
		values, _ := list.([]any)
		for _, v := range values {
			out = append(out, flow(v))
		}
	}
	if h.rule["type"] == "boolean" {
		out = append(out, "true", "false")
	}
	return append(out, "2", "3", "0.5", "0.25")
}

// with returns the request that has the hyperparameter and sets it to a value other
// than it has there, and the one before.
func (h hyperparameter) with(t *testing.T) (before, after TrainingRequest) {
	t.Helper()
	before = parse(t, minimal(h.base))
	for _, value := range h.values() {
		after, err := before.With(Setting{Field: h.path, Value: value})
		if err == nil && canonical(t, after) != canonical(t, before) {
			return before, after
		}
	}
	t.Fatalf("%s: none of %v is valid and makes a difference", h.path, h.values())
	return before, after
}

// A request, the record of a run and the difference between a run and its fork have
// every hyperparameter.
func TestEveryHyperparameterIsDecodedRecordedAndForked(t *testing.T) {
	for _, h := range hyperparameters(t) {
		before, after := h.with(t)
		from, to := canonical(t, before), canonical(t, after)
		again, err := RecordedRequest([]byte(to))
		if err != nil || canonical(t, again) != to {
			t.Errorf("%s: %s is read as %s, %v", h.path, to, canonical(t, again), err)
		}
		was, err := json.Marshal(before.Hyperparameters(100))
		if err != nil {
			t.Fatal(err)
		}
		is, err := json.Marshal(after.Hyperparameters(100))
		if err != nil {
			t.Fatal(err)
		}
		key := h.path[strings.LastIndex(h.path, ".")+1:]
		if string(was) == string(is) || !strings.Contains(string(was)+string(is), `"`+key+`"`) && h.path != "config.learning_rate" {
			t.Errorf("%s is not in the record: %s", h.path, is)
		}
		changes, err := Changes([]byte(from), []byte(to))
		if err != nil || len(changes) != 1 || changes[0].Field != h.path {
			t.Errorf("%s: the difference is %v, %v", h.path, changes, err)
		}
		if err := after.CheckFork(before); err != nil {
			t.Errorf("%s: %v", h.path, err)
		}
	}
}

// A default that is written changes neither the canonical form nor the record.
func TestWritingTheDefaultOfAHyperparameterMakesNoDifference(t *testing.T) {
	checked := 0
	for _, h := range hyperparameters(t) {
		value, ok := h.rule["default"]
		key := h.path[strings.LastIndex(h.path, ".")+1:]
		if !ok || strings.Contains(h.base, key+":") {
			continue
		}
		checked++
		before := parse(t, minimal(h.base))
		after, err := before.With(Setting{Field: h.path, Value: flow(value)})
		if err != nil || canonical(t, after) != canonical(t, before) || after.Hyperparameters(100) != before.Hyperparameters(100) {
			t.Errorf("%s: writing %s gives\n%s\nnot\n%s, %v", h.path, flow(value), canonical(t, after), canonical(t, before), err)
		}
	}
	if checked < 20 {
		t.Errorf("only %d defaults compared", checked)
	}
}

// The domain refuses by itself what is no number or outside of the schema's range: a
// request that is made in Go does not pass through the schema.
func TestTheDomainRefusesTheFractionsThatTheSchemaRefuses(t *testing.T) {
	checked := 0
	for _, h := range hyperparameters(t) {
		if h.rule["type"] != "number" {
			continue
		}
		bad := []float64{math.NaN(), -1}
		for _, limit := range []string{"maximum", "exclusiveMaximum"} {
			if n, ok := h.rule[limit].(json.Number); ok {
				v, err := n.Float64()
				if err != nil {
					t.Fatal(err)
				}
				if bad = append(bad, v); limit == "maximum" {
					bad[len(bad)-1] = 2 * v // infinite, if it is the largest float32
				}
			}
		}
		for _, v := range bad {
			r := parse(t, minimal(h.base))
			field(t, &r, h.path).SetFloat(v)
			if _, err := r.Hyperparameters(0).Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(h.path, "config.")) {
				t.Errorf("%s = %v: %v, want an error that names it", h.path, v, err)
			}
			checked++
		}
	}
	if checked < 40 {
		t.Errorf("only %d values checked", checked)
	}
}

// field returns the field of a request that has a path.
func field(t *testing.T, r *TrainingRequest, path string) reflect.Value {
	t.Helper()
	v := reflect.ValueOf(r).Elem()
	for _, key := range strings.Split(path, ".") {
		fields := reflect.VisibleFields(v.Type())
		i := slices.IndexFunc(fields, func(f reflect.StructField) bool { return jsonKey(f) == key })
		if i < 0 {
			t.Fatalf("%s: no field has the key %s", path, key)
		}
		v = v.FieldByIndex(fields[i].Index)
	}
	return v
}

// Each hyperparameter says in the schema, which editors show, what it is and what to
// write instead of a wrong value.
func TestEveryHyperparameterIsDescribed(t *testing.T) {
	for _, h := range hyperparameters(t) {
		if text(h.rule, "title") == "" || text(h.rule, "x-fix") == "" {
			t.Errorf("%s lacks a title or x-fix", h.path)
		}
	}
}

// The checklist names the files that a hyperparameter is in.
func TestTheFilesOfTheChecklistExist(t *testing.T) {
	raw, err := os.ReadFile("../docs/checklists/hyperparameter.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, part := range strings.Split(string(raw), "`") {
		if i%2 == 0 || !strings.Contains(part, "/") || strings.Contains(part, " ") {
			continue
		}
		found++
		if _, err := os.Stat("../" + part); err != nil {
			t.Errorf("the checklist names %s: %v", part, err)
		}
	}
	if found < 5 {
		t.Errorf("the checklist names %d files", found)
	}
}

package api

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"reprise/nn"
	"reprise/training"
)

// goKeys returns the JSON keys of a struct.
func goKeys(v any) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// schemaKeys returns the keys of the mappings at the places, $refs followed.
func schemaKeys(s *schema, pointers ...string) []string {
	var keys []string
	for _, p := range pointers {
		keys = append(keys, s.keys(s.at(schemaURL+"#"+p))...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// forms returns the pointers of the objects that an anyOf refers to.
func forms(s *schema, pointer string) []string {
	var out []string
	for _, form := range s.at(schemaURL + "#" + pointer)["anyOf"].([]any) {
		if ref, ok := form.(map[string]any)["$ref"].(string); ok {
			out = append(out, strings.TrimPrefix(ref, "#"))
		}
	}
	return out
}

const (
	optimizerAt = "/properties/config/properties/optimizer"
	scheduleAt  = "/properties/config/properties/schedule"
)

func TestSchemaAndGoTypesHaveTheSameKeys(t *testing.T) {
	s := compileSchema()
	for _, c := range []struct {
		what     any
		pointers []string
	}{
		{TrainingRequest{}, []string{""}},
		{Model{}, []string{"/properties/model"}},
		{DatasetOptions{}, []string{"/properties/dataset"}},
		{TrainingConfig{}, []string{"/properties/config"}},
		{Optimizer{}, forms(s, optimizerAt)},
		{Schedule{}, forms(s, scheduleAt)},
	} {
		if got, want := schemaKeys(s, c.pointers...), goKeys(c.what); !slices.Equal(got, want) {
			t.Errorf("%T: schema has %v, Go has %v", c.what, got, want)
		}
	}
	domain := goKeys(training.Schedule{})
	domain = slices.DeleteFunc(domain, func(key string) bool { return key == "total_steps" }) // the planner's
	if got := goKeys(Schedule{}); !slices.Equal(got, domain) {
		t.Errorf("Schedule has %v, the domain's %v", got, domain)
	}
	if got, want := goKeys(Optimizer{}), goKeys(nn.Optimizer{}); !slices.Equal(got, want) {
		t.Errorf("Optimizer has %v, the domain's %v", got, want)
	}
}

func TestEachRuleAndScheduleHasTheSettingsOfTheSchema(t *testing.T) {
	s := compileSchema()
	var optimizers, schedules []string
	for pointer, fields := range map[string]func(string) []string{optimizerAt: optimizerFields, scheduleAt: scheduleFields} {
		for _, form := range forms(s, pointer) {
			for _, name := range namesOf(s, form) {
				if pointer == optimizerAt {
					optimizers = append(optimizers, name)
				} else {
					schedules = append(schedules, name)
				}
				if got, want := slices.Sorted(slices.Values(fields(name))), schemaKeys(s, form); !slices.Equal(got, want) {
					t.Errorf("%s: Go writes %v, the schema has %v", name, got, want)
				}
			}
		}
	}
	slices.Sort(optimizers)
	if want := []string{string(nn.Adam), string(nn.AdamW), string(nn.SGD)}; !slices.Equal(optimizers, want) {
		t.Errorf("optimisers of the schema: %v, want %v", optimizers, want)
	}
	var want []string
	for _, name := range training.ScheduleNames() {
		want = append(want, string(name))
	}
	slices.Sort(want)
	slices.Sort(schedules)
	if !slices.Equal(schedules, want) {
		t.Errorf("schedules of the schema: %v, the domain's: %v", schedules, want)
	}
}

// namesOf returns the names that a form of an object is for.
func namesOf(s *schema, form string) []string {
	name := s.at(schemaURL + "#" + form + "/properties/name")
	values, ok := name["enum"].([]any)
	if !ok {
		values = []any{name["const"]}
	}
	var out []string
	for _, v := range values {
		out = append(out, v.(string))
	}
	return out
}

func TestDefaultsOfTheSchemaAreThoseOfGo(t *testing.T) {
	s := compileSchema()
	checked := 0
	compare := func(pointer string, got map[string]any) {
		for _, key := range s.keys(s.at(schemaURL + "#" + pointer)) {
			value, ok := s.at(schemaURL + "#" + pointer)["properties"].(map[string]any)[key].(map[string]any)["default"]
			if ref := s.property(s.at(schemaURL+"#"+pointer), key); !ok {
				value, ok = ref["default"]
			}
			if !ok {
				continue
			}
			checked++
			if named, isMap := got[key].(map[string]any); isMap {
				got[key] = named["name"] // a bare name stands for the object
			}
			if !reflect.DeepEqual(got[key], value) {
				t.Errorf("%s/%s: the schema says %v, Go fills in %v", pointer, key, value, got[key])
			}
		}
	}
	tree := func(v any) map[string]any {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		return out.(map[string]any)
	}
	r := TrainingRequest{ModelArchitecture: ModelArchitecture{Name: CNN}}.withDefaults()
	compare("/properties/model", tree(r.Model))
	compare("/properties/config", tree(r.Config))
	for _, form := range forms(s, optimizerAt) {
		for _, name := range namesOf(s, form) {
			compare(form, tree(Optimizer{Name: name}.withDefaults()))
		}
	}
	for _, form := range forms(s, scheduleAt) {
		for _, name := range namesOf(s, form) {
			compare(form, tree(Schedule{Name: name}.withDefaults()))
		}
	}
	if checked < 25 {
		t.Errorf("only %d defaults compared", checked)
	}
	for _, name := range []nn.OptimizerName{nn.Adam, nn.AdamW, nn.SGD} {
		o := Optimizer{Name: string(name)}.withDefaults()
		want := nn.Optimizer{Name: name}.WithDefaults()
		if o.Beta1 != want.Beta1 || o.Beta2 != want.Beta2 || o.Epsilon != want.Epsilon || o.Momentum != want.Momentum || o.WeightDecay != want.WeightDecay {
			t.Errorf("%s: %+v, the domain's %+v", name, o, want)
		}
	}
}

func TestEveryKeyOfTheSchemaIsDecoded(t *testing.T) {
	base := canonical(t, parse(t, minimal("")))
	for _, text := range []string{
		"model: {hidden: [3]}\n" + minimal(""), "model: {activation: tanh}\n" + minimal(""),
		"dataset: {target: x}\n" + minimal(""), "dataset: {validation_fraction: 0.5}\n" + minimal(""),
		strings.Replace(minimal(""), "mlp", "cnn", 1), strings.Replace(minimal(""), "digits", "mnist", 1),
		strings.Replace(minimal(""), "batch_size: 32", "batch_size: 33", 1),
		strings.Replace(minimal(""), "0.001", "0.002", 1), strings.Replace(minimal(""), "epochs: 3", "epochs: 4", 1),
		minimal(", seed: 1"), minimal(", shards: 2"), minimal(", checkpoint_interval: 2"),
		minimal(", optimizer: sgd"), minimal(", schedule: cosine"),
	} {
		if canonical(t, parse(t, text)) == base {
			t.Errorf("made no difference:\n%s", text)
		}
	}
	channels := strings.Replace(minimal(""), "mlp", "cnn", 1)
	if canonical(t, parse(t, channels)) == canonical(t, parse(t, "model: {channels: [3]}\n"+channels)) {
		t.Error("channels made no difference")
	}
	for prefix, settings := range map[string][]string{
		"optimizer: {name: adam":                                 {"beta1: 0.5", "beta2: 0.5", "epsilon: 0.5", "weight_decay: 0.5"},
		"optimizer: {name: sgd, momentum: 0.25":                  {"nesterov: true", "weight_decay: 0.5"},
		"optimizer: {name: sgd":                                  {"momentum: 0.5"},
		"schedule: {name: linear":                                {"warmup_steps: 5", "min_factor: 0.5"},
		"schedule: {name: cosine_with_restarts, warmup_steps: 1": {"cycles: 2", "cycles: 3"},
		"schedule: {name: polynomial":                            {"power: 2", "power: 3"},
		"schedule: {name: step, gamma: 0.5":                      {"step_size: 2", "step_size: 3"},
		"schedule: {name: exponential":                           {"gamma: 0.5", "gamma: 0.25"},
	} {
		seen := map[string]string{}
		if plain, err := ParseTrainingRequest("", []byte(minimal(", "+prefix+"}"))); err == nil {
			seen[canonical(t, plain)] = "nothing"
		}
		for _, setting := range settings {
			c := canonical(t, parse(t, minimal(", "+prefix+", "+setting+"}")))
			if other, ok := seen[c]; ok {
				t.Errorf("%s, %s is the same as %s", prefix, setting, other)
			}
			seen[c] = setting
		}
	}
}

func TestLimitsOfTheSchemaAreTheDomains(t *testing.T) {
	s := compileSchema()
	for pointer, want := range map[string]uint64{
		"/properties/config/properties/epochs":              training.MaxEpochs,
		"/properties/config/properties/checkpoint_interval": training.MaxEpochs,
		"/properties/config/properties/shards":              training.MaxShards,
		"/properties/config/properties/batch_size":          nn.MaxElements,
		"/properties/config/properties/seed":                math.MaxUint64,
		"/properties/model/properties/hidden/items":         nn.MaxUnits,
		"/properties/model/properties/channels/items":       nn.MaxUnits,
		"/$defs/layer/anyOf/0/properties/units":             nn.MaxUnits,
		"/$defs/layer/anyOf/1/properties/channels":          nn.MaxUnits,
		"/$defs/size/anyOf/0":                               nn.MaxKernel,
		"/$defs/size/anyOf/1/items":                         nn.MaxKernel,
	} {
		if got := s.at(schemaURL + "#" + pointer)["maximum"]; got != json.Number(uintText(want)) {
			t.Errorf("%s: maximum %v, want %d", pointer, got, want)
		}
	}
	if got := s.at(schemaURL + "#/properties/model_architecture/anyOf/1")["maxItems"]; got != json.Number(uintText(nn.MaxLayers)) {
		t.Errorf("layers: at most %v, want %d", got, nn.MaxLayers)
	}
	// The largest lists of a named architecture stay within the layers there are.
	if layers := 3*128 + 1 + 2*256 + 1; layers > nn.MaxLayers {
		t.Errorf("%d layers", layers)
	}
}

func uintText(v uint64) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestTheSchemaHelpsEditorsAndItsExamplesAreValid(t *testing.T) {
	s := compileSchema()
	var walk func(pointer string, v any)
	walk = func(pointer string, v any) {
		switch v := v.(type) {
		case []any:
			for i, item := range v {
				walk(pointer+"/"+uintText(uint64(i)), item)
			}
		case map[string]any:
			if examples, ok := v["examples"].([]any); ok && !strings.HasSuffix(pointer, "/examples") {
				c := jsonschema.NewCompiler()
				if err := c.AddResource(schemaURL, s.raw); err != nil {
					t.Fatal(err)
				}
				rule, err := c.Compile(schemaURL + "#" + pointer)
				if err != nil {
					t.Fatal(err)
				}
				for _, example := range append(examples, v["default"]) {
					if err := rule.Validate(example); err != nil && example != nil {
						t.Errorf("%s: example %v: %v", pointer, example, err)
					}
				}
			}
			for key, value := range v {
				walk(pointer+"/"+key, value)
			}
		}
	}
	walk("", s.raw)
	for _, place := range []string{"", "/properties/model", "/properties/dataset", "/properties/config"} {
		for key, value := range s.at(schemaURL + "#" + place)["properties"].(map[string]any) {
			v := value.(map[string]any)
			if text(v, "title") == "" || text(v, "description") == "" || v["examples"] == nil {
				t.Errorf("%s/%s lacks title, description or examples", place, key)
			}
		}
	}
}

func TestSchemaIsTheFileOfTheRepository(t *testing.T) {
	file, err := os.ReadFile("training-request.schema.json")
	if err != nil || !bytes.Equal(file, Schema()) {
		t.Errorf("Schema() differs from the file, %v", err)
	}
	Schema()[0] = 'x'
	if Schema()[0] != '{' {
		t.Error("a caller can change the schema")
	}
}

// What the schema lets through, the domain must accept, and the other way
// round: names and settings in both must agree.
func TestExamplesOfRulesAndSchedulesPassTheDomain(t *testing.T) {
	s := compileSchema()
	for pointer, key := range map[string]string{optimizerAt: "optimizer", scheduleAt: "schedule"} {
		for _, form := range forms(s, pointer) {
			examples, _ := s.at(schemaURL + "#" + form)["examples"].([]any)
			for _, e := range examples {
				parse(t, minimal(", "+key+": "+flow(e)))
			}
		}
		bare := s.at(schemaURL + "#" + pointer)["anyOf"].([]any)[0].(map[string]any)["enum"].([]any)
		for _, name := range bare {
			parse(t, minimal(", "+key+": "+name.(string)))
		}
	}
}

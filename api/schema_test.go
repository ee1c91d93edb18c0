package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"reprise/dataset"
	"reprise/dataset/tokenizer"
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
	lossAt      = "/properties/config/properties/loss"
)

func TestSchemaAndGoTypesHaveTheSameKeys(t *testing.T) {
	s := requestSchema()
	for _, c := range []struct {
		what     any
		pointers []string
	}{
		{TrainingRequest{}, []string{""}},
		{Model{}, []string{"/properties/model"}},
		{DatasetOptions{}, []string{"/properties/dataset"}},
		{TrainingConfig{}, []string{"/properties/config"}},
		{JobOptions{}, []string{"/properties/job"}},
		{Optimizer{}, forms(s, optimizerAt)},
		{Schedule{}, forms(s, scheduleAt)},
		{nn.Loss{}, forms(s, lossAt)},
	} {
		want := slices.DeleteFunc(goKeys(c.what), func(key string) bool { return key == "total_steps" || key == "exact_cycles" }) // not the user's to say
		if got := schemaKeys(s, c.pointers...); !slices.Equal(got, want) {
			t.Errorf("%T: schema has %v, Go has %v", c.what, got, want)
		}
	}
}

func TestEachRuleAndScheduleHasTheSettingsOfTheSchema(t *testing.T) {
	s := requestSchema()
	var optimizers, schedules []string
	// The canonical form has no key that the schema would refuse.
	check := func(form string, recorded []string) {
		for _, key := range recorded {
			if !slices.Contains(schemaKeys(s, form), key) {
				t.Errorf("%s: Go writes %s, which the schema does not have", form, key)
			}
		}
	}
	for _, form := range forms(s, optimizerAt) {
		for _, name := range namesOf(s, form) {
			optimizers = append(optimizers, name)
			check(form, recordedConstants(nn.OptimizerName(name)))
		}
	}
	for _, form := range forms(s, scheduleAt) {
		for _, name := range namesOf(s, form) {
			schedules = append(schedules, name)
			check(form, recordedSettings(training.ScheduleName(name)))
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
	s := requestSchema()
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
			absent := got[key] == nil && (value == false || value == json.Number("0"))
			if !absent && !reflect.DeepEqual(got[key], value) {
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
	for _, form := range forms(s, optimizerAt) {
		for _, name := range namesOf(s, form) {
			compare(form, tree(Optimizer(nn.Optimizer{Name: nn.OptimizerName(name)}.WithDefaults())))
		}
	}
	for _, form := range forms(s, lossAt) {
		for _, name := range namesOf(s, form) {
			compare(form, tree(nn.Loss{Name: nn.LossName(name)}.WithDefaults()))
		}
	}
	for _, form := range forms(s, scheduleAt) {
		for _, name := range namesOf(s, form) {
			compare(form, tree(Schedule{Name: training.ScheduleName(name)}.withDefaults()))
		}
	}
	if checked < 20 {
		t.Errorf("only %d defaults compared", checked)
	}
}

// ownSettings are the keys of model that an architecture has.
func ownSettings() map[string][]string {
	return map[string][]string{
		MLP: {"hidden", "activation", "batch_norm", "dropout"}, CNN: {"hidden", "channels", "activation"},
		ResNet: {"depth", "width"}, GPT: {"layers", "heads", "width", "dropout"}, ViT: {"patch", "layers", "heads", "width", "dropout"}, Transformer: {"layers", "heads", "width", "dropout"},
	}
}

// A default that is written out makes no difference; any other value does.
func TestWritingADefaultMakesNoDifference(t *testing.T) {
	s := requestSchema()
	checked := 0
	for name, settings := range ownSettings() {
		text := strings.Replace(minimal(""), "mlp", name, 1)
		base := canonical(t, parse(t, text))
		for _, key := range settings {
			value, ok := s.at(schemaURL + "#/properties/model")["properties"].(map[string]any)[key].(map[string]any)["default"]
			if key == "width" {
				value, ok = any(128), true
				if name == ResNet {
					value = 16
				}
			}
			if !ok {
				t.Errorf("model.%s has no default", key)
				continue
			}
			checked++
			if got := canonical(t, parse(t, fmt.Sprintf("model: {%s: %s}\n%s", key, flow(value), text))); got != base {
				t.Errorf("%s: writing %s: %s gives\n%s\nnot\n%s", name, key, flow(value), got, base)
			}
		}
	}
	base := canonical(t, parse(t, minimal("")))
	config := s.at(schemaURL + "#/properties/config")
	for _, key := range s.keys(config) {
		value, ok := config["properties"].(map[string]any)[key].(map[string]any)["default"]
		if !ok {
			continue
		}
		checked++
		if got := canonical(t, parse(t, minimal(", "+key+": "+flow(value)))); got != base {
			t.Errorf("writing %s: %s gives\n%s\nnot\n%s", key, flow(value), got, base)
		}
	}
	for written, left := range map[string]string{
		"augmentation: {flip: false, crop: 0}": "", "augmentation: {}": "", "augmentation: {flip: true, crop: 0}": "augmentation: {flip: true}",
		"augmentation: {flip: false, crop: 4}": "augmentation: {crop: 4}", "early_stopping: {patience: 3, min_delta: 0}": "early_stopping: {patience: 3}",
	} {
		checked++
		if got, want := canonical(t, parse(t, minimal(", "+written))), canonical(t, parse(t, minimal(", "+left))); got != want {
			t.Errorf("%s gives\n%s\nnot\n%s", written, got, want)
		}
	}
	if checked < 30 {
		t.Errorf("only %d defaults compared", checked)
	}
}

// nn tells the names that it knows when it refuses another.
func known(t *testing.T, layer string) []string {
	t.Helper()
	var l nn.Layers
	var bad *nn.LayerError
	if err := json.Unmarshal([]byte("["+layer+"]"), &l); !errors.As(err, &bad) {
		t.Fatalf("%s: %v", layer, err)
	}
	names := strings.Split(strings.TrimPrefix(bad.Want, "one of "), ", ")
	slices.Sort(names)
	return names
}

func TestLayersOfTheSchemaHaveTheTypesAndKeysOfNN(t *testing.T) {
	s := requestSchema()
	keys := map[string][]string{}
	for i := range s.at(schemaURL + "#/$defs/layer")["anyOf"].([]any) {
		form := fmt.Sprintf("/$defs/layer/anyOf/%d", i)
		rule := s.at(schemaURL + "#" + form + "/properties/type")
		types, ok := rule["enum"].([]any)
		if !ok {
			types = []any{rule["const"]}
		}
		for _, name := range types {
			keys[name.(string)] = schemaKeys(s, form)
		}
	}
	if got, want := slices.Sorted(maps.Keys(keys)), known(t, `{"type": "?"}`); !slices.Equal(got, want) {
		t.Fatalf("the schema has the layers %v, nn has %v", got, want)
	}
	for name, got := range keys {
		if want := known(t, fmt.Sprintf(`{"type": %q, "?": 1}`, name)); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, nn has %v", name, got, want)
		}
	}
}

func TestEachArchitectureTakesItsOwnSettingsOnly(t *testing.T) {
	s := requestSchema()
	examples := s.at(schemaURL + "#/properties/model")["properties"].(map[string]any)
	values := map[string]string{"width": "64", "heads": "2"}
	for name, own := range ownSettings() {
		text := strings.Replace(minimal(""), "mlp", name, 1)
		for key := range examples {
			value, ok := values[key]
			if !ok {
				value = flow(s.property(s.at(schemaURL+"#/properties/model"), key)["examples"].([]any)[0])
			}
			_, err := ParseTrainingRequest("job.yaml", []byte("model: {"+key+": "+value+"}\n"+text))
			if slices.Contains(own, key) || key == "init" { // which every architecture takes
				if err != nil {
					t.Errorf("%s refuses %s: %v", name, key, err)
				}
				continue
			}
			if err == nil {
				t.Errorf("%s takes %s", name, key)
				continue
			}
			for _, e := range requestErrors(t, err) {
				if e.Field != "model."+key || e.Line != 1 || e.Column != 9 || !strings.Contains(e.Problem, name) || !strings.Contains(e.Fix, "leave it out") {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

func TestPrecision(t *testing.T) {
	base := parse(t, minimal(""))
	same := parse(t, minimal(", precision: float32"))
	if canonical(t, same) != canonical(t, base) || strings.Contains(canonical(t, base), "precision") {
		t.Errorf("float32 is not the default: %s", canonical(t, same))
	}
	if h := same.Hyperparameters(100); h.Precision != "" {
		t.Errorf("the record names the default: %q", h.Precision)
	}
	if h := parse(t, minimal(", precision: bf16")).Hyperparameters(100); h.Precision != nn.BF16 {
		t.Errorf("bf16 becomes %q", h.Precision)
	}
	_, err := ParseTrainingRequest("job.yaml", []byte(minimal(", precision: fp16")))
	errs := requestErrors(t, err)
	if len(errs) != 1 || errs[0].Field != "config.precision" || !strings.Contains(errs[0].Fix, "bf16") {
		t.Errorf("fp16: %v", errs)
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
		minimal(", gradient_accumulation: 2"), minimal(", clip_norm: 1"), minimal(", label_smoothing: 0.5"),
		minimal(", augmentation: {flip: true}"), minimal(", augmentation: {crop: 1}"), minimal(", eval_interval: 1"),
		minimal(", early_stopping: {patience: 1}"), minimal(", precision: bf16"),
		"dataset: {task: regression}\n" + minimal(""), "dataset: {tokenizer: bpe}\n" + minimal(""),
		"dataset: {image: {size: [28, 28]}}\n" + minimal(""), "dataset: {image: {channels: 3}}\n" + minimal(""), "dataset: {root: photos}\n" + minimal(""),
		"dataset: {vocabulary: 300}\n" + minimal(""), "dataset: {context: 3}\n" + minimal(""),
		"model: {batch_norm: true}\n" + minimal(""), "model: {dropout: 0.5}\n" + minimal(""),
	} {
		if canonical(t, parse(t, text)) == base {
			t.Errorf("made no difference:\n%s", text)
		}
	}
	for name, settings := range map[string][]string{
		"cnn": {"channels: [3]", "hidden: []", "activation: tanh"}, "resnet": {"depth: 14", "width: 8"},
		"gpt":         {"layers: 2", "heads: 2", "width: 64", "dropout: 0.5"},
		"transformer": {"layers: 2", "heads: 2", "width: 64", "dropout: 0.5"},
		"vit":         {"patch: 2", "layers: 2", "heads: 2", "width: 64", "dropout: 0.5"},
	} {
		text := strings.Replace(minimal(""), "mlp", name, 1)
		for _, setting := range settings {
			if canonical(t, parse(t, text)) == canonical(t, parse(t, "model: {"+setting+"}\n"+text)) {
				t.Errorf("%s of a %s made no difference", setting, name)
			}
		}
	}
	if canonical(t, parse(t, minimal(", early_stopping: {patience: 1}"))) == canonical(t, parse(t, minimal(", early_stopping: {patience: 1, min_delta: 1}"))) {
		t.Error("min_delta made no difference")
	}
	for prefix, settings := range map[string][]string{
		"optimizer: {name: adam":                                      {"beta1: 0.5", "beta2: 0.5", "epsilon: 0.5", "weight_decay: 0.5"},
		"optimizer: {name: sgd, momentum: 0.25":                       {"nesterov: true", "weight_decay: 0.5"},
		"optimizer: {name: sgd":                                       {"momentum: 0.5"},
		"schedule: {name: linear":                                     {"warmup_steps: 5", "min_factor: 0.5"},
		"schedule: {name: cosine_with_restarts, warmup_steps: 1":      {"cycles: 2", "cycles: 3"},
		"schedule: {name: polynomial":                                 {"power: 2", "power: 3"},
		"schedule: {name: step, gamma: 0.5":                           {"step_size: 2", "step_size: 3"},
		"schedule: {name: exponential":                                {"gamma: 0.5", "gamma: 0.25"},
		"schedule: {name: reduce_on_plateau, gamma: 0.5":              {"patience: 1", "patience: 2"},
		"schedule: {name: reduce_on_plateau, patience: 1":             {"gamma: 0.5", "gamma: 0.25"},
		"schedule: {name: reduce_on_plateau, patience: 1, gamma: 0.5": {"threshold: 0.5", "warmup_steps: 5", "min_factor: 0.5"},
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
	s := requestSchema()
	for pointer, want := range map[string]uint64{
		"/properties/config/properties/epochs":                training.MaxEpochs,
		"/properties/config/properties/checkpoint_interval":   training.MaxEpochs,
		"/properties/config/properties/shards":                training.MaxShards,
		"/properties/config/properties/batch_size":            nn.MaxElements,
		"/properties/config/properties/seed":                  math.MaxUint64,
		"/properties/model/properties/hidden/items":           nn.MaxUnits,
		"/properties/model/properties/channels/items":         nn.MaxUnits,
		"/$defs/layer/anyOf/0/properties/units":               nn.MaxUnits,
		"/$defs/layer/anyOf/1/properties/channels":            nn.MaxUnits,
		"/$defs/size/anyOf/0":                                 nn.MaxKernel,
		"/properties/config/properties/gradient_accumulation": training.MaxAccumulation,
		"/properties/model/properties/width":                  nn.MaxUnits,
		"/properties/model/properties/heads":                  nn.MaxUnits,
		"/properties/model/properties/patch":                  nn.MaxKernel,
		"/properties/dataset/properties/vocabulary":           tokenizer.MaxVocabulary,
		"/properties/dataset/properties/context":              dataset.MaxContext,
		"/$defs/heads":                                        nn.MaxUnits,
		"/$defs/size/anyOf/1/items":                           nn.MaxKernel,
	} {
		if got := s.at(schemaURL + "#" + pointer)["maximum"]; got != json.Number(uintText(want)) {
			t.Errorf("%s: maximum %v, want %d", pointer, got, want)
		}
	}
	for _, pointer := range []string{"/properties/model_architecture/anyOf/1", "/$defs/branch"} {
		if got := s.at(schemaURL + "#" + pointer)["maxItems"]; got != json.Number(uintText(nn.MaxLayers)) {
			t.Errorf("%s: at most %v, want %d", pointer, got, nn.MaxLayers)
		}
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
	s := requestSchema()
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
	s := requestSchema()
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

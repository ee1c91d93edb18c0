package journal

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reprise/device"
	"reprise/nn"
	"reprise/training"
)

// section returns the text under a heading of docs/event-format.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	raw, err := os.ReadFile("../docs/event-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/event-format.md has no section %q", heading)
	}
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

// keysOf lists the JSON keys of a struct, those that may be absent with a "?".
func keysOf(v reflect.Type) []string {
	var keys []string
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Anonymous {
			keys = append(keys, keysOf(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options != "" {
			name += "?"
		}
		keys = append(keys, name)
	}
	return keys
}

// Every event has a row with exactly its keys.
func TestEveryEventIsDocumentedWithItsKeys(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*?) \\|")
	key := regexp.MustCompile("`([a-z0-9_]+)`(\\??)")
	check := func(section, prefix string, events map[string]reflect.Type) {
		documented := map[string][]string{}
		for _, m := range row.FindAllStringSubmatch(section, -1) {
			keys := []string{}
			for _, k := range key.FindAllStringSubmatch(m[2], -1) {
				keys = append(keys, k[1]+k[2])
			}
			documented[prefix+m[1]+".v1"] = keys
		}
		for kind, event := range events {
			keys, ok := documented[kind]
			if want := keysOf(event); !ok || !slices.Equal(keys, want) {
				t.Errorf("%s is documented with the keys %v, but has %v", kind, keys, want)
			}
			delete(documented, kind)
		}
		for kind := range documented {
			t.Errorf("%s is documented but does not exist", kind)
		}
	}
	check(section(t, "Events of runs"), "training.", typesOf(training.Events()))
	check(section(t, "Events of actors"), "actor.", typesOf(actorEvents()))
	check(section(t, "Events of the queue"), "queue.", typesOf(queueEvents()))
	check(section(t, "Settings of the queue"), "queue.", typesOf(settingsEvents()))
}

// typesOf returns the Go type of each event, by the type of its envelope.
func typesOf[E Typed](events []E) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for _, e := range events {
		types[e.EventType()] = reflect.TypeOf(e)
	}
	return types
}

// The keys within an event's objects are named in the section, too.
func TestEveryKeyWithinAnEventIsDocumented(t *testing.T) {
	var missing func(text string, v reflect.Type)
	missing = func(text string, v reflect.Type) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
			v = v.Elem()
		}
		switch v {
		case reflect.TypeFor[nn.Architecture](): // layers are documented at nn.Layer
			return
		case reflect.TypeFor[training.Options](), reflect.TypeFor[nn.Optimizer](): // their keys are those of the schema, as tests of api prove
			return
		}
		if v.Kind() != reflect.Struct {
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && name != "" && name != "-" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%s of %s is not documented", name, v)
			}
			missing(text, f.Type)
		}
	}
	missing(section(t, "Events of runs"), reflect.TypeFor[training.TrainingStarted]())
	missing(section(t, "Events of the queue"), reflect.TypeFor[QueueDecided]())
	missing(section(t, "Events of the queue"), reflect.TypeFor[QueueDecisionChanged]())
	for _, e := range device.Events() {
		missing(section(t, "Events of devices"), reflect.TypeOf(e))
	}
}

package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// maxDifferences bounds how many fields a message names.
const maxDifferences = 4

// Difference names the JSON fields in which a record differs from what it must
// be, with both values; "" if there are none. verb says where the other value
// comes from.
func Difference(recorded, other any, verb string) string {
	if reflect.DeepEqual(recorded, other) {
		return "" // as nearly always, and fast
	}
	was, errWas := generic(recorded)
	is, errIs := generic(other)
	if errWas != nil || errIs != nil { // what was computed has no JSON form
		return fmt.Sprintf("recorded %+v, %s %+v", recorded, verb, other)
	}
	var found []string
	for _, d := range appendDifferences(nil, "", was, is) {
		if len(found) == maxDifferences {
			found = append(found, "...")
			break
		}
		found = append(found, fmt.Sprintf("%s: recorded %s, %s %s", d.field, d.was, verb, d.is))
	}
	return strings.Join(found, "; ")
}

// generic returns a value as its JSON form is read without knowing its type.
func generic(v any) (any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out any
	err = d.Decode(&out)
	return out, err
}

type differing struct{ field, was, is string }

func appendDifferences(list []differing, field string, was, is any) []differing {
	switch a := was.(type) {
	case map[string]any:
		b, ok := is.(map[string]any)
		if !ok {
			break
		}
		keys := map[string]bool{}
		for key := range a {
			keys[key] = true
		}
		for key := range b {
			keys[key] = true
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			name := key
			if field != "" {
				name = field + "." + key
			}
			list = appendDifferences(list, name, entry(a, key), entry(b, key))
		}
		return list
	case []any:
		b, ok := is.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range a {
			list = appendDifferences(list, fmt.Sprintf("%s[%d]", field, i), a[i], b[i])
		}
		return list
	}
	if x, y := text(was), text(is); x != y {
		list = append(list, differing{field, x, y})
	}
	return list
}

// absent stands for a key that an object does not have.
type absent struct{}

func entry(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return absent{}
}

// text returns a short form of a JSON value.
func text(v any) string {
	if v == (absent{}) {
		return "nothing"
	}
	raw, _ := json.Marshal(v) // it came from JSON
	const most = 100
	if len(raw) > most {
		return strings.ToValidUTF8(string(raw[:most]), "") + "..." + fmt.Sprintf(" (%d bytes)", len(raw))
	}
	return string(raw)
}

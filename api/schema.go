package api

import (
	"bytes"
	"cmp"
	_ "embed" // the schema
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"reprise/internal/spelling"
)

//go:embed training-request.schema.json
var schemaText []byte

// schemaURL is the $id of the schema.
const schemaURL = "urn:reprise:training-request"

// Schema returns the JSON Schema (draft 2020-12) of a training request, the content
// of training-request.schema.json. Requests are validated with it. The keywords
// x-problem and x-fix hold parts of messages; other validators ignore them.
func Schema() []byte { return bytes.Clone(schemaText) }

// schema is the compiled schema and its text, for what messages need.
type schema struct {
	compiled *jsonschema.Schema
	raw      any
}

// requestSchema returns the schema. It panics if the embedded schema is broken; a test finds
// that. Compiling it takes far longer than validating a request with it.
var requestSchema = sync.OnceValue(func() *schema {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText))
	if err != nil {
		panic("api: embedded schema: " + err.Error())
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(schemaURL, raw); err != nil {
		panic("api: embedded schema: " + err.Error())
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		panic("api: embedded schema: " + err.Error())
	}
	return &schema{compiled: compiled, raw: raw}
})

// validate returns what the schema finds wrong with the document, in the order of
// the file.
func (s *schema) validate(d *document) []*RequestError {
	err := s.compiled.Validate(d.root.plain())
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []*RequestError{d.fail(position{}, RequestError{Problem: err.Error()})}
	}
	var all []*RequestError
	meant := map[string]bool{}
	for _, v := range s.violations(invalid) {
		for _, e := range s.explain(d, v) {
			all = append(all, e)
			meant[e.meant] = true
		}
	}
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(e *RequestError) bool {
		// Several rules may object to one value; the first says enough. A misspelt key
		// says enough about the one that is missing because of it.
		id := fmt.Sprint(e.Line, e.Column, e.Field, e.Setting)
		again := seen[id]
		seen[id] = true
		return again || (e.Problem == missingKey && meant[e.Field])
	})
	sortErrors(all)
	listKeysOnce(all)
	return all
}

// missingKey is the problem of a key that is missing.
const missingKey = "is missing"

// violations returns the leaves of the validator's tree that matter to the
// user: where a value may have one of several forms, those of the form that
// was meant.
func (s *schema) violations(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return s.alternatives(e)
	}
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, c := range e.Causes {
		out = append(out, s.violations(c)...)
	}
	return out
}

// alternatives chooses among forms by the kind of value and by the key that
// distinguishes them, "type" or "name".
func (s *schema) alternatives(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	depth := len(e.InstanceLocation)
	var typed, named [][]*jsonschema.ValidationError
	for _, branch := range e.Causes {
		leaves := s.violations(branch)
		if slices.ContainsFunc(leaves, func(l *jsonschema.ValidationError) bool {
			_, wrongType := l.ErrorKind.(*kind.Type)
			return wrongType && len(l.InstanceLocation) == depth
		}) {
			continue
		}
		typed = append(typed, leaves)
		if !slices.ContainsFunc(leaves, func(l *jsonschema.ValidationError) bool { return names(l, depth) }) {
			named = append(named, leaves)
		}
	}
	switch {
	case len(named) > 0:
		return named[0]
	case len(typed) == 1:
		return typed[0]
	case len(typed) > 1:
		return append(s.common(typed, depth), s.unnamed(typed, depth))
	}
	return []*jsonschema.ValidationError{e}
}

// names reports whether the violation is about the key that distinguishes the forms
// of an object.
func names(l *jsonschema.ValidationError, depth int) bool {
	switch k := l.ErrorKind.(type) {
	case *kind.Required:
		return len(l.InstanceLocation) == depth && slices.ContainsFunc(k.Missing, isDiscriminator)
	default:
		return len(l.InstanceLocation) == depth+1 && isDiscriminator(l.InstanceLocation[depth])
	}
}

func isDiscriminator(key string) bool { return key == "type" || key == "name" }

// unnamed merges the complaints of all forms about the key that distinguishes them:
// it is missing, or has none of the values.
func (s *schema) unnamed(forms [][]*jsonschema.ValidationError, depth int) *jsonschema.ValidationError {
	var merged *jsonschema.ValidationError
	var want []any
	for _, leaves := range forms {
		for _, l := range leaves {
			if !names(l, depth) {
				continue
			}
			if merged == nil {
				merged = l
			}
			switch k := l.ErrorKind.(type) {
			case *kind.Const:
				want = append(want, k.Want)
			case *kind.Enum:
				want = append(want, k.Want...)
			case *kind.Required:
				return &jsonschema.ValidationError{SchemaURL: l.SchemaURL, InstanceLocation: l.InstanceLocation,
					ErrorKind: &kind.Required{Missing: slices.DeleteFunc(slices.Clone(k.Missing), func(m string) bool { return !isDiscriminator(m) })}}
			}
		}
	}
	return &jsonschema.ValidationError{SchemaURL: merged.SchemaURL, InstanceLocation: merged.InstanceLocation, ErrorKind: &kind.Enum{Want: want}}
}

// common returns what is wrong in every form that has the key, for an object of
// which it is not known which form was meant.
func (s *schema) common(forms [][]*jsonschema.ValidationError, depth int) []*jsonschema.ValidationError {
	var keys []string
	within := make([]map[string][]*jsonschema.ValidationError, len(forms)) // by key
	foreign := make([]map[string]bool, len(forms))                         // keys that the form does not have
	for i, leaves := range forms {
		within[i], foreign[i] = map[string][]*jsonschema.ValidationError{}, map[string]bool{}
		for _, l := range leaves {
			if k, ok := l.ErrorKind.(*kind.AdditionalProperties); ok && len(l.InstanceLocation) == depth {
				for _, key := range k.Properties {
					foreign[i][key] = true
				}
			} else if len(l.InstanceLocation) > depth && !names(l, depth) {
				key := l.InstanceLocation[depth]
				within[i][key] = append(within[i][key], l)
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
	}
	var out []*jsonschema.ValidationError
	for _, key := range keys {
		var first []*jsonschema.ValidationError
		wrong := true
		for i := range forms {
			if foreign[i][key] {
				continue
			}
			if wrong = wrong && len(within[i][key]) > 0; first == nil {
				first = within[i][key]
			}
		}
		if wrong {
			out = append(out, first...)
		}
	}
	var unknown []string
	for key := range foreign[0] {
		if !slices.ContainsFunc(foreign, func(of map[string]bool) bool { return !of[key] }) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		for _, l := range forms[0] {
			if _, ok := l.ErrorKind.(*kind.AdditionalProperties); ok && len(l.InstanceLocation) == depth {
				out = append(out, &jsonschema.ValidationError{SchemaURL: l.SchemaURL, InstanceLocation: l.InstanceLocation, ErrorKind: &kind.AdditionalProperties{Properties: unknown}})
			}
		}
	}
	return out
}

// explain turns a violation into errors with place, value and fix.
func (s *schema) explain(d *document, v *jsonschema.ValidationError) []*RequestError {
	n := d.root.find(v.InstanceLocation)
	rule := s.at(v.SchemaURL)
	switch k := v.ErrorKind.(type) {
	case *kind.Required:
		var out []*RequestError
		for _, key := range k.Missing {
			out = append(out, s.missing(d, n, rule, key))
		}
		return out
	case *kind.AdditionalProperties:
		var out []*RequestError
		for _, key := range k.Properties {
			out = append(out, s.unknownKey(d, n, rule, key))
		}
		return out
	case *kind.Not:
		return []*RequestError{d.fail(n.key, RequestError{Field: n.field, Problem: text(rule, "x-problem"), Fix: text(rule, "x-fix")})}
	}
	problem, fix := complaint(n, v.ErrorKind)
	if _, ok := v.ErrorKind.(*kind.AnyOf); ok && n.field == "job.after" { // the beginning of an id may be digits
		if quoted := meant(n, []string{"string"}); quoted != "" {
			problem, fix = "is not a text", quoted
		}
	}
	if own := text(rule, "x-problem"); own != "" {
		problem, fix = own, ""
	}
	e := RequestError{Field: n.field, Value: shorten(n.written), Problem: problem, Fix: cmp.Or(fix, text(rule, "x-fix"), "correct the value")}
	if form, ok := s.spelledOut(v, n); ok {
		e.Problem, e.Fix = "needs settings", "write "+form
	}
	if whole := chosenBy(n.field); whole != "" && n.kind == textual && d.root.get(whole) == nil { // dataset: rows.csv
		e.Fix, e.meant = fmt.Sprintf("write %s: %s", whole, shorten(n.written)), whole
	}
	switch n.kind {
	case mapping, list:
		e.Value = string(n.kind)
	case empty:
		e.Value, e.Problem, e.Fix = "", "has no value", cmp.Or(text(rule, "x-fix"), "give it one")
	default:
	}
	return []*RequestError{d.fail(n.at, e)}
}

// spelledOut returns an example of the object that a bare name stands for,
// where the name needs one: {name: step, ...} for step.
func (s *schema) spelledOut(v *jsonschema.ValidationError, n *node) (string, bool) {
	if _, ok := v.ErrorKind.(*kind.Enum); !ok || n.kind != textual {
		return "", false
	}
	forms, branch, found := strings.Cut(v.SchemaURL, "/anyOf/")
	if !found || strings.Contains(branch, "/") {
		return "", false
	}
	alternatives, _ := s.at(forms)["anyOf"].([]any)
	for _, a := range alternatives {
		form, _ := a.(map[string]any)
		if ref, ok := form["$ref"].(string); ok {
			form = s.at(ref)
		}
		examples, _ := form["examples"].([]any)
		if len(examples) > 0 && s.property(form, "name")["const"] == n.value {
			return flow(examples[0]), true
		}
	}
	return "", false
}

// complaint says what is wrong with a value by a rule and, if the value shows it,
// what was meant.
func complaint(n *node, rule jsonschema.ErrorKind) (problem, fix string) {
	switch k := rule.(type) {
	case *kind.Type:
		what := wanted(k.Want)
		if n.kind == nonFinite {
			what = strings.Replace(what, "a number", "a finite number", 1)
		}
		return "is not " + what, meant(n, k.Want)
	case *kind.AnyOf, *kind.OneOf:
		return "is not what goes here", ""
	case *kind.Enum:
		return oneOf(n, k.Want)
	case *kind.Const:
		return oneOf(n, []any{k.Want})
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString(), ""
	case *kind.ExclusiveMinimum:
		return "must be above " + k.Want.RatString(), ""
	case *kind.Maximum:
		if f, _ := k.Want.Float64(); f > 1e30 {
			return "is more than a 32-bit float can hold", ""
		}
		return "must be at most " + k.Want.RatString(), ""
	case *kind.ExclusiveMaximum:
		return "must be below " + k.Want.RatString(), ""
	case *kind.MinItems:
		return fmt.Sprintf("of %d must have at least %d", k.Got, k.Want), ""
	case *kind.MaxItems:
		return fmt.Sprintf("of %d must have at most %d", k.Got, k.Want), ""
	case *kind.MinLength:
		return "must not be empty", ""
	case *kind.MaxLength:
		return fmt.Sprintf("is longer than %d characters", k.Want), ""
	case *kind.Pattern:
		return "must be one line without control characters", ""
	}
	return "breaks the rule " + strings.Join(rule.KeywordPath(), "/"), ""
}

// wanted names JSON's types as a YAML author would.
func wanted(types []string) string {
	names := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "object":
			names[i] = "a mapping of keys to values"
		case "array":
			names[i] = "a list"
		case "string":
			names[i] = "a text"
		case "integer":
			names[i] = "a whole number"
		case "number":
			names[i] = "a number"
		case "boolean":
			names[i] = "true or false"
		default:
			names[i] = t
		}
	}
	return strings.Join(names, " or ")
}

// meant returns how to write what the value looks like; "" if it looks like nothing
// that is wanted.
func meant(n *node, types []string) string {
	number := slices.Contains(types, "integer") || slices.Contains(types, "number")
	switch {
	case slices.Contains(types, "string") && n.written != "" && (n.kind == whole || n.kind == fractional || n.kind == boolean):
		return fmt.Sprintf("put it in quotes: %q", n.written)
	case slices.Contains(types, "boolean") && slices.Contains([]string{"yes", "on", "y"}, strings.ToLower(n.value)):
		return "write true"
	case slices.Contains(types, "boolean") && slices.Contains([]string{"no", "off", "n"}, strings.ToLower(n.value)):
		return "write false"
	case !number || n.kind != textual:
		return ""
	}
	bare := node{value: n.value}
	bare.number()
	if bare.kind != textual && n.written != n.value {
		return fmt.Sprintf("write %s without quotes", n.value)
	}
	if digits := strings.ReplaceAll(n.value, "_", ""); digits != n.value && isDigits(digits) {
		return fmt.Sprintf("write %s without underscores", digits)
	}
	if digits := strings.TrimLeft(n.value, "0"); digits != n.value && isDigits(digits) {
		return fmt.Sprintf("write %s without the leading zero", digits)
	}
	if v, err := strconv.ParseUint(n.value, 0, 64); err == nil {
		return fmt.Sprintf("write it in decimal: %d", v)
	}
	return ""
}

// oneOf complains about a value that is none of the names.
func oneOf(n *node, want []any) (problem, fix string) {
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = fmt.Sprint(w)
	}
	problem = "is not one of " + strings.Join(names, ", ")
	if near, ok := spelling.Nearest(n.value, names); ok {
		return problem, didYouMean(near)
	}
	if len(names) == 1 {
		return "is not " + names[0], "write " + names[0]
	}
	return problem, "use one of them"
}

// missing complains about a key that a mapping must have.
func (s *schema) missing(d *document, n *node, rule map[string]any, key string) *RequestError {
	at := n.key
	if n == d.root {
		at = n.at
	}
	e := RequestError{Field: child(n.field, key), Problem: missingKey, Fix: "add " + key}
	if examples, ok := s.property(rule, key)["examples"].([]any); ok && len(examples) > 0 {
		e.Fix = fmt.Sprintf("add %s, such as %s", key, flow(examples[0]))
	}
	return d.fail(at, e)
}

// unknownKey complains about a key that a mapping cannot have.
func (s *schema) unknownKey(d *document, n *node, rule map[string]any, key string) *RequestError {
	at := n.at
	if value := n.get(key); value != nil {
		at = value.key
	}
	known := s.keys(rule)
	e := RequestError{Field: child(n.field, shorten(key)), Problem: "is not a known key", Fix: useOneOf + strings.Join(known, ", ")}
	for _, discriminator := range []string{"name", "type"} {
		if !slices.Contains(known, discriminator) {
			continue
		}
		name := n.get(discriminator)
		if name == nil || !s.allows(s.property(rule, discriminator), name.value) {
			e.Fix = "leave it out"
			if name == nil || len(known) > 1 {
				e.Fix = "correct the " + discriminator + " first: it decides which keys there are"
			}
		} else {
			e.Problem = "is not a key of " + shorten(name.value)
		}
	}
	fix, meant := s.belongs(d, n, key)
	near, found := spelling.Close(key, known)
	own := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !strings.HasSuffix(name, "_"+key) })
	switch {
	case len(own) == 1: // size for batch_size, whatever else is called size
		e.Fix, e.meant = didYouMean(own[0]), child(n.field, own[0])
	case fix != "":
		e.Fix, e.meant = fix, meant
	case found:
		e.Fix, e.meant = didYouMean(near), child(n.field, near)
	case len(known) == 1: // the name itself
		e.Fix = cmp.Or(text(rule, "x-fix"), "leave it out")
	}
	return d.fail(at, e)
}

// allows reports whether a name is one of those that a form has.
func (s *schema) allows(rule map[string]any, name string) bool {
	list, _ := rule["enum"].([]any)
	return rule["const"] == name || slices.Contains(list, any(name))
}

// at returns the part of the schema that a URL with a JSON pointer names.
func (s *schema) at(url string) map[string]any {
	_, pointer, _ := strings.Cut(url, "#")
	current := s.raw
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch c := current.(type) {
		case map[string]any:
			current = c[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			current = c[i]
		}
	}
	out, _ := current.(map[string]any)
	return out
}

// property returns the schema of a key, its $ref followed.
func (s *schema) property(rule map[string]any, key string) map[string]any {
	properties, _ := rule["properties"].(map[string]any)
	out, _ := properties[key].(map[string]any)
	if out["examples"] != nil {
		return out
	}
	if ref, ok := out["$ref"].(string); ok {
		return s.at(ref)
	}
	return out
}

// layer returns the schema of a layer of a type; nil if there is none.
func (s *schema) layer(name *node) map[string]any {
	forms, _ := s.at("#/$defs/layer")["anyOf"].([]any)
	for _, f := range forms {
		form, _ := f.(map[string]any)
		if name != nil && s.property(form, "type")["const"] == name.value {
			return form
		}
	}
	return nil
}

// keys returns the keys that a mapping may have, sorted.
func (s *schema) keys(rule map[string]any) []string {
	properties, _ := rule["properties"].(map[string]any)
	out := make([]string, 0, len(properties))
	for key := range properties {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// find returns the value at a path of keys and indices or, if there is none, the
// last value on the path.
func (n *node) find(path []string) *node {
	for _, step := range path {
		next := n.get(step)
		if i, err := strconv.Atoi(step); err == nil && n.kind == list && i >= 0 && i < len(n.items) {
			next = n.items[i]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func child(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func text(rule map[string]any, key string) string {
	s, _ := rule[key].(string)
	return s
}

// flow writes a value of the schema as YAML in one line.
func flow(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range sortedNameFirst(v) {
			parts = append(parts, key+": "+flow(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = flow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case json.Number:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

// sortedNameFirst returns the keys as an author writes them: the name or type first,
// then the rest.
func sortedNameFirst(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		switch {
		case isDiscriminator(a) && !isDiscriminator(b):
			return -1
		case isDiscriminator(b) && !isDiscriminator(a):
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}

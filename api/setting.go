package api

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Setting changes one field of a request.
type Setting struct {
	// Field is the path of the field, such as config.learning_rate.
	Field string
	// Value is in YAML, as a request file would have it: 0.001, adamw, or
	// {name: cosine, warmup_steps: 10}.
	Value string
	// Origin says where the setting comes from, for messages, such as the name of a
	// flag; "" stands for "setting".
	Origin string

	bare bool // it has no =
}

// ParseSetting returns the setting that FIELD=VALUE means. Whatever is wrong with it
// is reported when it is applied, with the mistakes of the request.
func ParseSetting(text, origin string) Setting {
	field, value, ok := strings.Cut(text, "=")
	return Setting{Field: strings.TrimSpace(field), Value: value, Origin: origin, bare: !ok}
}

// String returns the setting as messages name it, in one line.
func (s Setting) String() string {
	text := s.Field
	if !s.bare {
		text += "=" + s.Value
	}
	return cmp.Or(s.Origin, "setting") + " " + shorten(text)
}

// CheckSettings fails for settings that no request can have, as ParseTrainingRequest
// does. It is for where there is no request to be read.
func CheckSettings(settings ...Setting) error {
	return join("", (&document{root: &node{kind: mapping}}).set(settings))
}

// With returns the request with some fields set, with its defaults filled in and
// checked as ParseTrainingRequest does. The same mistakes give the same errors,
// each at its own place: that of a setting is the setting, and what a request
// file says stays at its place in the file.
func (r TrainingRequest) With(settings ...Setting) (TrainingRequest, error) {
	changed, errs := r.with(settings)
	return changed, join(r.File(), errs)
}

// with applies settings to the request with all its defaults. Where that fails, it
// applies them to what was written alone: a default that nobody wrote, such as
// that of the model, must not be in the way of another architecture.
func (r TrainingRequest) with(settings []Setting) (TrainingRequest, []*RequestError) {
	changed, errs := r.withOn(settings, false)
	if len(errs) > 0 && r.document != nil {
		return r.withOn(settings, true)
	}
	return changed, errs
}

func (r TrainingRequest) withOn(settings []Setting, written bool) (TrainingRequest, []*RequestError) {
	fail := func(err error) (TrainingRequest, []*RequestError) { return unreadable(), flatten(err) }
	canonical, err := r.published()
	if err != nil {
		return fail(&RequestError{Problem: err.Error(), cause: err})
	}
	d, err := parseDocument("", canonical)
	if err != nil {
		return fail(err)
	}
	if r.document == nil {
		d.root.setPlace(position{})
	} else {
		d.file, d.lines = r.document.file, r.document.lines
		d.root.placeAs(r.document.root, written)
	}
	wrong := d.set(settings)
	if _, err := parseDocument("", d.root.json(nil)); err != nil { // for the limits of a request
		var large *RequestError
		if errors.As(err, &large) {
			err = &RequestError{Problem: "with what is set, " + large.Problem, Fix: large.Fix}
		}
		return fail(err)
	}
	changed, errs := d.request()
	changed.file = r.File() // relative paths still begin at its folder
	return changed, append(errs, wrong...)
}

// unreadable is a request of which nothing could be read.
func unreadable() TrainingRequest { return TrainingRequest{wrong: map[string]bool{"": true}} }

// placeAs gives the values of a request with all its defaults the places that
// they have in the request as it was written, and a default that of the mapping
// it belongs to. With drop, it leaves the defaults out.
func (n *node) placeAs(written *node, drop bool) {
	n.at, n.key, n.written = written.at, written.key, written.written
	if drop {
		n.entries = slices.DeleteFunc(n.entries, func(e entry) bool {
			named := e.value.get("name")
			if named != nil && written.get(e.name) == nil {
				e.value.entries = []entry{{"name", named}}
			}
			return written.get(e.name) == nil && named == nil && (written.kind == mapping || e.name != "name") // adam stands for {name: adam}
		})
	}
	for _, e := range n.entries {
		if w := written.get(e.name); w != nil {
			e.value.placeAs(w, drop)
		} else {
			e.value.setPlace(written.standIn(e.name))
		}
	}
	for i, item := range n.items {
		if i < len(written.items) {
			item.placeAs(written.items[i], drop)
		}
	}
}

// standIn returns the place for a key that a mapping does not have: the key of
// the mapping, the value where a mapping could be, or, in the request itself,
// that of the field which the missing one is about.
func (n *node) standIn(key string) position {
	if n.field == "" {
		if n := n.get(chosenBy(key)); n != nil {
			return n.at
		}
		return n.at
	}
	if n.kind == mapping || n.kind == list {
		return n.key
	}
	return n.at
}

// chosenBy returns the field that chooses what a mapping of the request is about; "" for
// other mappings.
func chosenBy(mapping string) string {
	return map[string]string{"model": "model_architecture", "dataset": "dataset_path"}[mapping]
}

// setPlace gives a value and everything in it one place.
func (n *node) setPlace(p position) {
	n.at, n.key = p, p
	for _, e := range n.entries {
		e.value.setPlace(p)
	}
	for _, item := range n.items {
		item.setPlace(p)
	}
}

// setField gives a value and everything in it their paths.
func (n *node) setField(field string) {
	n.field = field
	for _, e := range n.entries {
		e.value.setField(shortenTo(maxPath, child(field, shorten(e.name))))
	}
	for i, item := range n.items {
		item.setField(fmt.Sprintf("%s[%d]", field, i))
	}
}

// set applies settings to the tree and returns what is wrong with their form.
func (d *document) set(settings []Setting) []*RequestError {
	s := requestSchema()
	fields := s.fields("", s.at(schemaURL))
	var errs []*RequestError
	seen := map[string]bool{}
	for i, setting := range settings {
		at := position{setting: setting, order: i + 1}
		e := d.root.set(setting, at, fields)
		if within := overlap(seen, setting.Field); within != "" {
			e = &RequestError{Field: setting.Field, Problem: "sets what " + within + " sets, too", Fix: "set one of them"}
		}
		if seen[setting.Field] {
			e = &RequestError{Field: setting.Field, Problem: "sets " + setting.Field + " a second time", Fix: "set each field once"}
		}
		if e != nil {
			errs = append(errs, d.fail(at, *e))
			if slices.Contains(fields, setting.Field) {
				d.unset = append(d.unset, setting.Field)
			}
		}
		seen[setting.Field] = !setting.bare && slices.Contains(fields, setting.Field)
	}
	listKeysOnce(errs)
	return errs
}

// overlap returns a field that was set and that is part of this one, or the other way
// round; "" if there is none. Of two such settings, one would be lost.
func overlap(seen map[string]bool, field string) string {
	var found []string
	for other, set := range seen {
		if set && other != field && (strings.HasPrefix(other, field+".") || strings.HasPrefix(field, other+".")) {
			found = append(found, other)
		}
	}
	slices.Sort(found)
	return strings.Join(found[:min(1, len(found))], "")
}

// set puts a value in place of the field's, or beside the others where the
// field was left out. known are the fields that can be set.
func (n *node) set(s Setting, at position, known []string) *RequestError {
	bad := func(problem, fix string) *RequestError {
		return &RequestError{Field: s.Field, Problem: problem, Fix: fix} // the setting itself shows the value
	}
	switch {
	case s.bare:
		example := "config.learning_rate"
		if fields := FieldsNamed(s.Field); len(fields) > 0 {
			example = fields[0]
		}
		return bad("has no =", "write "+strings.TrimSpace(s.Origin+" "+example+"=VALUE"))
	case s.Field == "":
		return bad("names no field", "write the path with dots before the =, such as config.learning_rate")
	}
	d, err := parseDocument("", []byte("value: "+s.Value))
	var wrong *RequestError
	if errors.As(err, &wrong) && !strings.HasPrefix(wrong.Problem, "not valid YAML") {
		return bad(wrong.Problem, wrong.Fix)
	}
	if err != nil || len(d.root.entries) != 1 {
		return bad("is not a value in YAML", "write it as in a request file, such as 0.001 or {name: cosine}")
	}
	if !slices.Contains(known, s.Field) {
		if whole, _, ok := strings.Cut(s.Field, "["); ok && slices.Contains(known, whole) {
			return &RequestError{Field: s.Field, Problem: "an entry of a list cannot be set", Fix: "set the whole list: " + whole + "=[...]"}
		}
		for _, field := range known {
			inside := func(of string) bool { return strings.HasPrefix(of, field+".") }
			if inside(s.Field) && !slices.ContainsFunc(known, inside) {
				return bad(field+" is one value and has no fields of its own", "set it as a whole: "+field+"=VALUE")
			}
		}
		return &RequestError{Field: s.Field, Problem: "no such field", Fix: likelyField(s.Field, known)}
	}
	path := strings.Split(s.Field, ".")
	for i, key := range path {
		parent := strings.Join(path[:i], ".")
		if bareName(n, parent) {
			n.kind, n.entries = mapping, []entry{{"name", &node{kind: textual, field: parent + ".name", value: n.value, written: n.written, at: n.at, key: n.at}}}
		}
		if n.kind != mapping {
			return bad(fmt.Sprintf("%s is %s in this request and has no fields of its own", parent, n.kind), "set it as a whole: "+parent+"={"+key+": ...}")
		}
		child := n.get(key)
		if child == nil {
			child = &node{kind: mapping, field: strings.Join(path[:i+1], "."), at: at, key: at}
			n.entries = append(n.entries, entry{key, child})
		}
		n = child
	}
	*n = *d.root.entries[0].value
	n.setField(s.Field)
	n.setPlace(at)
	return nil
}

// bareName reports whether a value is the name alone of what has settings too.
func bareName(n *node, field string) bool {
	return n.kind == textual && (field == "config.optimizer" || field == "config.schedule")
}

// fields returns the path of every key that a mapping may have, at any depth
// but in lists.
func (s *schema) fields(prefix string, rule map[string]any) []string {
	var list []string
	for _, key := range s.keys(rule) {
		field := child(prefix, key)
		inner := s.property(rule, key)
		list = append(append(list, field), s.fields(field, inner)...)
		forms, _ := inner["anyOf"].([]any)
		for _, f := range forms {
			form, _ := f.(map[string]any)
			if ref, ok := form["$ref"].(string); ok {
				form = s.at(ref)
			}
			for _, field := range s.fields(field, form) {
				if !slices.Contains(list, field) {
					list = append(list, field)
				}
			}
		}
	}
	return list
}

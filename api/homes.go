package api

import (
	"fmt"
	"slices"
	"strings"

	"reprise/internal/spelling"
)

// aliases are the names that other programs have for keys of a request and that
// are not spelt like them.
func aliases() map[string][]string {
	fraction := []string{"validation_fraction"}
	return map[string][]string{
		"betas": {"beta1", "beta2"}, "eps": {"epsilon"}, "l2": {"weight_decay"}, "wd": {"weight_decay"}, "min_lr": {"min_factor"},
		"max_grad_norm": {"clip_norm"}, "grad_clip": {"clip_norm"}, "gradient_clip_val": {"clip_norm"}, "max_epochs": {"epochs"},
		"num_epochs": {"epochs"}, "random_state": {"seed"}, "test_size": fraction, "val_split": fraction, "validation_split": fraction,
		"validation_size": fraction, "val_fraction": fraction, "loss_fn": {"loss"}, "loss_function": {"loss"}, "criterion": {"loss"},
		"metric_for_best_model": {"monitor"}, "data": {"dataset_path"},
	}
}

// homes returns the fields that a key which is unknown in its mapping was probably
// meant for, by its name alone: those with that key, those that other programs
// call so, or else those whose name it begins. Several are alternatives, unless
// one key stands for them all.
func homes(key string, fields []string) []string {
	if isDiscriminator(key) || key == "" {
		return nil
	}
	leaves := []string{key}
	if other, ok := aliases()[key]; ok {
		leaves = other
	}
	called := func(match func(leaf string) bool) (list []string) {
		for _, field := range fields {
			if match(field[strings.LastIndex(field, ".")+1:]) {
				list = append(list, field)
			}
		}
		return list
	}
	if list := called(func(leaf string) bool { return slices.Contains(leaves, leaf) }); len(list) > 0 {
		return list
	}
	return called(func(leaf string) bool { return strings.HasPrefix(leaf, key+"_") })
}

// belongs says where to write a key that a mapping does not have and what was meant
// by it; fix is "" if the schema has no place for it.
func (s *schema) belongs(d *document, n *node, key string) (fix, meant string) {
	all := s.fields("", s.at(schemaURL))
	if whole := chosenBy(n.field); whole != "" && whole == n.field+"_"+key { // path in dataset
		value := "..."
		if given := n.get(key); given != nil && given.written != "" {
			value = shorten(given.written)
		}
		return fmt.Sprintf("write %s: %s, outside %s", whole, value, n.field), whole
	}
	for _, field := range all { // an ending of a key of this mapping: delta for min_delta
		if last := field[strings.LastIndex(field, ".")+1:]; child(n.field, last) == field && strings.HasSuffix(last, "_"+key) && !isDiscriminator(key) {
			return didYouMean(last), field
		}
	}
	fields := homes(key, all)
	parents := make([]string, len(fields))
	for i, field := range fields {
		parents[i] = field[:max(strings.LastIndex(field, "."), 0)]
	}
	if len(fields) == 0 || strings.HasPrefix(n.field, "model_architecture") {
		return "", ""
	}
	if at := slices.Index(parents, n.field); at >= 0 { // of another form of this mapping, or a name that begins so
		if strings.HasSuffix("."+fields[at], "."+key) {
			return "", ""
		}
		return didYouMean(fields[at][strings.LastIndex(fields[at], ".")+1:]), fields[at]
	}
	var ways []string
	for i, field := range fields {
		if i > 0 && parents[i] == parents[i-1] {
			continue // written with the one before it
		}
		var together []string
		for j := i; j < len(fields) && parents[j] == parents[i]; j++ {
			together = append(together, fields[j][strings.LastIndex(fields[j], ".")+1:])
		}
		if len(fields) == 1 && child(parents[i], key) == field && !strings.Contains(parents[i], ".") {
			if parents[i] == "" {
				return "move it out, to the top level", field
			}
			return "move it into " + parents[i], field
		}
		ways = append(ways, s.example(d, n, parents[i], together, n.get(key)))
	}
	return "write " + strings.Join(ways, ", or "), fields[0]
}

// example shows keys with their value in the mapping that they belong to, as
// written in the mapping n where the former is part of it.
func (s *schema) example(d *document, n *node, parent string, keys []string, value *node) string {
	path := strings.Split(parent, ".")
	rule, given := s.at(schemaURL), d.root
	for _, step := range path {
		rule, given = s.property(rule, step), given.get(step)
	}
	var parts []string
	if name := s.formWith(rule, keys[0], given); name != "" {
		parts = append(parts, "name: "+name)
	}
	for i, key := range keys {
		shown := "..."
		switch {
		case value == nil:
		case value.kind == list && len(value.items) == len(keys):
			shown = shorten(value.items[i].written)
		case value.kind != list && value.kind != mapping && value.written != "":
			shown = shorten(value.written)
		}
		parts = append(parts, key+": "+shown)
	}
	outer, last := strings.Join(path[:len(path)-1], "."), path[len(path)-1]
	text := fmt.Sprintf("%s: {%s}", last, strings.Join(parts, ", "))
	if outer != n.field && outer != "" {
		text += " in " + outer
	}
	return text
}

// formWith returns the name of the form of a mapping that has a key: that which the
// request gives it, if it has the key, else the first one that has; "" for a
// mapping that has only one form.
func (s *schema) formWith(rule map[string]any, key string, given *node) string {
	chosen := ""
	if given != nil {
		chosen = given.value
		if name := given.get("name"); name != nil {
			chosen = name.value
		}
	}
	first := ""
	forms, _ := rule["anyOf"].([]any)
	for _, f := range forms {
		form, _ := f.(map[string]any)
		if ref, ok := form["$ref"].(string); ok {
			form = s.at(ref)
		}
		if !slices.Contains(s.keys(form), key) {
			continue
		}
		named := s.property(form, "name")
		names, _ := named["enum"].([]any)
		if one, ok := named["const"]; ok {
			names = []any{one}
		}
		for _, name := range names {
			if name == chosen {
				return chosen
			}
			if text, ok := name.(string); ok && first == "" {
				first = text
			}
		}
	}
	return first
}

// listKeysOnce leaves the list of the keys of a mapping in the first error that has
// it.
func listKeysOnce(errs []*RequestError) {
	seen := map[string]bool{}
	for _, e := range errs {
		if !strings.HasPrefix(e.Fix, useOneOf) {
			continue
		}
		if seen[e.Fix] {
			e.Fix = "use one of the keys listed above"
		}
		seen[e.Fix] = true
	}
}

// useOneOf begins the fix that lists the keys of a mapping.
const useOneOf = "use one of "

// likelyField returns what to do about a field that does not exist.
func likelyField(got string, known []string) string {
	path := strings.Trim(strings.NewReplacer("/", ".", ":", ".", "..", ".").Replace(got), ".")
	for _, field := range known {
		if path != "" && (field == path || strings.HasSuffix(field, "."+path)) {
			return didYouMean(field)
		}
	}
	dot := strings.LastIndex(path, ".")
	parent, leaf := path[:max(dot, 0)], path[dot+1:]
	var mappings []string
	for _, field := range known {
		if of := field[:max(strings.LastIndex(field, "."), 0)]; of != "" && !slices.Contains(mappings, of) {
			mappings = append(mappings, of)
		}
	}
	if parent != "" && !slices.Contains(mappings, parent) {
		if near, ok := spelling.Close(parent, mappings); ok {
			parent = near
		}
	}
	if slices.Contains(mappings, parent) {
		return likelyKey(parent, leaf, known)
	}
	if fields := homes(leaf, known); len(fields) > 0 {
		return didYouMean(fields...)
	}
	if near, ok := spelling.Close(path, known); ok {
		return didYouMean(near)
	}
	leaves := make([]string, len(known))
	for i, field := range known {
		leaves[i] = field[strings.LastIndex(field, ".")+1:]
	}
	if near, ok := spelling.Close(leaf, leaves); ok {
		return didYouMean(known[slices.Index(leaves, near)])
	}
	return "write the path with dots, such as config.learning_rate"
}

// likelyKey is likelyField for a key of a mapping that exists.
func likelyKey(parent, leaf string, known []string) string {
	var keys []string
	for _, field := range known {
		if key, ok := strings.CutPrefix(field, parent+"."); ok && !strings.Contains(key, ".") && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if slices.Contains(keys, leaf) {
		return didYouMean(child(parent, leaf))
	}
	fields := homes(leaf, known)
	if own := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return f[:max(strings.LastIndex(f, "."), 0)] != parent }); len(own) > 0 {
		fields = own
	}
	if len(fields) > 0 {
		return didYouMean(fields...)
	}
	if near, ok := spelling.Close(leaf, keys); ok {
		return didYouMean(child(parent, near))
	}
	slices.Sort(keys)
	return fmt.Sprintf("%sthe keys of %s: %s", useOneOf, parent, strings.Join(keys, ", "))
}

func didYouMean(names ...string) string { return "did you mean " + strings.Join(names, " or ") + "?" }

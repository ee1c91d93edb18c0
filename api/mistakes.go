package api

import (
	"maps"
	"slices"
	"strings"
)

// request returns what the document asks for, with its defaults, and what is wrong
// with it. Each kind of check sees what earlier ones found no mistake in: a wrong
// value is left out, and what stands beside it is checked.
func (d *document) request() (TrainingRequest, []*RequestError) {
	errs := requestSchema().validate(d)
	wrong := map[string]bool{}
	for _, field := range d.unset {
		wrong[field] = true
	}
	mark(wrong, errs)
	sound := *d
	sound.root = d.root.without(wrong)
	r, more := decodeRequest(&sound, wrong)
	errs = append(errs, more...)
	mark(wrong, more)
	r.document, r.wrong = d, wrong
	r = r.withDefaults()
	var bad error
	r.valid, bad = r.precheck()
	errs = append(errs, r.sift(bad)...)
	if len(wrong) == 0 {
		r.wrong = nil
	}
	sortErrors(errs)
	return r, errs
}

// mark notes the fields that mistakes were found in, and those whose value is not
// known because an unknown key was meant for them.
func mark(wrong map[string]bool, errs []*RequestError) {
	for _, e := range errs {
		for _, field := range []string{e.Field, e.meant} {
			if field != "" {
				wrong[field] = true
			}
		}
	}
}

// without returns the value without the parts of it that are wrong.
func (n *node) without(wrong map[string]bool) *node {
	sound := *n
	sound.entries, sound.items = nil, nil
	for _, e := range n.entries {
		if !wrong[e.value.field] {
			sound.entries = append(sound.entries, entry{e.name, e.value.without(wrong)})
		}
	}
	for _, item := range n.items {
		if !wrong[item.field] {
			sound.items = append(sound.items, item.without(wrong))
		}
	}
	return &sound
}

// Sound reports whether no mistake was found in what the request says of some
// fields, such as dataset_path and dataset, of a part of them or of what they are
// part of. It is always true for a request that came without an error.
func (r TrainingRequest) Sound(fields ...string) bool {
	for wrong := range r.wrong {
		if wrong == "" { // nothing could be read
			return false
		}
		for _, field := range fields {
			if within(wrong, field) || within(field, wrong) {
				return false
			}
		}
	}
	return true
}

// within reports whether a field is another one or a part of it.
func within(field, whole string) bool {
	rest, ok := strings.CutPrefix(field, whole)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// sift returns the complaints in an error with their places, but for those that may
// only follow from a mistake that was found already or is beside them, and marks
// their fields as wrong.
func (r TrainingRequest) sift(err error) []*RequestError {
	found := flatten(r.Locate(err))
	known := r
	known.wrong = maps.Clone(r.wrong)
	mark(known.wrong, found)
	found = slices.DeleteFunc(slices.Clone(found), func(e *RequestError) bool {
		return e.Field != "" && (!r.Sound(e.Field) || !known.Sound(reads(e.Field)...))
	})
	mark(r.wrong, found)
	return found
}

// reads returns the other fields that a rule about a field depends on.
func reads(field string) []string {
	switch {
	case field == "config.shards" || field == "config.gradient_accumulation":
		return []string{"config.batch_size"}
	case field == "config.schedule.warmup_steps": // fewer than the steps of the run
		return []string{"config.schedule.name", "config.epochs", "config.batch_size", "config.gradient_accumulation"}
	case within(field, "config.schedule") && field != "config.schedule.name":
		return []string{"config.schedule.name"}
	case field == "config.optimizer.nesterov":
		return []string{"config.optimizer.name", "config.optimizer.momentum"}
	case within(field, "config.optimizer") && field != "config.optimizer.name" && field != "config.optimizer":
		return []string{"config.optimizer.name"}
	case field == "model.heads":
		return []string{"model_architecture", "model.width"}
	case field == "model.depth" || field == "model.patch":
		return []string{"model_architecture"}
	}
	return nil
}

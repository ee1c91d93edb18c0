package training

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"reprise/dataset/columns"
	"reprise/fault"
	"reprise/internal/spelling"
)

// ClassWeight says how much the samples of each class count in the loss of a step: their
// losses and gradients are multiplied by the weight of their class. It is its own JSON
// form, with sorted keys: the text "balanced", or an object with the weights of some
// classes, by name or number; the others have the weight 1. "" weights all alike.
//
// Balanced weights are n/(k*m) for a class with m of the n samples of the training split
// and k classes that occur there, computed in float64 and rounded once.
type ClassWeight string

// BalancedClasses gives all classes the same weight in total.
const BalancedClasses ClassWeight = `"balanced"`

// NewClassWeight returns the weights of classes by name or number; none is "".
func NewClassWeight(weights map[string]float32) (ClassWeight, error) {
	if len(weights) == 0 {
		return "", nil
	}
	raw, err := json.Marshal(weights) // sorts the keys
	if err != nil {
		return "", fmt.Errorf("weights of classes: %w", err)
	}
	return ClassWeight(raw), nil
}

// MarshalJSON returns the value itself; "" is null.
func (w ClassWeight) MarshalJSON() ([]byte, error) {
	if w == "" {
		return []byte("null"), nil
	}
	return []byte(w), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (w *ClassWeight) UnmarshalJSON(raw []byte) error {
	var name string
	if json.Unmarshal(raw, &name) == nil && name != "" {
		if *w = ClassWeight(raw); *w != BalancedClasses {
			return fmt.Errorf("weights of classes: %q instead of balanced", name)
		}
		return nil
	}
	var weights map[string]float32
	err := json.Unmarshal(raw, &weights)
	if err == nil {
		*w, err = NewClassWeight(weights)
	}
	return err
}

// named returns the weights that are given by name; nil for balanced ones and none.
func (w ClassWeight) named() (map[string]float32, error) {
	if w == "" || w == BalancedClasses {
		return nil, nil
	}
	var weights map[string]float32
	err := json.Unmarshal([]byte(w), &weights)
	return weights, err
}

// validate fails with a *fault.FieldError, or several of them joined, for what can be no
// weight whatever the data.
func (w ClassWeight) validate() error {
	weights, err := w.named()
	if err != nil {
		return &fault.FieldError{Field: "class_weight", Value: string(w), Problem: "must be balanced, or a weight for each class", Fix: "write balanced, or {NAME: 2}"}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if v := weights[name]; !(v >= 0) || v-v != 0 {
			errs = append(errs, &fault.FieldError{Field: "class_weight." + name, Value: fmt.Sprint(v), Problem: "must be a finite number of at least 0", Fix: "use a weight such as 2"})
		}
	}
	return join(errs)
}

// Weights returns the weight of each class, given the names of the classes and how many
// samples of the training split each has; nil if all count alike. It fails with a
// *fault.FieldError, or several of them joined, for a class that does not exist, one that is
// named twice, and weights that leave nothing to train on.
func (w ClassWeight) Weights(classes []string, counts []int) ([]float32, error) {
	if w == "" {
		return nil, nil
	}
	out := make([]float32, len(classes))
	if w == BalancedClasses {
		samples, occurring := 0, 0
		for _, n := range counts {
			samples += n
			occurring += min(n, 1)
		}
		for c, n := range counts {
			if out[c] = 1; n > 0 {
				out[c] = float32(float64(samples) / float64(float64(occurring)*float64(n)))
			}
		}
		return out, nil
	}
	weights, err := w.named()
	if err != nil {
		return nil, err
	}
	for c := range out {
		out[c] = 1
	}
	var errs []error
	bad := func(name, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "class_weight", Value: strconv.Quote(name), Problem: problem, Fix: fix})
	}
	by := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		c, ok := classIndex(classes, name)
		if !ok {
			fix := "name some of them"
			if near, ok := spelling.Nearest(name, classes); ok {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			bad(name, "is not a class; the classes are "+columns.Names(classes), fix)
			continue
		}
		if other, twice := by[c]; twice {
			bad(name, fmt.Sprintf("is the class that %q names, too", other), "leave one of them out")
		}
		by[c], out[c] = name, weights[name]
	}
	trained := false
	for c, n := range counts {
		trained = trained || n > 0 && out[c] > 0
	}
	if len(errs) == 0 && !trained {
		errs = append(errs, &fault.FieldError{Field: "class_weight", Value: string(w), Problem: "leaves no class to learn: the weights of all are 0", Fix: "give one of them a weight of more than 0"})
	}
	return out, join(errs)
}

// classIndex returns the class with a name or, unless the names are numbers themselves,
// with a number.
func classIndex(classes []string, name string) (int, bool) {
	if c := slices.Index(classes, name); c >= 0 {
		return c, true
	}
	c, err := strconv.Atoi(name)
	numbered := slices.ContainsFunc(classes, func(name string) bool {
		_, err := strconv.ParseFloat(name, 64)
		return err == nil || errors.Is(err, strconv.ErrRange)
	})
	if err != nil || numbered || c < 0 || c >= len(classes) || strconv.Itoa(c) != name {
		return 0, false
	}
	return c, true
}

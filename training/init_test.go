package training

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/nn"
	"reprise/tensor"
)

// Every parameter is either taken, where a readable tensor has its name and shape, or drawn
// with the reason; the record is consistent with the model and with what is kept, also when
// it comes back from the log.
func TestWhatFitsByNameAndShapeIsTaken(t *testing.T) {
	shapes := []tensor.Shape{{2}, {3}, {2, 3}, {3, 2}}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]`), 1, 6, rapid.ID).Draw(t, "names")
		var specs []nn.ParameterSpec
		for _, name := range names {
			specs = append(specs, nn.ParameterSpec{Name: name, Shape: rapid.SampledFrom(shapes).Draw(t, "shape")})
		}
		var offered []Offered
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-h]`), 0, 8, rapid.ID).Draw(t, "offered") {
			offered = append(offered, Offered{Name: name, Shape: rapid.SampledFrom(shapes).Draw(t, "its shape"), DType: rapid.SampledFrom([]string{"", "", "I64"}).Draw(t, "type")})
		}
		fits, unused := map[string]bool{}, 0
		for _, o := range offered {
			at := slices.IndexFunc(specs, func(s nn.ParameterSpec) bool { return s.Name == o.Name })
			if at < 0 {
				unused++
			} else if specs[at].Shape.Equal(o.Shape) && o.DType == "" {
				fits[o.Name] = true
			}
		}
		taken, init, err := Match(specs, offered)
		if len(fits) == 0 {
			if err == nil || !strings.Contains(err.Error(), "has nothing that fits") || !strings.Contains(err.Error(), fmt.Sprintf("%s %v", specs[0].Name, specs[0].Shape)) {
				t.Fatalf("nothing fits: %v", err)
			}
			return
		}
		if err != nil || init.Taken != len(fits) || init.Parameters != len(specs) || init.Unused != unused || len(init.Drawn) != len(specs)-len(fits) {
			t.Fatalf("%+v, %v; want %d taken and %d unused", init, err, len(fits), unused)
		}
		var kept []tensor.Tensor
		for i, o := range offered {
			if taken[i] != fits[o.Name] {
				t.Fatalf("%+v: taken is %v", o, taken[i])
			}
			if taken[i] {
				kept = append(kept, tensor.Tensor{Name: o.Name, Shape: o.Shape})
			}
		}
		raw, err := json.Marshal(init)
		if err != nil {
			t.Fatal(err)
		}
		var again Init
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if what := again.Check(specs, kept); what != "" {
			t.Fatalf("%s: %s", raw, what)
		}
		if what := again.Check(specs, kept[1:]); len(kept) > 1 && !strings.Contains(what, "init.weights_sha256") {
			t.Fatalf("one is not kept: %q", what)
		}
	})
}

func TestARecordOfInitialWeightsThatCannotBeIsFound(t *testing.T) {
	specs := []nn.ParameterSpec{{Name: "a", Shape: tensor.Shape{2}}, {Name: "b", Shape: tensor.Shape{3}}, {Name: "c", Shape: tensor.Shape{4}}}
	_, good, err := Match(specs, []Offered{{Name: "a", Shape: tensor.Shape{2}}, {Name: "b", Shape: tensor.Shape{7}}, {Name: "x", Shape: tensor.Shape{1}}})
	if err != nil {
		t.Fatal(err)
	}
	if why := good.Drawn[0].Why() + ", " + good.Drawn[1].Why(); why != "shape differs: [7] and [3], not there" {
		t.Errorf("drawn: %s", why)
	}
	for want, change := range map[string]func(*Init){
		"init.parameters":          func(i *Init) { i.Parameters++ },
		"init.taken":               func(i *Init) { i.Taken++ },
		"init.taken: recorded 0":   func(i *Init) { i.Taken, i.Drawn = 0, []Drawn{{Name: "a"}, {Name: "b"}, {Name: "c"}} },
		"init.unused":              func(i *Init) { i.Unused = 2 },
		"the model has [3]":        func(i *Init) { i.Drawn[0].Shape = tensor.Shape{4} },
		"although it fits":         func(i *Init) { i.Drawn[0].Found = tensor.Shape{3} },
		"does not have":            func(i *Init) { i.Drawn[0].Name = "y" },
		"init.drawn: recorded par": func(i *Init) { slices.Reverse(i.Drawn) },
	} {
		changed := good
		changed.Drawn = slices.Clone(good.Drawn)
		change(&changed)
		if what := changed.Check(specs, nil); !strings.Contains(what, want) {
			t.Errorf("%q, want %q", what, want)
		}
	}
	if what := good.Check(specs, nil); what != "" {
		t.Errorf("what is right is refused: %s", what)
	}
}

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"reprise/dataset"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
)

// decoder turns nodes that the schema has accepted into Go values. It collects the
// mistakes that a schema cannot describe: a whole number written as a fraction, a
// number that a 32-bit float cannot hold. An absent node gives a zero value.
type decoder struct {
	document *document
	schema   *schema
	partial  bool // parts of the list of layers are left out
	errs     []*RequestError
}

// decodeRequest returns the request, without its defaults, and what is wrong with
// it. The wrong fields are left out of the document.
func decodeRequest(doc *document, wrong map[string]bool) (TrainingRequest, []*RequestError) {
	d := &decoder{document: doc}
	for field := range wrong {
		d.partial = d.partial || within(field, "model_architecture")
	}
	var r TrainingRequest
	d.decode(doc.root, reflect.ValueOf(&r).Elem())
	return r, d.errs
}

// decode sets a value to what a node says, and leaves it as it is for an absent node.
// Fields of a struct have the keys of their JSON tags. A text in place of a mapping is
// the mapping's name.
func (d *decoder) decode(n *node, v reflect.Value) {
	if n == nil {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if a, ok := v.Addr().Interface().(*ModelArchitecture); ok {
			*a = d.architecture(n)
			return
		}
		if j, ok := v.Addr().Interface().(*JobOptions); ok {
			*j = d.job(n)
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch key := jsonKey(f); {
			case f.Anonymous:
				d.decode(n, v.Field(i))
			case key == "name" && n.kind != mapping:
				v.Field(i).SetString(n.value)
			case key != "":
				d.decode(n.get(key), v.Field(i))
			}
		}
	case reflect.Slice: // of whole numbers; an empty list is not an absent one
		v.Set(reflect.ValueOf(d.ints(n)))
	case reflect.Array: // of as many whole numbers
		reflect.Copy(v, reflect.ValueOf(d.ints(n)))
	case reflect.String:
		switch text := v.Addr().Interface().(type) {
		case *dataset.ColumnSpecs:
			*text = d.columnSpecs(n)
		case *dataset.Texts:
			*text = dataset.NewTexts(cells(n))
		case *nn.Freeze:
			*text = nn.NewFreeze(d.texts(n))
		case *training.ClassWeight:
			*text = d.classWeight(n)
		default:
			v.SetString(n.value)
		}
	case reflect.Bool:
		v.SetBool(n.value == "true")
	case reflect.Int:
		v.SetInt(int64(d.int(n)))
	case reflect.Uint64:
		v.SetUint(d.uint(n))
	case reflect.Float32:
		v.SetFloat(float64(d.float32(n)))
	case reflect.Float64:
		v.SetFloat(d.float(n))
	default:
		panic(fmt.Sprintf("api: a request cannot have a %v", v.Type())) // a test decodes every key
	}
}

// columnSpecs returns what is said about columns; a kind alone stands for {kind: KIND}.
func (d *decoder) columnSpecs(n *node) dataset.ColumnSpecs {
	specs := map[string]map[string]any{}
	for _, e := range n.entries {
		spec := map[string]any{}
		if e.value.kind != mapping {
			spec["kind"] = e.value.value
		}
		for _, part := range e.value.entries {
			switch part.name {
			case "indicator":
				spec[part.name] = part.value.value == "true"
			case "vocabulary", "max_tokens":
				spec[part.name] = d.int(part.value)
			default:
				spec[part.name] = part.value.cell()
			}
		}
		specs[e.name] = spec
	}
	raw, err := json.Marshal(specs)
	var out dataset.ColumnSpecs
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		d.fail(n, "cannot be read: "+err.Error(), "write a kind for each column, as in {age: number}")
	}
	return out
}

// classWeight returns the weights of classes; a text is balanced.
func (d *decoder) classWeight(n *node) training.ClassWeight {
	if n.kind != mapping {
		return training.BalancedClasses
	}
	weights := map[string]float32{}
	for _, e := range n.entries {
		weights[e.name] = d.float32(e.value)
	}
	w, err := training.NewClassWeight(weights)
	if err != nil && len(d.errs) == 0 {
		d.fail(n, "cannot be read: "+err.Error(), "write a weight for each class, as in {fraud: 5}")
	}
	return w
}

// cells returns the texts of cells that a list has, or the one in its place.
func cells(n *node) []string {
	if n.kind != list {
		return []string{n.cell()}
	}
	var out []string
	for _, item := range n.items {
		out = append(out, item.cell())
	}
	return out
}

// cell returns a scalar as a cell of a table would have it: as it was written, unless it
// is in quotes.
func (n *node) cell() string {
	if n.kind == textual {
		return n.value
	}
	return n.written
}

func (d *decoder) architecture(n *node) ModelArchitecture {
	if n == nil {
		return ModelArchitecture{}
	}
	if n.kind != list {
		return ModelArchitecture{Name: n.value}
	}
	d.schema = requestSchema()
	if d.layers(n); len(d.errs) > 0 || d.partial {
		return ModelArchitecture{}
	}
	var a ModelArchitecture
	if err := json.Unmarshal(n.json(nil), &a.Layers); err != nil {
		var bad *nn.LayerError
		if errors.As(err, &bad) {
			d.errs = append(d.errs, d.document.layerError(n, bad, bad.Index))
		} else {
			d.fail(n, "cannot be read: "+err.Error(), "correct the list of layers")
		}
	}
	return a
}

// layers refuses whole numbers of layers that are written as fractions, and dropout
// rates that are less than 1 until they become 32-bit floats.
func (d *decoder) layers(list *node) {
	for _, layer := range list.items {
		form := d.schema.layer(layer.get("type"))
		for _, e := range layer.entries {
			switch {
			case e.name == "body" || e.name == "shortcut":
				d.layers(e.value)
			case e.value.kind == fractional && d.schema.property(form, e.name)["type"] == "integer":
				d.uint(e.value)
			case (e.name == "rate" || e.name == "dropout") && d.float32(e.value) >= 1:
				d.fail(e.value, "is so close to 1 that it becomes 1 as a 32-bit float", "use a rate such as 0.1")
			}
		}
	}
}

func (d *decoder) fail(n *node, problem, fix string) {
	d.errs = append(d.errs, d.document.fail(n.at, RequestError{Field: n.field, Value: shorten(n.written), Problem: problem, Fix: fix}))
}

func (d *decoder) uint(n *node) uint64 {
	v, err := strconv.ParseUint(n.value, 10, 64)
	switch {
	case n.kind == fractional && err == nil:
		// JSON Schema accepts 1e3 and 8.0 as whole numbers. They may be slips.
		d.fail(n, "is not written as a whole number", fmt.Sprintf("write %d", v))
	case err != nil:
		d.fail(n, "is not a whole number", "write only its digits")
	}
	return v
}

func (d *decoder) int(n *node) int {
	v := d.uint(n)
	if v > math.MaxInt {
		d.fail(n, "is too large", "use a smaller number")
	}
	return int(v)
}

// text returns what a scalar says, "" for an absent one.
func (n *node) text() string {
	if n == nil {
		return ""
	}
	return n.value
}

// job returns how to queue a request.
func (d *decoder) job(n *node) JobOptions {
	return JobOptions{
		Priority: d.signed(n.get("priority")), Owner: n.get("owner").text(), Group: n.get("group").text(),
		After: d.texts(n.get("after")), MaxDuration: d.duration(n.get("max_duration")), Labels: d.texts(n.get("labels")),
		Annotation: queue.Annotation{Name: n.get("name").text(), Tags: d.texts(n.get("tags")), Note: n.get("note").text()},
	}
}

// signed returns a whole number that may be negative.
func (d *decoder) signed(n *node) int {
	switch {
	case n == nil:
		return 0
	case !strings.HasPrefix(n.value, "-"):
		return d.int(n)
	}
	v, err := strconv.Atoi(n.value)
	switch {
	case n.kind == fractional && err == nil:
		d.fail(n, "is not written as a whole number", fmt.Sprintf("write %d", v))
	case err != nil:
		d.fail(n, "is not a whole number", "write only its digits")
	}
	return v
}

// duration returns 0 for an absent one only.
func (d *decoder) duration(n *node) time.Duration {
	if n == nil {
		return 0
	}
	v, err := time.ParseDuration(n.value)
	switch {
	case err != nil:
		d.fail(n, "is longer than can be counted", "use at most 2500000h, or leave it out for no bound")
	case v < time.Second:
		d.fail(n, "must be at least 1s", "use a duration such as 12h, or leave it out for no bound")
	}
	return v
}

// texts returns the texts of a list, or the one that stands in its place.
func (d *decoder) texts(n *node) []string {
	if n == nil {
		return nil
	}
	if n.kind != list {
		return []string{n.value}
	}
	var out []string
	for _, item := range n.items {
		out = append(out, item.value)
	}
	return out
}

func (d *decoder) ints(n *node) []int {
	out := make([]int, len(n.items))
	for i, item := range n.items {
		out[i] = d.int(item)
	}
	return out
}

func (d *decoder) float(n *node) float64 {
	v, err := strconv.ParseFloat(n.value, 64)
	if err != nil {
		d.fail(n, "is not a finite number", "use a number that a float can hold")
	}
	return v
}

// float32 refuses what would become 0 or infinite: to an optimiser, 0 means the
// default.
func (d *decoder) float32(n *node) float32 {
	v := d.float(n)
	f := float32(v)
	switch {
	case v != 0 && f == 0:
		d.fail(n, "is so small that it becomes 0 as a 32-bit float", "use at least 1.5e-45")
	case math.IsInf(float64(f), 0):
		d.fail(n, "is more than a 32-bit float can hold", "use a smaller number")
	}
	return f
}

// json appends the value's JSON form.
func (n *node) json(dst []byte) []byte {
	switch n.kind {
	case mapping:
		for i, e := range n.entries {
			dst = append(dst, ",{"[b2i(i == 0)])
			dst = append(append(dst, quote(e.name)...), ':')
			dst = e.value.json(dst)
		}
		if len(n.entries) == 0 {
			dst = append(dst, '{')
		}
		return append(dst, '}')
	case list:
		for i, item := range n.items {
			dst = item.json(append(dst, ",["[b2i(i == 0)]))
		}
		if len(n.items) == 0 {
			dst = append(dst, '[')
		}
		return append(dst, ']')
	case whole, boolean:
		return append(dst, n.value...)
	case fractional:
		if strings.ContainsAny(n.value, ".eE") {
			return append(dst, n.value...)
		}
		return append(dst, n.value+".0"...) // stays a fraction: the schema accepts 2.0 as 2, nn does not
	case empty:
		return append(dst, "null"...)
	default:
		return append(dst, quote(n.value)...)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func quote(s string) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		panic("api: a text has no JSON form: " + err.Error()) // encoding/json has one for every string
	}
	return raw
}

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"reprise/nn"
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
	root := doc.root
	model, options, config, job := root.get("model"), root.get("dataset"), root.get("config"), root.get("job")
	r := TrainingRequest{
		ModelArchitecture: d.architecture(root.get("model_architecture")),
		Model: Model{
			Hidden: d.ints(model.get("hidden")), Channels: d.ints(model.get("channels")),
			Activation: d.text(model.get("activation")),
			BatchNorm:  d.bool(model.get("batch_norm")), Dropout: d.float32(model.get("dropout")),
			Depth: d.int(model.get("depth")), Width: d.int(model.get("width")), Patch: d.int(model.get("patch")),
			Layers: d.int(model.get("layers")), Heads: d.int(model.get("heads")),
		},
		DatasetPath: d.text(root.get("dataset_path")),
		Dataset: DatasetOptions{
			Task: d.text(options.get("task")), Target: d.text(options.get("target")),
			ValidationFraction: d.float(options.get("validation_fraction")),
			Tokenizer:          d.text(options.get("tokenizer")), Vocabulary: d.int(options.get("vocabulary")),
			Context: d.int(options.get("context")),
		},
		Config: TrainingConfig{
			BatchSize: d.int(config.get("batch_size")), LearningRate: d.float32(config.get("learning_rate")),
			Epochs:    d.uint(config.get("epochs")),
			Optimizer: d.optimizer(config.get("optimizer")), Schedule: d.schedule(config.get("schedule")),
			Seed: d.uint(config.get("seed")), Shards: d.int(config.get("shards")),
			CheckpointInterval:   d.uint(config.get("checkpoint_interval")),
			GradientAccumulation: d.int(config.get("gradient_accumulation")),
			ClipNorm:             d.float32(config.get("clip_norm")), LabelSmoothing: d.float32(config.get("label_smoothing")),
			EvalInterval: d.uint(config.get("eval_interval")), Precision: d.text(config.get("precision")),
			Devices: d.int(config.get("devices")),
		},
		Job: JobOptions{
			Priority: d.signed(job.get("priority")), Owner: d.text(job.get("owner")), Group: d.text(job.get("group")),
			After: d.texts(job.get("after")), MaxDuration: d.duration(job.get("max_duration")), Labels: d.texts(job.get("labels")),
		},
	}
	augmentation, stopping := config.get("augmentation"), config.get("early_stopping")
	r.Config.Augmentation = Augmentation{Flip: d.bool(augmentation.get("flip")), Crop: d.int(augmentation.get("crop"))}
	r.Config.EarlyStopping = EarlyStopping{Patience: d.uint(stopping.get("patience")), MinDelta: d.float(stopping.get("min_delta"))}
	return r, d.errs
}

func (d *decoder) architecture(n *node) ModelArchitecture {
	if n == nil {
		return ModelArchitecture{}
	}
	if n.kind != list {
		return ModelArchitecture{Name: n.value}
	}
	d.schema = readSchema()
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

func (d *decoder) optimizer(n *node) Optimizer {
	if n != nil && n.kind != mapping {
		return Optimizer{Name: n.value}
	}
	return Optimizer{
		Name: d.text(n.get("name")), Momentum: d.float32(n.get("momentum")), Nesterov: d.bool(n.get("nesterov")),
		Beta1: d.float32(n.get("beta1")), Beta2: d.float32(n.get("beta2")), Epsilon: d.float32(n.get("epsilon")),
		WeightDecay: d.float32(n.get("weight_decay")),
	}
}

func (d *decoder) schedule(n *node) Schedule {
	if n != nil && n.kind != mapping {
		return Schedule{Name: n.value}
	}
	return Schedule{
		Name: d.text(n.get("name")), WarmupSteps: d.uint(n.get("warmup_steps")), MinFactor: d.float(n.get("min_factor")),
		Cycles: d.uint(n.get("cycles")), Power: d.float(n.get("power")), StepSize: d.uint(n.get("step_size")),
		Gamma: d.float(n.get("gamma")), Patience: d.uint(n.get("patience")), Threshold: d.float(n.get("threshold")),
	}
}

func (d *decoder) fail(n *node, problem, fix string) {
	d.errs = append(d.errs, d.document.fail(n.at, RequestError{Field: n.field, Value: shorten(n.written), Problem: problem, Fix: fix}))
}

func (d *decoder) text(n *node) string {
	if n == nil {
		return ""
	}
	return n.value
}

func (d *decoder) bool(n *node) bool { return n != nil && n.value == "true" }

func (d *decoder) uint(n *node) uint64 {
	if n == nil {
		return 0
	}
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

// signed returns a whole number that may be negative.
func (d *decoder) signed(n *node) int {
	if n == nil || !strings.HasPrefix(n.value, "-") {
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

// ints returns nil for an absent list only.
func (d *decoder) ints(n *node) []int {
	if n == nil {
		return nil
	}
	out := make([]int, len(n.items))
	for i, item := range n.items {
		out[i] = d.int(item)
	}
	return out
}

func (d *decoder) float(n *node) float64 {
	if n == nil {
		return 0
	}
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

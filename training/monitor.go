package training

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"reprise/dataset"
	"reprise/fault"
	"reprise/internal/figures"
	"reprise/internal/spelling"
	"reprise/metrics"
)

// MonitorValLoss names the validation loss, which is what a run is judged by if it says
// nothing else.
const MonitorValLoss = "val_loss"

// longestClassName is how many characters of a class's name are recorded.
const longestClassName = 100

// RecordedClassNames returns the names of the classes of a data set as figures have them.
func RecordedClassNames(data *dataset.Dataset) []string {
	names := data.ClassNames()
	for i, name := range names {
		names[i] = figures.Truncate(name, longestClassName)
	}
	return names
}

// Monitored is the value of the figure that a run is judged by, if it is another than the
// validation loss. The zero value is absent; a figure may also be undefined, which is null
// in JSON.
type Monitored struct {
	value              float64
	recorded, isNumber bool
}

// MonitoredOf returns the value of a figure; nil is an undefined one.
func MonitoredOf(v *float64) Monitored {
	if v == nil || *v-*v != 0 {
		return Monitored{recorded: true}
	}
	return Monitored{value: *v, recorded: true, isNumber: true}
}

// Value returns the figure, and false if it is absent or undefined.
func (m Monitored) Value() (float64, bool) { return m.value, m.isNumber }

// IsZero reports whether no figure is recorded, not even as undefined.
func (m Monitored) IsZero() bool { return !m.recorded }

// MarshalJSON returns a number, or null for an undefined figure.
func (m Monitored) MarshalJSON() ([]byte, error) {
	if !m.isNumber {
		return []byte("null"), nil
	}
	return json.Marshal(m.value)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Monitored) UnmarshalJSON(raw []byte) error {
	var v *float64
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	*m = MonitoredOf(v)
	return nil
}

// String returns the number, or "undefined".
func (m Monitored) String() string {
	if !m.isNumber {
		return "undefined"
	}
	return figures.Metric(m.value)
}

// Judged returns what an evaluation has to record as the monitored figure, as far as its
// accuracy and whether a figure is monitored determine that.
func (o Options) Judged(m Monitored, accuracy float64) Monitored {
	switch {
	case o.Monitor == "":
		return Monitored{}
	case o.Monitor == "accuracy":
		return MonitoredOf(&accuracy)
	case m.IsZero():
		return MonitoredOf(nil)
	}
	return m
}

// BestFigure says what the best checkpoint of a run has: "the lowest validation loss", or
// "the highest f1_macro" for the monitor of that name.
func BestFigure(monitor string) string {
	switch {
	case monitor == "" || monitor == MonitorValLoss:
		return "the lowest validation loss"
	case metrics.LowerIsBetter(monitor):
		return "the lowest " + monitor
	}
	return "the highest " + monitor
}

// Reason says why training has ended: "no validation loss below 0.25, which was reached at
// step 1,200".
func (e EarlyStopped) Reason() string {
	name, than := "validation loss", "below"
	if e.Monitor != "" {
		if name = e.Monitor; e.BestStep == 0 {
			return name + " was never defined"
		}
		if !metrics.LowerIsBetter(name) {
			than = "above"
		}
	}
	return fmt.Sprintf("no %s %s %s, which was reached at step %s", name, than, figures.Metric(e.Best), figures.Thousands(e.BestStep))
}

// cost returns what an evaluation is judged by, so that a lower one is better; it is not a
// number where the monitored figure is undefined.
func (o Options) cost(valLoss float64, m Monitored) float64 {
	if o.Monitor == "" {
		return valLoss
	}
	v, ok := m.Value()
	switch {
	case !ok:
		return math.NaN()
	case metrics.LowerIsBetter(o.Monitor):
		return v
	}
	return -v
}

// monitored returns the figure that has a cost; 0 for one that has never been defined.
func (o Options) monitored(cost float64) float64 {
	switch {
	case math.IsInf(cost, 0):
		return 0
	case o.Monitor == "" || metrics.LowerIsBetter(o.Monitor):
		return cost
	}
	return 0 - cost
}

// measure says what costs are, for costs that must not be compared with others; "" is the
// validation loss that a task has by default.
func (o Options) measure() string {
	loss := o.Loss.WithDefaults()
	name := string(loss.Name)
	for _, constant := range []float32{loss.Gamma, loss.Delta} {
		if constant != 0 {
			name += "-" + strconv.FormatFloat(float64(constant), 'g', -1, 32)
		}
	}
	switch {
	case name == "":
		return o.Monitor
	case o.Monitor == "":
		return name
	}
	return o.Monitor + " " + name
}

// fitMonitor fails with a *fault.FieldError for a monitored figure that the data does not
// have. It is found by computing all figures of a model that is always right: what is
// undefined even then is undefined for any model.
func (o Options) fitMonitor(data *dataset.Dataset) error {
	if o.Monitor == "" || o.Monitor == MonitorValLoss {
		return nil
	}
	bad := func(problem, fix string) error {
		return &fault.FieldError{Field: "config.monitor", Value: o.Monitor, Problem: problem, Fix: fix}
	}
	f, err := perfectFigures(data)
	if err != nil {
		return bad("cannot be computed: "+err.Error(), "leave it out, or correct the data")
	}
	found, ok := f.Find(o.Monitor)
	if ok && found.Value == nil {
		return bad("is not defined on the validation split, "+whyUndefined(o.Monitor, f), "use another figure, or another split")
	}
	if ok {
		return nil
	}
	names := []string{MonitorValLoss}
	var all []string
	single := ""
	for _, n := range f.Named() {
		if figure, of, dotted := strings.Cut(n.Name, "."); dotted && len(f.Targets) < 2 {
			if single == "" && f.Classification != nil {
				single = fmt.Sprintf("; and precision, recall, f1, roc_auc and pr_auc of a class, as in %s.%s", figure, of)
			}
		} else {
			names = append(names, n.Name)
		}
		all = append(all, n.Name)
	}
	fix := "use one of them"
	for _, suffix := range []string{"_macro", "." + firstTarget(f)} {
		if _, ok := f.Find(o.Monitor + suffix); ok {
			return bad("is not a figure of this task; it has "+strings.Join(names, ", ")+single, fmt.Sprintf("did you mean %s?", o.Monitor+suffix))
		}
	}
	if near, ok := spelling.Nearest(o.Monitor, append(names, all...)); ok {
		fix = fmt.Sprintf("did you mean %s?", near)
	}
	return bad("is not a figure of this task; it has "+strings.Join(names, ", ")+single, fix)
}

func firstTarget(f metrics.Figures) string {
	if len(f.Targets) == 0 {
		return ""
	}
	return f.Targets[0].Name
}

// whyUndefined says why a figure of a model that is always right is undefined.
func whyUndefined(name string, f metrics.Figures) string {
	var omitted []string
	if f.Classification != nil {
		omitted = f.Classification.Omitted
	}
	for _, target := range f.Targets {
		omitted = append(omitted, target.Omitted...)
	}
	figure, of, dotted := strings.Cut(name, ".")
	switch {
	case figure == "mape":
		return "where a target is 0"
	case figure == "r2" && len(omitted) == 0:
		return "where the target does not vary"
	case len(omitted) > 0:
		return "which leaves out " + strings.Join(omitted, "; ")
	case dotted:
		return fmt.Sprintf("where class %q does not occur, or no other", of)
	}
	return "where only one class occurs"
}

// perfectFigures returns the figures of a model that is always right on the validation
// split. Those of a text are only named.
func perfectFigures(data *dataset.Dataset) (metrics.Figures, error) {
	var f metrics.Figures
	switch data.Task() {
	case dataset.NextToken:
		one := 1.0
		f.Text = &metrics.Text{Accuracy: &one, LogLoss: &one, Perplexity: &one, BitsPerByte: &one}
	case dataset.Regression:
		targets := data.Targets()
		tallies := make([]metrics.ValueTally, len(targets))
		var truth []float64
		for i := range data.Len(dataset.Validation) {
			truth = data.AppendTargets(truth[:0], dataset.Validation, i)
			for j, v := range truth {
				if err := tallies[j].Add(v, v); err != nil {
					return f, err
				}
			}
		}
		for j, target := range targets {
			f.Targets = append(f.Targets, metrics.Target{Name: target.Name, Regression: tallies[j].Figures()})
		}
	case dataset.Classification:
		names := RecordedClassNames(data)
		tally, certain := metrics.NewClassTally(len(names)), make([]float64, len(names))
		for i := range data.Len(dataset.Validation) {
			label := int(data.Label(dataset.Validation, i))
			certain[label] = 1
			err := tally.AddProbabilities(label, certain)
			certain[label] = 0
			if err != nil {
				return f, err
			}
		}
		c := tally.Figures()
		for i := range c.Classes {
			c.Classes[i].Name = names[i]
		}
		f.Classification = &c
	}
	return f, nil
}

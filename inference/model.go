package inference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"reprise/dataset"
	"reprise/dataset/preprocess"
	"reprise/dataset/table"
	"reprise/export/bundle"
	"reprise/fault"
	"reprise/internal/detmath"
	"reprise/kernel/cpu"
	"reprise/nn"
)

// batchRows is how many rows are predicted at a time. It changes no bit.
const batchRows = 256

// Config says how a Model computes. It changes the speed and not a single bit. The zero
// value uses everything that the machine has.
type Config struct {
	// Threads is the number of threads; 0 is one per processor.
	Threads int
	// Features is the instruction set, such as avx2; "" is the best one.
	Features string
	// Images bounds the memory in which images are decoded; nil for a bound of the
	// model's own.
	Images *dataset.ImageRoom
}

// Model is a trained model that predicts. It is safe for concurrent use; predictions of
// several goroutines take turns.
type Model struct {
	bundle  bundle.Bundle
	encoder *preprocess.Encoder
	images  *dataset.ImageRoom
	inputs  int // of a row
	outputs int

	mu      sync.Mutex // held around what follows
	backend *cpu.Backend
	trainer *nn.Trainer
	values  []float32 // of the outputs of a batch
}

// Open returns the model of a bundle: of a folder, or of a .tar file. It fails with the
// errors of bundle.Open, and for a language model, which does not predict rows. The caller
// must call Close.
func Open(path string) (*Model, error) { return OpenWith(path, Config{}) }

// OpenWith is Open with a Config.
func OpenWith(path string, c Config) (*Model, error) {
	b, err := bundle.Open(path)
	if err != nil {
		return nil, err
	}
	return New(b, c)
}

// New returns the model of a bundle that was read.
func New(b bundle.Bundle, c Config) (*Model, error) {
	if b.Preprocessing.Text != nil {
		return nil, fault.New(fault.Invalid, "the model of run %s continues text, and has no rows to predict; use reprise generate", b.Lineage.Run)
	}
	m := &Model{bundle: b, images: c.Images}
	if m.images == nil {
		m.images = dataset.NewImageRoom(0)
	}
	var err error
	if m.encoder, err = preprocess.NewEncoder(b.Preprocessing); err != nil {
		return nil, err
	}
	config := nn.PlanConfig{BatchSize: 1, EvalBatchSize: batchRows, Optimizer: nn.Optimizer{Name: nn.SGD}, PredictionOnly: true}
	if m.Quantities() != nil {
		config.Objective = nn.MeanSquaredError
	}
	plan, err := nn.NewPlan(b.Architecture, config)
	if err != nil {
		return nil, err
	}
	m.inputs, m.outputs = plan.Features(), plan.Outputs()
	m.values = make([]float32, batchRows*m.outputs)
	compute := cpu.Config{Threads: c.Threads}
	if c.Features != "" {
		if compute.Features, err = cpu.ParseFeatures(c.Features); err != nil {
			return nil, err
		}
	}
	if m.backend, err = cpu.NewBackend(compute); err != nil {
		return nil, err
	}
	if m.trainer, err = nn.NewTrainer(m.backend, plan); err != nil {
		m.backend.Close()
		return nil, err
	}
	if err := m.trainer.Load(nn.State{Parameters: b.Weights}); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close frees the model's memory and stops its threads. Predictions fail from then on.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trainer.Close()
	m.backend.Close()
}

// Lineage says where the model comes from.
func (m *Model) Lineage() bundle.Lineage { return m.bundle.Lineage }

// Preprocessing returns the document by which inputs are made, which must not be changed.
func (m *Model) Preprocessing() preprocess.Document { return m.bundle.Preprocessing }

// TakesImages reports whether the model predicts from bytes such as those of images, and
// not from the rows of a table.
func (m *Model) TakesImages() bool { return m.bundle.Preprocessing.Pixels != nil }

// Classes returns the names of the classes; nil for a regression.
func (m *Model) Classes() []string { return slices.Clone(m.bundle.Preprocessing.Target.Classes) }

// Quantities returns the names of the targets of a regression; nil for a classification.
func (m *Model) Quantities() (names []string) {
	for _, q := range m.bundle.Preprocessing.Target.Quantities {
		names = append(names, q.Name)
	}
	return names
}

// Prediction is what a model says of a row.
type Prediction struct {
	// Outputs are those of the network: logits of the classes, or the targets as they were
	// scaled in training.
	Outputs []float32
	// Class is the name of the likeliest class, the first of equal ones, and Index its place
	// among Model.Classes. Probabilities has one for each class: the softmax of the logits in
	// float64.
	Class         string
	Index         int
	Probabilities []float64
	// Values are the targets of a regression in their own units.
	Values []float64
}

// prediction says what outputs mean. It fails where they are not finite.
func (m *Model) prediction(outputs []float32) (Prediction, error) {
	p := Prediction{Outputs: slices.Clone(outputs)}
	for _, v := range outputs {
		if v-v != 0 {
			return p, fault.New(fault.Invalid, "an output of the model is %v: its inputs are out of scale", v)
		}
	}
	target := m.bundle.Preprocessing.Target
	for i, q := range target.Quantities {
		v := float64(float64(outputs[i])*q.Scale.StandardDeviation) + q.Scale.Mean
		if v-v != 0 {
			return p, fault.New(fault.Invalid, "the model predicts a %s of %v: its inputs are out of scale", q.Name, v)
		}
		p.Values = append(p.Values, v)
	}
	if target.Classes == nil {
		return p, nil
	}
	best := 0
	for i, v := range outputs {
		if v > outputs[best] {
			best = i
		}
	}
	p.Class, p.Index, p.Probabilities = target.Classes[best], best, Softmax(outputs)
	return p, nil
}

// Softmax returns the probabilities that logits, at least one, stand for: computed in
// float64 and summed in their order.
func Softmax(logits []float32) []float64 {
	out, largest := make([]float64, len(logits)), slices.Max(logits)
	total := 0.0
	for i, v := range logits {
		out[i] = detmath.Exp(float64(v) - float64(largest))
		total += out[i]
	}
	for i := range out {
		out[i] /= total
	}
	return out
}

// predict appends the predictions for scaled inputs, row by row.
func (m *Model) predict(list []Prediction, inputs []float32) ([]Prediction, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(inputs) > 0 {
		rows := min(len(inputs)/m.inputs, batchRows)
		values := m.values[:rows*m.outputs]
		if err := m.trainer.Predict(nn.Batch{Rows: rows, Inputs: inputs[:rows*m.inputs]}, values); err != nil {
			return list, err
		}
		inputs = inputs[rows*m.inputs:]
		for i := range rows {
			p, err := m.prediction(values[i*m.outputs : (i+1)*m.outputs])
			if err != nil {
				return list, err
			}
			list = append(list, p)
		}
	}
	return list, nil
}

// Row is a row of a table: texts, numbers, booleans and times by column. What is absent or
// nil is a missing cell.
type Row map[string]any

// Predict returns a prediction for each row. It fails with a *fault.FieldError for columns
// that the model needs and no row has, and for those that it does not know; and with a
// *fault.DataError for a cell that is not what its column was in training.
func (m *Model) Predict(rows []Row) ([]Prediction, error) {
	columns := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			columns[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(columns))
	if len(rows) == 0 {
		return nil, nil
	}
	binding, err := m.bind(names)
	if err != nil {
		return nil, err
	}
	inputs := make([]float32, len(rows)*m.inputs)
	cells := make([]table.Cell, len(names))
	for i, row := range rows {
		for j, name := range names {
			if cells[j], err = cellOf(row[name]); err != nil {
				return nil, &fault.DataError{File: "rows", Row: i + 1, Column: name, Problem: err.Error(), Fix: "use a text, a number, a boolean, a time or nil"}
			}
		}
		if err := binding.Row(table.Place{File: "rows", Row: i + 1}, cells, inputs[i*m.inputs:(i+1)*m.inputs]); err != nil {
			return nil, err
		}
	}
	return m.predict(nil, inputs)
}

// bind is Bind for callers that name the columns themselves: one too many is a mistake.
func (m *Model) bind(names []string) (*preprocess.Binding, error) {
	binding, unknown, err := m.Bind(names)
	if err == nil && len(unknown) > 0 {
		err = &fault.FieldError{Field: "columns", Value: strings.Join(unknown, ", "), Problem: "not known to the model", Fix: "leave out what it was not trained with"}
	}
	return binding, err
}

// Bind returns what reads the rows of a table with these columns, in any order, and those
// that the model does not know. It fails with a *fault.FieldError for columns that the
// model needs and the table lacks, and for a model that takes images.
func (m *Model) Bind(columns []string) (*preprocess.Binding, []string, error) {
	if m.TakesImages() {
		return nil, nil, &fault.FieldError{Field: "columns", Value: "a table", Problem: fmt.Sprintf("does not fit a model of images of shape %v", m.bundle.Preprocessing.Pixels.Shape), Fix: "give it images"}
	}
	return m.encoder.Bind(columns)
}

// PredictImages returns a prediction for each image: its bytes as they are in the files
// that the model was trained on, row by row, with the channels of a pixel together.
func (m *Model) PredictImages(images [][]byte) ([]Prediction, error) {
	if !m.TakesImages() {
		return nil, &fault.FieldError{Field: "images", Value: "an image", Problem: "does not fit a model of tables", Fix: "give it rows"}
	}
	var list []Prediction
	for chunk := range slices.Chunk(images, batchRows) {
		inputs := make([]float32, len(chunk)*m.inputs)
		for i, image := range chunk {
			if len(image) != m.inputs {
				return nil, &fault.FieldError{Field: fmt.Sprintf("images[%d]", len(list)+i), Value: fmt.Sprintf("%d bytes", len(image)),
					Problem: fmt.Sprintf("are not an image of shape %v", m.bundle.Preprocessing.Pixels.Shape), Fix: "use images of the size that the model was trained on"}
			}
			m.bundle.Preprocessing.Pixels.Scale(image, inputs[i*m.inputs:(i+1)*m.inputs])
		}
		var err error
		if list, err = m.predict(list, inputs); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// PredictTable calls emit with the cells and the prediction of each row of a table, in
// order. It holds a few hundred rows at a time. It fails with the errors of the reader, of
// the binding and of emit.
func (m *Model) PredictTable(ctx context.Context, rows table.Reader, b *preprocess.Binding, emit func(at table.Place, row []table.Cell, p Prediction) error) error {
	width := len(rows.Columns())
	cells, places := make([]table.Cell, batchRows*width), make([]table.Place, batchRows)
	inputs := make([]float32, batchRows*m.inputs)
	var list []Prediction
	for {
		n := 0
		var failed error
		for n < batchRows && failed == nil {
			row := cells[n*width : (n+1)*width]
			if places[n], failed = rows.Next(ctx, row); failed == nil {
				failed = b.Row(places[n], row, inputs[n*m.inputs:(n+1)*m.inputs])
			}
			if failed == nil {
				n++
			}
		}
		var err error
		if list, err = m.predict(list[:0], inputs[:n*m.inputs]); err != nil {
			return err
		}
		for i, p := range list {
			if err := emit(places[i], cells[i*width:(i+1)*width], p); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(failed, io.EOF):
			return nil
		case failed != nil:
			return failed
		}
	}
}

// cellOf returns a value as a table has it.
func cellOf(v any) (table.Cell, error) {
	switch v := v.(type) {
	case nil:
		return table.Cell{}, nil
	case string:
		return table.Cell{Kind: table.Text, Text: v}, nil
	case int:
		return table.Cell{Kind: table.Integer, Integer: int64(v)}, nil
	case int32:
		return table.Cell{Kind: table.Integer, Integer: int64(v)}, nil
	case int64:
		return table.Cell{Kind: table.Integer, Integer: v}, nil
	case float32:
		return numberCell(float64(v)), nil
	case float64:
		return numberCell(v), nil
	case bool:
		c := table.Cell{Kind: table.Boolean}
		if v {
			c.Integer = 1
		}
		return c, nil
	case time.Time:
		return table.Cell{Kind: table.Time, Time: v}, nil
	}
	return table.Cell{}, fmt.Errorf("a %T is not a cell", v)
}

func numberCell(v float64) table.Cell {
	if math.IsNaN(v) {
		return table.Cell{}
	}
	return table.Cell{Kind: table.Number, Number: v}
}

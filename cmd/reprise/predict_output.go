package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"reprise/api"
)

// The outputs of predictions, beside formatJSON.
const (
	formatCSV     = "csv"
	formatLines   = "jsonl"
	formatParquet = "parquet"
)

func checkPredictionFormat(format string) error {
	switch format {
	case formatCSV, formatJSON, formatLines, formatParquet:
		return nil
	}
	return badFormat(format, formatCSV, formatJSON, formatLines, formatParquet)
}

// predictionWriter writes predictions. Numbers have the fewest digits that give the same
// bits back.
type predictionWriter interface {
	write(p api.Prediction) error
	// end writes what follows the last prediction.
	end() error
}

func newPredictionWriter(w io.Writer, format string, h api.PredictionHead) (predictionWriter, error) {
	h.Column = cmp.Or(h.Column, "class")
	switch format {
	case formatParquet:
		return newParquetPredictions(w, h)
	case formatCSV:
		out := csv.NewWriter(w)
		return &csvPredictions{csv: out, head: h}, out.Write(predictionColumns(h))
	}
	return newJSONPredictions(w, format == formatJSON, h)
}

// imageColumn returns the name of the column with the names of images, which no other has; ""
// for none.
func imageColumn(h api.PredictionHead) string {
	if !h.Images {
		return ""
	}
	name := "image"
	for name == h.Column || slices.Contains(h.Quantities, name) {
		name += "_file"
	}
	return name
}

// predictionColumns returns the names of the columns of predictions.
func predictionColumns(h api.PredictionHead) []string {
	var names []string
	if h.Images {
		names = append(names, imageColumn(h))
	}
	if len(h.Classes) == 0 {
		return append(names, h.Quantities...)
	}
	names = append(names, h.Column)
	for _, class := range h.Classes {
		names = append(names, "p("+class+")")
	}
	return names
}

// csvPredictions writes a line for each prediction.
type csvPredictions struct {
	csv   *csv.Writer
	head  api.PredictionHead
	cells []string
}

func (o *csvPredictions) write(p api.Prediction) error {
	o.cells = o.cells[:0]
	if o.head.Images {
		o.cells = append(o.cells, string(p.Image))
	}
	if len(o.head.Classes) > 0 {
		o.cells = append(o.cells, o.head.Classes[p.Class])
	}
	for _, v := range p.Values {
		o.cells = append(o.cells, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return o.csv.Write(o.cells)
}

func (o *csvPredictions) end() error {
	o.csv.Flush()
	return o.csv.Error()
}

// jsonPredictions writes an object for each prediction, in a list or on lines of their own,
// with names in the order of the model.
type jsonPredictions struct {
	w        io.Writer
	list     bool
	rows     int
	image    string   // the name of the column of images as JSON; "" for none
	label    string   // the name of the class's column
	names    []string // of the classes, or else of the values, each as JSON
	quantity bool
}

func newJSONPredictions(w io.Writer, list bool, h api.PredictionHead) (*jsonPredictions, error) {
	o := &jsonPredictions{w: w, list: list, quantity: len(h.Classes) == 0}
	label, err := json.Marshal(h.Column)
	if err != nil {
		return nil, err
	}
	o.label = string(label)
	if name := imageColumn(h); name != "" {
		o.image = strconv.Quote(name)
	}
	for _, name := range slices.Concat(h.Classes, h.Quantities) {
		raw, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		o.names = append(o.names, string(raw))
	}
	return o, nil
}

func (o *jsonPredictions) write(p api.Prediction) error {
	parts := make([]string, len(p.Values))
	for i, v := range p.Values {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		parts[i] = o.names[i] + ":" + string(value)
	}
	line := "{" + strings.Join(parts, ",") + "}"
	if !o.quantity {
		line = "{" + o.label + ":" + o.names[p.Class] + `,"probabilities":` + line + "}"
	}
	if o.image != "" {
		name, err := json.Marshal(p.Image)
		if err != nil {
			return err
		}
		line = "{" + o.image + ":" + string(name) + "," + line[1:]
	}
	o.rows++
	switch {
	case !o.list:
		line += "\n"
	case o.rows == 1:
		line = "[\n" + line
	default:
		line = ",\n" + line
	}
	_, err := io.WriteString(o.w, line)
	return err
}

func (o *jsonPredictions) end() error {
	last := "\n]\n"
	switch {
	case !o.list:
		return nil
	case o.rows == 0:
		last = "[]\n"
	}
	_, err := io.WriteString(o.w, last)
	return err
}

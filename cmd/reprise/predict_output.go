package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"reprise/inference"
)

// The outputs of predictions, beside formatJSON.
const (
	formatCSV   = "csv"
	formatLines = "jsonl"
)

func checkPredictionFormat(format string) error {
	switch format {
	case formatCSV, formatJSON, formatLines:
		return nil
	}
	return badFormat(format, formatCSV, formatJSON, formatLines)
}

// predictionWriter writes predictions. Numbers have the fewest digits that give the same
// bits back.
type predictionWriter struct {
	w       io.Writer
	csv     *csv.Writer
	format  string
	label   string // of the class
	classes []string
	targets []string
	rows    int
	cells   []string
	image   string // the name of the file that the prediction is for; "" for none
}

func newPredictionWriter(w io.Writer, format string, m *inference.Model) *predictionWriter {
	return &predictionWriter{
		w: w, csv: csv.NewWriter(w), format: format,
		label: cmp.Or(m.Preprocessing().Target.Column, "class"), classes: m.Classes(), targets: m.Quantities(),
	}
}

// header returns the names of the columns.
func (o *predictionWriter) header() []string {
	var names []string
	if o.image != "" {
		names = append(names, "image")
	}
	if o.classes == nil {
		return append(names, o.targets...)
	}
	names = append(names, o.label)
	for _, class := range o.classes {
		names = append(names, "p("+class+")")
	}
	return names
}

func (o *predictionWriter) write(p inference.Prediction) error {
	o.rows++
	if o.format == formatCSV {
		if o.rows == 1 {
			if err := o.csv.Write(o.header()); err != nil {
				return err
			}
		}
		o.cells = o.cells[:0]
		if o.image != "" {
			o.cells = append(o.cells, o.image)
		}
		if o.classes != nil {
			o.cells = append(o.cells, p.Class)
		}
		for _, list := range [][]float64{p.Probabilities, p.Values} {
			for _, v := range list {
				o.cells = append(o.cells, strconv.FormatFloat(v, 'g', -1, 64))
			}
		}
		return o.csv.Write(o.cells)
	}
	line, err := o.object(p)
	if err != nil {
		return err
	}
	if o.image != "" {
		name, err := json.Marshal(o.image)
		if err != nil {
			return err
		}
		line = `{"image":` + string(name) + "," + line[1:]
	}
	before := ""
	if o.format == formatJSON {
		before = ",\n"
		if o.rows == 1 {
			before = "[\n"
		}
	} else {
		line += "\n"
	}
	_, err = io.WriteString(o.w, before+line)
	return err
}

// object returns a prediction as an object of JSON, with names in the order of the model.
func (o *predictionWriter) object(p inference.Prediction) (string, error) {
	fields := func(names []string, values []float64) (string, error) {
		parts := make([]string, len(names))
		for i, name := range names {
			key, err := json.Marshal(name)
			if err != nil {
				return "", err
			}
			value, err := json.Marshal(values[i])
			if err != nil {
				return "", err
			}
			parts[i] = string(key) + ":" + string(value)
		}
		return "{" + strings.Join(parts, ",") + "}", nil
	}
	if o.classes == nil {
		return fields(o.targets, p.Values)
	}
	label, err := json.Marshal(o.label)
	if err != nil {
		return "", err
	}
	class, err := json.Marshal(p.Class)
	if err != nil {
		return "", err
	}
	probabilities, err := fields(o.classes, p.Probabilities)
	return "{" + string(label) + ":" + string(class) + `,"probabilities":` + probabilities + "}", err
}

// end writes what follows the last prediction.
func (o *predictionWriter) end() error {
	switch {
	case o.format == formatCSV && o.rows == 0:
		if err := o.csv.Write(o.header()); err != nil {
			return err
		}
	case o.format == formatJSON && o.rows == 0:
		_, err := io.WriteString(o.w, "[]\n")
		return err
	case o.format == formatJSON:
		_, err := io.WriteString(o.w, "\n]\n")
		return err
	}
	o.csv.Flush()
	return o.csv.Error()
}

// quotedNames lists names of columns.
func quotedNames(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = strconv.Quote(name)
	}
	return "the columns " + andList(list)
}

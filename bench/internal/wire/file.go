package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Tensor is a named array, row-major. Labels and tokens are whole numbers in
// float32, which holds them exactly.
type Tensor struct {
	Name  string    `json:"name"`
	Shape []int     `json:"shape"`
	Data  []float32 `json:"-"`
}

// File is what a peer loads: one line of JSON, then the tensors' raw float32
// values in the same order.
type File struct {
	// Work is the name of the work, such as "mlp".
	Work string `json:"work"`
	// LearningRate of the work's optimiser.
	LearningRate float32 `json:"learning_rate"`
	// Rates, for train, are the learning rates of the steps, one per batch.
	Rates []float32 `json:"rates,omitempty"`
	// Tensors are the parameters, then "x" and "y": some batches, stacked along
	// a first axis, that the steps take in turn. For train, batches of
	// "validation_x" and "validation_y" follow.
	Tensors []Tensor `json:"tensors"`
}

// Tensor returns the tensor of that name, or the zero Tensor.
func (f *File) Tensor(name string) Tensor {
	for _, t := range f.Tensors {
		if t.Name == name {
			return t
		}
	}
	return Tensor{}
}

// Parameters returns the tensors that are not data.
func (f *File) Parameters() []Tensor {
	var out []Tensor
	for _, t := range f.Tensors {
		switch t.Name {
		case "x", "y", "validation_x", "validation_y":
		default:
			out = append(out, t)
		}
	}
	return out
}

// Write writes the file.
func (f *File) Write(path string) error {
	header, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return create(path, func(w io.Writer) error {
		if _, err := w.Write(append(header, '\n')); err != nil {
			return err
		}
		for _, t := range f.Tensors {
			if err := binary.Write(w, binary.LittleEndian, t.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadFile reads what Write wrote.
func ReadFile(path string) (_ *File, err error) {
	source, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	r := bufio.NewReader(source)
	header, err := r.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("header of %s: %w", path, err)
	}
	var f File
	if err := json.Unmarshal(header, &f); err != nil {
		return nil, fmt.Errorf("header of %s: %w", path, err)
	}
	for i, t := range f.Tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		f.Tensors[i].Data = make([]float32, n)
		if err := binary.Read(r, binary.LittleEndian, f.Tensors[i].Data); err != nil {
			return nil, fmt.Errorf("tensor %s of %s: %w", t.Name, path, err)
		}
	}
	return &f, nil
}

// WriteFloats writes raw float32.
func WriteFloats(path string, lists ...[]float32) error {
	return create(path, func(w io.Writer) error {
		for _, values := range lists {
			if err := binary.Write(w, binary.LittleEndian, values); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadFloats reads raw float32.
func ReadFloats(path string) ([]float32, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(raw)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return values, nil
}

func create(path string, write func(io.Writer) error) (err error) {
	target, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	w := bufio.NewWriterSize(target, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

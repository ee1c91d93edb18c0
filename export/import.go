package export

import (
	"reprise/nn"
	"reprise/tensor"
)

// PyTorch knows how the parameters of an architecture are called and laid out in the files
// that Files writes for PyTorch, so that they can be read back.
type PyTorch struct {
	names map[string]string // of parameters, by those in the file
	order map[string]order  // of parameters, by their names
}

// NewPyTorch returns what is known of an architecture. Errors are those of
// nn.Architecture.Parameters.
func NewPyTorch(arch nn.Architecture) (PyTorch, error) {
	specs, err := arch.Parameters()
	if err != nil {
		return PyTorch{}, err
	}
	l := layoutsOf("layers", arch.Layers)
	p := PyTorch{map[string]string{}, map[string]order{}}
	for _, spec := range specs {
		name, o := l.of(spec.Name)
		p.names[name], p.order[spec.Name] = spec.Name, o
	}
	return p, nil
}

// Undo returns a tensor of a file under the name and in the layout that the parameter has
// in Reprise; one that belongs to no parameter comes back as it is. A tensor without data
// is turned as well. The data of the result may be those of t.
func (p PyTorch) Undo(t tensor.Tensor) tensor.Tensor {
	name, ok := p.names[t.Name]
	if !ok {
		return t
	}
	t.Name = name
	return p.order[name].undo(t)
}

package work

import (
	"fmt"

	"reprise/bench/internal/wire"
)

// The GPT's sizes.
const (
	vocabulary = 96
	context    = 128
	width      = 128
	blocks     = 4
)

// gptParameters lists the parameters as peers/torch/models.py names them.
func gptParameters() []wire.Tensor {
	list := parameters{}
	list.add("tokens.weight", vocabulary, width)
	list.add("positions.weight", context, width)
	for i := range blocks {
		name := fmt.Sprintf("blocks.%d.", i)
		list.norm(name+"norm1", width)
		list.linear(name+"qkv", 3*width, width)
		list.linear(name+"out", width, width)
		list.norm(name+"norm2", width)
		list.linear(name+"up", 4*width, width)
		list.linear(name+"down", width, 4*width)
	}
	list.norm("norm", width)
	list.add("head.weight", vocabulary, width)
	return list
}

// resnetParameters lists the parameters as peers/torch/models.py names them.
func resnetParameters() []wire.Tensor {
	list := parameters{}
	list.add("conv.weight", 16, 3, 3, 3)
	list.norm("norm", 16)
	in := 16
	for i, out := range []int{16, 32, 64} {
		name := fmt.Sprintf("blocks.%d.", i)
		list.add(name+"conv1.weight", out, 3, 3, in)
		list.norm(name+"norm1", out)
		list.add(name+"conv2.weight", out, 3, 3, out)
		list.norm(name+"norm2", out)
		if in != out {
			list.add(name+"shortcut.weight", out, 1, 1, in)
			list.norm(name+"shortcut_norm", out)
		}
		in = out
	}
	list.linear("head", 10, 64)
	return list
}

type parameters []wire.Tensor

func (p *parameters) add(name string, shape ...int) {
	*p = append(*p, wire.Tensor{Name: name, Shape: shape})
}

func (p *parameters) linear(name string, out, in int) {
	p.add(name+".weight", out, in)
	p.add(name+".bias", out)
}

func (p *parameters) norm(name string, n int) {
	p.add(name+".weight", n)
	p.add(name+".bias", n)
}

// tokens returns sequences and, as labels, each token's successor.
func tokens(random *generator, batch int) (x, y wire.Tensor) {
	shape := []int{batches, batch, context}
	x = wire.Tensor{Shape: shape, Data: make([]float32, batches*batch*context)}
	y = wire.Tensor{Shape: shape, Data: make([]float32, batches*batch*context)}
	next := 0.0
	for i := range x.Data {
		x.Data[i] = float32(next)
		next = float64(int(vocabulary * random.uniform()))
		y.Data[i] = float32(next)
	}
	return x, y
}

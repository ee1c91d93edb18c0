package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// heads of the GPT's attention.
const heads = 4

// named is the weights by name, the linear layers' as [in, units].
type named map[string]*Node

func (p named) linear(x *Node, name string) *Node {
	x = DotGeneral(x, []int{2}, nil, p[name+".weight"], []int{0}, nil)
	if b, ok := p[name+".bias"]; ok {
		x = Add(x, InsertAxes(b, 0, 0))
	}
	return x
}

func (p named) norm(x *Node, name string) *Node {
	x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(x), ReduceMean, -1)
	x = Div(x, Sqrt(AddScalar(variance, 1e-5)))
	return Add(Mul(x, InsertAxes(p[name+".weight"], 0, 0)), InsertAxes(p[name+".bias"], 0, 0))
}

// attention adds -1e9 to what a token must not see.
func (p named) attention(x *Node, name string) *Node {
	d := x.Shape().Dimensions
	qkv := Reshape(p.linear(x, name+".qkv"), d[0], d[1], 3, heads, d[2]/heads)
	part := func(i int) *Node {
		return Squeeze(Slice(qkv, AxisRange(), AxisRange(), AxisElem(i)), 2)
	}
	mask := make([][]float32, d[1])
	for i := range mask {
		mask[i] = make([]float32, d[1])
		for j := i + 1; j < d[1]; j++ {
			mask[i][j] = -1e9
		}
	}
	scores := MulScalar(Einsum("bthd,bshd->bhts", part(0), part(1)), 1/math.Sqrt(float64(d[2]/heads)))
	weights := Softmax(Add(scores, InsertAxes(Const(x.Graph(), mask), 0, 0)), -1)
	y := Reshape(Einsum("bhts,bshd->bthd", weights, part(2)), d...)
	return p.linear(y, name+".out")
}

func gelu(x *Node) *Node {
	inner := MulScalar(Add(x, MulScalar(Mul(x, Square(x)), 0.044715)), math.Sqrt(2/math.Pi))
	return MulScalar(Mul(x, AddScalar(Tanh(inner), 1)), 0.5)
}

// gpt returns the logits [batch, context, vocabulary].
func (p named) gpt(tokens *Node) *Node {
	x := Gather(p["tokens.weight"], InsertAxes(tokens, -1))
	x = Add(x, InsertAxes(p["positions.weight"], 0))
	for i := 0; ; i++ {
		name := fmt.Sprintf("blocks.%d", i)
		if _, ok := p[name+".norm1.weight"]; !ok {
			break
		}
		x = Add(x, p.attention(p.norm(x, name+".norm1"), name))
		x = Add(x, p.linear(gelu(p.linear(p.norm(x, name+".norm2"), name+".up")), name+".down"))
	}
	return p.linear(p.norm(x, "norm"), "head")
}

// isTable reports whether a parameter is looked up by row and not multiplied.
func isTable(name string) bool {
	return strings.HasPrefix(name, "tokens.") || strings.HasPrefix(name, "positions.")
}

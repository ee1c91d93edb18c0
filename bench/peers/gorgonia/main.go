// Command gorgonia is Gorgonia's tape machine as a peer of bench/cmd/peers, for
// the multilayer perceptron.
package main

import (
	"fmt"
	"os"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"reprise/bench/internal/wire"
)

func main() {
	if err := wire.Serve(os.Stdin, os.Stdout, &trainer{}); err != nil {
		fmt.Fprintln(os.Stderr, "gorgonia:", err)
		os.Exit(1)
	}
}

// trainer is the wire.Work.
type trainer struct {
	file    *wire.File
	x, y    []*tensor.Dense // batches; y one-hot
	xn, yn  *G.Node
	cost    *G.Node
	loss    G.Value
	weights G.Nodes
	vm      G.VM
	solver  G.Solver
}

// Load cuts the data into batches.
func (t *trainer) Load(path string) (string, error) {
	var err error
	if t.file, err = wire.ReadFile(path); err != nil {
		return "", err
	}
	x, y := t.file.Tensor("x"), t.file.Tensor("y")
	batch, features := x.Shape[1], x.Shape[2]
	for b := range x.Shape[0] {
		t.x = append(t.x, dense(x.Data[b*batch*features:][:batch*features], batch, features))
		const classes = 10
		hot := make([]float32, batch*classes)
		for i, label := range y.Data[b*batch:][:batch] {
			hot[i*classes+int(label)] = 1
		}
		t.y = append(t.y, dense(hot, batch, classes))
	}
	return "Gorgonia 0.9.18", nil
}

func dense(data []float32, shape ...int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// Reset rebuilds the graph with the loaded weights.
func (t *trainer) Reset() error {
	if t.vm != nil {
		if err := t.vm.Close(); err != nil {
			return err
		}
	}
	g := G.NewGraph()
	t.weights = nil
	t.xn = G.NewMatrix(g, tensor.Float32, G.WithShape(t.x[0].Shape()...), G.WithName("x"))
	t.yn = G.NewMatrix(g, tensor.Float32, G.WithShape(t.y[0].Shape()...), G.WithName("y"))
	h := t.xn
	params := t.file.Parameters()
	for i := 0; i < len(params); i += 2 {
		w, b := t.parameter(g, params[i]), t.parameter(g, params[i+1])
		h = G.Must(G.BroadcastAdd(G.Must(G.Mul(h, w)), b, nil, []byte{0}))
		if i+2 < len(params) {
			h = G.Must(G.Rectify(h))
		}
	}
	// The loss is the mean of log(sum(exp(h))) - h[label]; logits of these works
	// are small enough for exp.
	lse := G.Must(G.Log(G.Must(G.Sum(G.Must(G.Exp(h)), 1))))
	picked := G.Must(G.Sum(G.Must(G.HadamardProd(h, t.yn)), 1))
	t.cost = G.Must(G.Mean(G.Must(G.Sub(lse, picked))))
	G.Read(t.cost, &t.loss)
	if _, err := G.Grad(t.cost, t.weights...); err != nil {
		return err
	}
	t.vm = G.NewTapeMachine(g, G.BindDualValues(t.weights...))
	t.solver = G.NewAdamSolver(G.WithLearnRate(float64(t.file.LearningRate)))
	return nil
}

// parameter returns a weight [units, in] as [in, units], a bias as [1, units].
func (t *trainer) parameter(g *G.ExprGraph, p wire.Tensor) *G.Node {
	units := p.Shape[0]
	in := len(p.Data) / units
	data := make([]float32, len(p.Data))
	for u := range units {
		for i := range in {
			data[i*units+u] = p.Data[u*in+i]
		}
	}
	n := G.NewMatrix(g, tensor.Float32, G.WithShape(in, units), G.WithName(p.Name), G.WithValue(dense(data, in, units)))
	t.weights = append(t.weights, n)
	return n
}

// Step runs the tape once and updates the weights.
func (t *trainer) Step(i int) (float32, error) {
	if err := G.Let(t.xn, t.x[i%len(t.x)]); err != nil {
		return 0, err
	}
	if err := G.Let(t.yn, t.y[i%len(t.y)]); err != nil {
		return 0, err
	}
	if err := t.vm.RunAll(); err != nil {
		return 0, err
	}
	loss := t.loss.Data().(float32)
	if err := t.solver.Step(G.NodesToValueGrads(t.weights)); err != nil {
		return 0, err
	}
	t.vm.Reset()
	return loss, nil
}

package work

import (
	"math"
	"time"

	"reprise/bench/internal/wire"
	"reprise/dataset"
	"reprise/nn"
)

// Text is the training of a GPT on the batches of a text.
type Text struct {
	Work
	// Steps is the number of batches; each has a rate.
	Steps int
	// Peak is the largest rate: a linear warm-up of a tenth of the steps, then a
	// cosine down to a tenth of it.
	Peak float64
	Data *dataset.Dataset
}

// NewText returns the GPT of the works for the text's vocabulary.
func NewText(data *dataset.Dataset, steps int, peak float64) *Text {
	t := &Text{Steps: steps, Peak: peak, Data: data}
	for _, w := range All() {
		if w.Name == "gpt" {
			t.Work = w
		}
	}
	t.Architecture = nn.GPT(context, data.Classes(), blocks, heads, width, 0)
	return t
}

// Context is the number of tokens in a sample of the text.
const Context = context

// rates returns each step's learning rate.
func (t *Text) rates() []float32 {
	out := make([]float32, t.Steps)
	warm := max(1, t.Steps/10)
	for i := range out {
		if i < warm {
			out[i] = float32(t.Peak * float64(i+1) / float64(warm))
			continue
		}
		done := float64(i-warm) / float64(max(1, t.Steps-warm))
		out[i] = float32(t.Peak * (0.55 + 0.45*math.Cos(math.Pi*done)))
	}
	return out
}

// File returns initial weights, every step's batch, the rates and the
// validation split, in order and without the samples of an incomplete last
// batch.
func (t *Text) File() (*wire.File, error) {
	parameters, err := t.parameters()
	if err != nil {
		return nil, err
	}
	file := &wire.File{Work: t.Name, LearningRate: t.LearningRate, Rates: t.rates(), Tensors: parameters}
	n := t.Data.Len(dataset.Train)
	perEpoch := n / t.Batch
	x, y := t.gather(dataset.Train, t.Steps, func(step, row int) int {
		order := dataset.NewPermutation(1, uint64(step/perEpoch), n)
		return order.At(step%perEpoch*t.Batch + row)
	})
	vx, vy := t.gather(dataset.Validation, t.Data.Len(dataset.Validation)/t.Batch, func(i, row int) int { return i*t.Batch + row })
	x.Name, y.Name, vx.Name, vy.Name = "x", "y", "validation_x", "validation_y"
	file.Tensors = append(file.Tensors, x, y, vx, vy)
	return file, nil
}

// gather returns a number of batches of the samples with the indices in at.
func (t *Text) gather(split dataset.Split, count int, at func(batch, row int) int) (x, y wire.Tensor) {
	shape := []int{count, t.Batch, context}
	x, y = wire.Tensor{Shape: shape}, wire.Tensor{Shape: shape}
	batch, index := t.Data.NewBatch(t.Batch), make([]int, t.Batch)
	for i := range count {
		for row := range index {
			index[row] = at(i, row)
		}
		if err := t.Data.GatherBatch(split, index, batch); err != nil {
			panic(err) // it is in memory
		}
		x.Data, y.Data = appendFloats(x.Data, batch.Tokens), appendFloats(y.Data, batch.Labels)
	}
	return x, y
}

func appendFloats(dst []float32, values []int32) []float32 {
	for _, v := range values {
		dst = append(dst, float32(v))
	}
	return dst
}

// Train trains our side on the file, which File returned, and returns the loss
// of each step, the validation loss and the total time in seconds.
func (t *Text) Train(file *wire.File, threads int) (losses []float32, validation float32, seconds float64, err error) {
	side, err := t.NewSide(file, threads)
	if err != nil {
		return nil, 0, 0, err
	}
	defer side.Close()
	if err := side.trainer.Load(side.start); err != nil {
		return nil, 0, 0, err
	}
	start := time.Now()
	losses = make([]float32, len(file.Rates))
	for i, rate := range file.Rates {
		if losses[i], err = side.trainer.Step(side.batches[i], rate); err != nil {
			return nil, 0, 0, err
		}
	}
	x, y := file.Tensor("validation_x"), file.Tensor("validation_y")
	result, err := side.trainer.Evaluate(nn.Batch{Rows: x.Shape[0] * x.Shape[1], Tokens: whole(x.Data), Labels: whole(y.Data)})
	if err != nil {
		return nil, 0, 0, err
	}
	return losses, float32(result.LossSum / float64(result.Losses)), time.Since(start).Seconds(), nil
}

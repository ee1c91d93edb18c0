package integration

import (
	"context"
	"errors"

	"reprise/device"
	"reprise/inference"
	"reprise/training"
)

// Generation is an inference.Generator with the lease of the device that it uses.
type Generation struct {
	*inference.Generator
	lease *Lease
}

// GenerationRequest says which run's model generates text.
type GenerationRequest struct {
	Run   training.RunID
	Model inference.LanguageModel
	// Waiting, if not nil, is told why there is no device yet, once.
	Waiting func(why string)
}

// NewGeneration leases a device beside whatever it does, and loads the weights on it. It
// fails with inference.ErrNoLanguageModel before it asks for one, and with the errors of
// Lessor.Acquire and nn. The caller must call Close.
func NewGeneration(ctx context.Context, d Lessor, r GenerationRequest) (*Generation, error) {
	plan, err := r.Model.Plan()
	if err != nil {
		return nil, err
	}
	w := workload("generate", plan)
	w.Shared = true
	lease, err := d.Acquire(ctx, LeaseRequest{Kind: device.HolderGeneration, Run: r.Run, Workload: w, Waiting: r.Waiting})
	if err != nil {
		return nil, err
	}
	generator, err := inference.NewGenerator(lease.Backend(), r.Model.Architecture, r.Model.Weights, r.Model.Tokenizer)
	if err != nil {
		return nil, errors.Join(err, lease.Release())
	}
	return &Generation{Generator: generator, lease: lease}, nil
}

// Close frees the memory and gives back the device.
func (g *Generation) Close() error {
	g.Generator.Close()
	return g.lease.Release()
}

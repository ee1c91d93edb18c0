package nn

import "reprise/tensor"

// State is the complete state of training: together with the request, it
// determines every later bit.
type State struct {
	// Step is the number of optimiser steps taken.
	Step uint64
	// Parameters are in the order of Architecture.Parameters, statistics included.
	Parameters []tensor.Tensor
	// Moments are the optimiser's, parameter by parameter: "<parameter>.m" and
	// "<parameter>.v" for adam and adamw, "<parameter>.velocity" for sgd with
	// momentum, none for plain sgd.
	Moments []tensor.Tensor
}

// InitialState returns the state before the first step: the model's parameters
// (copied) and moments of zero.
func InitialState(m Model, o Optimizer) (State, error) {
	if err := m.Validate(); err != nil {
		return State{}, err
	}
	if err := o.Validate(); err != nil {
		return State{}, err
	}
	specs, err := m.Architecture.Parameters()
	if err != nil {
		return State{}, err
	}
	var s State
	suffixes := o.WithDefaults().Moments()
	for i, p := range m.Parameters {
		p.Shape = p.Shape.Clone()
		p.Data = append([]float32(nil), p.Data...)
		s.Parameters = append(s.Parameters, p)
		if specs[i].Statistic {
			continue
		}
		for _, suffix := range suffixes {
			s.Moments = append(s.Moments, tensor.Tensor{
				Name: p.Name + "." + suffix, Shape: p.Shape.Clone(), Data: make([]float32, len(p.Data)),
			})
		}
	}
	return s, nil
}

// momentSpecs lists the moments that a state has for the parameters.
func momentSpecs(parameters []ParameterSpec, o Optimizer) []ParameterSpec {
	var specs []ParameterSpec
	for _, p := range parameters {
		if p.Statistic {
			continue
		}
		for _, suffix := range o.Moments() {
			specs = append(specs, ParameterSpec{Name: p.Name + "." + suffix, Shape: p.Shape, Layer: p.Layer})
		}
	}
	return specs
}

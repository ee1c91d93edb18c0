package service

import (
	"bufio"
	"bytes"
	"context"
	"iter"
	"strconv"

	"reprise/api"
	"reprise/export"
	"reprise/tensor"
	"reprise/training"
)

// ExportModel implements api.Service.
func (s *Service) ExportModel(ctx context.Context, q api.ExportModelRequest) iter.Seq2[api.ModelPart, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.ModelPart) error) error {
		if err := q.Validate(); err != nil {
			return err
		}
		r, err := s.findBegun(ctx, q.Run)
		if err != nil {
			return err
		}
		defer r.close()
		cp, err := checkpointOf(r, q.Step, q.Best)
		if err != nil {
			return err
		}
		content, err := r.Workspace.Checkpoints(r.run.ID).Read(cp.Ref())
		if err != nil {
			return badFiles(r.run, r.Workspace, cp, "step", "use another checkpoint", err)
		}
		files, err := modelOf(r, cp, content.Weights).Files(q.Format)
		if err != nil {
			return err
		}
		if err := send(api.ModelPart{Model: &api.ExportedModel{
			RunID: r.run.ID, Format: q.Format, Step: cp.Step, Epoch: cp.Epoch, WeightsSHA256: cp.WeightsSHA256,
		}}); err != nil {
			return err
		}
		for _, f := range files {
			out := bufio.NewWriterSize(partWriter(func(data []byte) error {
				return send(api.ModelPart{File: f.Name, Data: data})
			}), exportPart)
			if err := f.Write(out); err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// modelOf returns the model that a run had at a checkpoint.
func modelOf(r subject, cp training.Checkpoint, weights []tensor.Tensor) export.Model {
	session := r.run.Session
	m := export.Model{
		Architecture: session.Architecture, Weights: weights, Objective: session.Dataset.Objective(),
		Origin: []export.Property{
			{Key: "run", Value: string(r.run.ID)},
			{Key: "step", Value: strconv.FormatUint(cp.Step, 10)},
			{Key: "epoch", Value: strconv.FormatUint(cp.Epoch, 10)},
			{Key: "weights_sha256", Value: cp.WeightsSHA256},
			{Key: "dataset_fingerprint", Value: session.Dataset.Fingerprint},
		},
	}
	for _, t := range session.Dataset.Targets {
		m.Targets = append(m.Targets, export.Target{Name: t.Name, Mean: t.Mean, Scale: t.StandardDeviation})
	}
	return m
}

// partWriter passes on what is written to it, as parts of an answer.
type partWriter func(data []byte) error

// Write implements io.Writer.
func (send partWriter) Write(data []byte) (int, error) {
	// bufio passes on what is larger than its buffer, which may be too long for a line
	// of an answer.
	for rest := data; len(rest) > 0; {
		n := min(len(rest), exportPart)
		if err := send(bytes.Clone(rest[:n])); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(data), nil
}

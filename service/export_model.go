package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"runtime/debug"
	"strconv"

	"reprise/api"
	"reprise/dataset/preprocess"
	"reprise/export"
	"reprise/export/bundle"
	"reprise/fault"
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
		cp, content, err := s.readCheckpoint(ctx, &r, q.Step, q.Step == nil)
		if err != nil {
			return err
		}
		m := modelOf(r, cp, content.Weights)
		if q.Format.Complete() {
			if m.Preprocessing, err = s.preprocessing(ctx, r, content.Preprocessing); err != nil {
				return err
			}
		}
		files, err := m.Files(q.Format)
		if err != nil {
			return err
		}
		if err := send(api.ModelPart{Model: &api.ExportedModel{
			RunID: r.run.ID, Format: q.Format, Step: cp.Step, Epoch: cp.Epoch, WeightsSHA256: cp.WeightsSHA256, Best: isBest(r, cp),
			Monitor: r.run.Session.Hyperparameters.Monitor,
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
		ClassCounts: trainedCounts(r.run.TrainingRun),
		Lineage: bundle.Lineage{
			Run: string(r.run.ID), Step: cp.Step, Epoch: cp.Epoch, CheckpointSHA256: cp.ManifestSHA256, WeightsSHA256: cp.WeightsSHA256,
			DatasetFingerprint: session.Dataset.Fingerprint, Version: buildVersion(),
		},
	}
	if len(r.run.Request) > 0 {
		sum := sha256.Sum256(r.run.Request)
		m.Lineage.RequestSHA256 = hex.EncodeToString(sum[:])
	}
	for _, t := range session.Dataset.Targets {
		m.Targets = append(m.Targets, export.Target{Name: t.Name, Mean: t.Mean, Scale: t.StandardDeviation})
	}
	return m
}

// isBest reports whether a checkpoint is the one with the best figure.
func isBest(r subject, cp training.Checkpoint) bool {
	best, ok := r.run.BestCheckpoint()
	return ok && best.Step == cp.Step
}

// preprocessing returns the document of a run's data: the one that is kept with the
// checkpoint or, where an older version wrote that, the one that the data gives.
func (s *Service) preprocessing(ctx context.Context, r subject, kept []byte) (preprocess.Document, error) {
	if kept != nil {
		sum := sha256.Sum256(kept)
		if got, want := hex.EncodeToString(sum[:]), r.run.Session.Dataset.Preprocessing; got != want {
			return preprocess.Document{}, fault.New(fault.Corrupt, "the checkpoint's preprocessing document has the SHA-256 %s instead of %s, which is on record", got, want)
		}
		return preprocess.Parse(kept)
	}
	api.Notify(ctx, api.Notice{Note: fmt.Sprintf("run %s has no preprocessing document on record, as it was trained by an older version; it is made from the data at %s",
		r.run.ID, r.run.Dataset().Path)})
	library, done, err := s.library(ctx)
	if err != nil {
		return preprocess.Document{}, err
	}
	defer done()
	data, err := openRecorded(ctx, library, r.run.Dataset())
	if err != nil {
		return preprocess.Document{}, err
	}
	return preprocess.Parse(data.Preprocessing())
}

// buildVersion returns the version of this build.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
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

package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"reprise/api"
	"reprise/checkpoint"
	"reprise/dataset"
	"reprise/export/bundle"
	"reprise/fault"
	"reprise/inference"
	"reprise/integration"
	"reprise/internal/figures"
	"reprise/metrics"
	"reprise/training"
)

// predictedPerPart bounds the numbers in a part of predictions, so that it fits in a line of
// an answer. The name of an image counts as a number for every predictedBytes of it.
const (
	predictedPerPart = 1 << 14
	predictedBytes   = 16
)

// Predict implements api.Service.
func (s *Service) Predict(ctx context.Context, q api.PredictRequest) iter.Seq2[api.PredictionPart, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.PredictionPart) error) error {
		if err := q.Validate(); err != nil {
			return err
		}
		b, used, err := s.trainedModel(ctx, q.TrainedModel)
		if err != nil {
			return err
		}
		m, err := inference.New(b.Bundle, s.inference())
		if err != nil {
			return err
		}
		defer m.Close()
		f, err := rowsFile(q.Folder, q.Input)
		if err != nil {
			return err
		}
		if err := send(api.PredictionPart{Head: &api.PredictionHead{
			Model: used, Column: m.Preprocessing().Target.Column, Classes: m.Classes(), Quantities: m.Quantities(), Images: m.NamesImages(f),
		}}); err != nil {
			return err
		}
		var part api.PredictionPart
		size := 0
		err = m.PredictFile(ctx, f, func(unknown []string) { noteUnknown(ctx, f.Path, unknown) }, func(image string, p inference.Prediction) error {
			values := p.Values
			if p.Probabilities != nil {
				values = p.Probabilities
			}
			if image == filepath.ToSlash(f.Path) {
				image = string(q.Input.Path)
			}
			own := len(values) + len(image)/predictedBytes
			if size+own > predictedPerPart && size > 0 {
				full := part
				part.Predictions, size = make([]api.Prediction, 0, len(full.Predictions)), 0
				if err := send(full); err != nil {
					return err
				}
			}
			size += own
			part.Predictions = append(part.Predictions, api.Prediction{Image: api.Text(image), Class: p.Index, Values: values})
			return nil
		})
		if err == nil && len(part.Predictions) > 0 {
			err = send(part)
		}
		return asRows("input", err)
	})
}

// noteUnknown tells of columns that the model does not know.
func noteUnknown(ctx context.Context, path string, columns []string) {
	const most = 20
	names := make([]string, 0, most)
	for _, name := range columns[:min(len(columns), most)] {
		names = append(names, strconv.Quote(name))
	}
	if more := len(columns) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	what, them := "the columns ", "them"
	if len(columns) == 1 {
		what, them = "the column ", "it"
	}
	api.Notify(ctx, api.Notice{Note: fmt.Sprintf("%s: the model does not know %s%s, and leaves %s out", fault.ShowPath(path), what, figures.And(names), them)})
}

// asRows makes errors about how a file is read name the fields of a request.
func asRows(field string, err error) error {
	if err == nil {
		return nil
	}
	return api.ErrorOf(err).Reworded(func(m api.Mistake) api.Mistake {
		if m.Field == "encoding" || m.Field == "separator" {
			m.Field = field + "." + m.Field
		}
		return m
	})
}

// rowsFile returns a file that a request names.
func rowsFile(folder api.Text, r api.Rows) (inference.File, error) {
	path, err := pathFrom(string(folder), string(r.Path))
	return inference.File{Path: path, Encoding: r.Encoding, Separator: r.Separator}, err
}

// model is a trained model, with what its evaluation needs.
type model struct {
	bundle.Bundle
	// found and checkpoint are those of a run. found is closed.
	found      subject
	checkpoint training.Checkpoint
}

// trainedModel returns the model that a request names. It reads nothing more of the data
// directory afterwards, and nothing at all of it for a bundle.
func (s *Service) trainedModel(ctx context.Context, q api.TrainedModel) (m model, used api.UsedModel, err error) {
	if q.Bundle != "" {
		path, err := pathFrom(string(q.Folder), string(q.Bundle))
		if err != nil {
			return m, used, err
		}
		if m.Bundle, err = bundle.Open(path); err != nil {
			return m, used, err
		}
		l := m.Lineage
		return m, api.UsedModel{RunID: training.RunID(l.Run), Step: l.Step, Epoch: l.Epoch, WeightsSHA256: l.WeightsSHA256, Bundle: q.Bundle}, nil
	}
	r, err := s.findBegun(ctx, q.Run)
	if err != nil {
		return m, used, err
	}
	defer r.close()
	var content checkpoint.Content
	if m.checkpoint, content, err = s.readCheckpoint(ctx, &r, q.Step, q.Step == nil); err != nil {
		return m, used, err
	}
	m.found = r
	exported := modelOf(r, m.checkpoint, content.Weights)
	m.Bundle = bundle.Bundle{Architecture: exported.Architecture, Weights: exported.Weights, Lineage: exported.Lineage, ClassCounts: exported.ClassCounts}
	if m.Preprocessing, err = s.preprocessing(ctx, r, content.Preprocessing); err != nil {
		return m, used, err
	}
	return m, usedModel(r, m.checkpoint), nil
}

func usedModel(r subject, cp training.Checkpoint) api.UsedModel {
	return api.UsedModel{RunID: r.run.ID, Step: cp.Step, Epoch: cp.Epoch, WeightsSHA256: cp.WeightsSHA256, Best: isBest(r, cp), Monitor: r.run.Session.Hyperparameters.Monitor}
}

// trainedCounts returns how often each class occurs in the training split of a run, nil if
// it is not on record.
func trainedCounts(run training.TrainingRun) []int {
	if f := run.Figures; f != nil && f.MajorityClass != nil {
		return slices.Clone(f.MajorityClass.Trained)
	}
	return nil
}

// Evaluate implements api.Service.
func (s *Service) Evaluate(ctx context.Context, q api.EvaluateRequest) iter.Seq2[api.Update[api.ModelEvaluation], error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Update[api.ModelEvaluation]) error) (err error) {
		if err := q.Validate(); err != nil {
			return err
		}
		var e api.ModelEvaluation
		if q.Data != nil {
			pace := pace{now: s.config.Now}
			e, err = s.evaluateFile(ctx, q, func(samples int) {
				if pace.due() {
					_ = send(api.Update[api.ModelEvaluation]{Done: uint64(samples)}) // ctx ends
				}
			})
		} else {
			e, err = s.evaluateSplit(ctx, q)
		}
		if err != nil {
			return err
		}
		return send(api.Update[api.ModelEvaluation]{Result: &e})
	})
}

// evaluateFile evaluates a model on new data.
func (s *Service) evaluateFile(ctx context.Context, q api.EvaluateRequest, progress func(samples int)) (e api.ModelEvaluation, err error) {
	b, used, err := s.trainedModel(ctx, q.TrainedModel)
	if err != nil {
		return e, err
	}
	if b.Preprocessing.Text != nil {
		return e, &fault.FieldError{Field: "data.path", Value: strconv.Quote(string(q.Data.Path)), Problem: "does not fit a language model, which is measured on its run's own text",
			Fix: "leave it out, and name the run"}
	}
	f, err := rowsFile(q.Folder, *q.Data)
	if err != nil {
		return e, err
	}
	m, err := inference.New(b.Bundle, s.inference())
	if err != nil {
		return e, err
	}
	defer m.Close()
	trained := b.ClassCounts
	if trained == nil && b.found.started() && m.Classes() != nil {
		if trained, err = s.countedClasses(ctx, b.found); err != nil {
			return e, err
		}
	}
	found, err := m.EvaluateFile(ctx, f, trained, progress)
	if err != nil {
		return e, asRows("data", err)
	}
	if len(found.Unknown) > 0 {
		noteUnknown(ctx, f.Path, found.Unknown)
	}
	if found.Classification != nil && found.MajorityClass == nil {
		api.Notify(ctx, api.Notice{Note: "there is no baseline: how often each class occurs in the training data is not on record"})
	}
	e = api.ModelEvaluation{Model: used, Data: q.Data.Path, Samples: found.Samples, Figures: found.Figures}
	for _, why := range slices.Sorted(maps.Keys(found.LeftOut)) {
		e.LeftOut = append(e.LeftOut, api.LeftOutRows{Why: why, Rows: found.LeftOut[why]})
	}
	return e, nil
}

// countedClasses counts the classes in the training split of a run whose record does not
// have that; nil where its data can no longer be used.
func (s *Service) countedClasses(ctx context.Context, r subject) ([]int, error) {
	library, done, err := s.library(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	data, err := openRecorded(ctx, library, r.run.Dataset())
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, nil // they are needed for the baseline alone
	}
	return data.ClassCounts(dataset.Train), nil
}

// evaluateSplit evaluates a run on a split of its own data, as training does.
func (s *Service) evaluateSplit(ctx context.Context, q api.EvaluateRequest) (e api.ModelEvaluation, err error) {
	r, err := s.findBegun(ctx, q.Run)
	if err != nil {
		return e, err
	}
	defer r.close()
	split := q.OnSplit()
	cp, request, err := s.evaluationOf(ctx, &r, q.Step, split)
	if err != nil {
		return e, err
	}
	devices, ctx := s.lessor(ctx)
	defer devices.close(&err)
	found, err := integration.Evaluate(ctx, devices, request)
	if err != nil {
		return e, err
	}
	return api.ModelEvaluation{
		Model: usedModel(r, cp), Split: split.String(), Samples: request.Data.Len(split), Figures: found,
		Recorded: recordedSame(r.run.TrainingRun, cp, split, found),
	}, nil
}

// evaluationOf says how a checkpoint of a run is evaluated on a split of its own data: that
// at a step, or the best one. It opens the data.
func (s *Service) evaluationOf(ctx context.Context, r *subject, step *uint64, split dataset.Split) (training.Checkpoint, integration.EvaluationRequest, error) {
	var none integration.EvaluationRequest
	cp, content, err := s.readCheckpoint(ctx, r, step, step == nil)
	if err != nil {
		return cp, none, err
	}
	library, done, err := s.library(ctx)
	if err != nil {
		return cp, none, err
	}
	data, err := openRecorded(ctx, library, r.run.Dataset())
	done()
	if err != nil {
		return cp, none, err
	}
	if data.Len(split) == 0 {
		return cp, none, &fault.FieldError{Field: "split", Value: strconv.Quote(split.String()), Problem: fmt.Sprintf("is empty: run %s was trained on data without a test split", r.run.ID),
			Fix: "use validation, or name new data"}
	}
	return cp, integration.EvaluationRequest{
		Session: r.run.Session, Run: r.run.ID, Content: content, Data: data, Split: split, Waiting: tellWaiting(ctx),
	}, nil
}

// recordedSame reports whether the log has the same figures of a checkpoint on a split; nil
// if it has none.
func recordedSame(run training.TrainingRun, cp training.Checkpoint, split dataset.Split, found metrics.Figures) *bool {
	f := run.Figures
	if f == nil || f.Step != cp.Step || split == dataset.Test && f.Test == nil {
		return nil
	}
	recorded := f.Figures
	if split == dataset.Test {
		recorded, found = f.Test.Figures, found.WithoutConfusion(training.MaxTestConfused)
	}
	if recorded.None() {
		return nil
	}
	if b := found.MajorityClass; b != nil && recorded.MajorityClass != nil && recorded.MajorityClass.Trained == nil {
		older := *b
		older.Trained = nil
		found.MajorityClass = &older
	}
	a, errA := json.Marshal(recorded)
	b, errB := json.Marshal(found)
	same := errors.Join(errA, errB) == nil && string(a) == string(b)
	return &same
}

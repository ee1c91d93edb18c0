package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/export"
)

func newRunsExportCommand(env *environment) *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use:   "export RUN...",
		Short: "Write the figures of runs for TensorBoard",
		Long: `Export writes the figures of runs as event files of TensorBoard to a new folder, with a
folder in it for each run, named by its id: of each step loss/train and learning_rate, and of
each epoch epoch/train_loss, epoch/val_loss and, where there is one, epoch/val_accuracy. The
time of a step is interpolated, since only that of the whole run is recorded.

"reprise export" writes the model of a run, and "reprise runs metrics -o csv" its figures as
a table.`,
		Example: `  reprise runs export latest --tensorboard curves`,
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return env.exportCurves(c.Context(), args, folder)
		},
	}
	c.Flags().StringVar(&folder, "tensorboard", "", "write to the `FOLDER`, which must not exist yet")
	_ = c.MarkFlagRequired("tensorboard") // it fails only for a flag that does not exist
	return c
}

func (env *environment) exportCurves(ctx context.Context, runs []string, folder string) error {
	w, err := env.workspace()
	if err != nil {
		return err
	}
	written := 0
	err = env.createFolder("--tensorboard", folder, w.CheckOutside, func(folder string) error {
		return env.withService(ctx, func(ctx context.Context, s api.Service) error {
			done := map[string]bool{}
			for _, run := range runs {
				report, err := s.Run(ctx, api.RunRequest{Run: run})
				if err != nil {
					return err
				}
				ctx = api.WithNotices(ctx, func(api.Notice) {}) // the first call has told them
				id := string(report.Details.RunID)
				if done[id] {
					continue
				}
				done[id] = true
				m, _, err := api.CollectMetrics(s.Metrics(ctx, api.MetricsRequest{Run: id}))
				if err != nil {
					return err
				}
				if err := writeCurves(filepath.Join(folder, id), report, m); err != nil {
					return err
				}
				written++
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "wrote the figures of %s to %s; see them with: tensorboard --logdir %s\n", plural(written, "run"), folder, folder)
	return err
}

// writeCurves writes the event file of a run into a new folder.
func writeCurves(folder string, r api.RunReport, m api.RunMetrics) (err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	begin := r.BegunAt
	if begin.IsZero() {
		begin = r.Details.StartedAt
	}
	f, err := os.Create(filepath.Join(folder, fmt.Sprintf("events.out.tfevents.%d.reprise", begin.Unix())))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	out := bufio.NewWriter(f)
	if err := export.WriteTensorBoard(out, begin, curvesOf(begin, r.Details.TrainedSeconds, m)); err != nil {
		return err
	}
	return out.Flush()
}

// curvesOf returns the figures of steps and epochs in the order of the steps.
func curvesOf(begin time.Time, seconds float64, m api.RunMetrics) []export.Scalar {
	last := uint64(1)
	if n := len(m.Steps); n > 0 {
		last = max(last, m.Steps[n-1].Step)
	}
	at := func(step uint64) time.Time {
		return begin.Add(time.Duration(seconds * float64(step) / float64(last) * float64(time.Second)))
	}
	var list []export.Scalar
	epochs := m.Epochs
	endEpochs := func(before uint64) {
		for len(epochs) > 0 && epochs[0].Step < before {
			e := epochs[0]
			epochs = epochs[1:]
			for _, v := range []struct {
				tag   string
				value *float64
			}{{"epoch/train_loss", e.TrainLoss}, {"epoch/val_loss", e.ValLoss}, {"epoch/val_accuracy", e.ValAccuracy}} {
				if v.value != nil {
					list = append(list, export.Scalar{Time: at(e.Step), Step: e.Step, Tag: v.tag, Value: float32(*v.value)})
				}
			}
		}
	}
	for _, s := range m.Steps {
		endEpochs(s.Step)
		list = append(list, export.Scalar{Time: at(s.Step), Step: s.Step, Tag: "loss/train", Value: s.Loss},
			export.Scalar{Time: at(s.Step), Step: s.Step, Tag: "learning_rate", Value: s.LearningRate})
	}
	endEpochs(1 << 63)
	return list
}

// metricsTable writes the figures of runs as CSV, of every epoch or of every step.
func metricsTable(runs []api.RunMetrics, steps bool) string {
	var b strings.Builder
	if steps {
		b.WriteString("run,step,epoch,loss,learning_rate\n")
	} else {
		b.WriteString("run,epoch,step,train_loss,val_loss,val_accuracy\n")
	}
	exact := func(v *float64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(*v)
	}
	for _, m := range runs {
		if steps {
			for _, s := range m.Steps {
				fmt.Fprintf(&b, "%s,%d,%d,%v,%v\n", m.RunID, s.Step, s.Epoch, s.Loss, s.LearningRate)
			}
			continue
		}
		for _, e := range m.Epochs {
			fmt.Fprintf(&b, "%s,%d,%d,%s,%s,%s\n", m.RunID, e.Epoch, e.Step, exact(e.TrainLoss), exact(e.ValLoss), exact(e.ValAccuracy))
		}
	}
	return b.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/export"
	"reprise/internal/disk"
)

func newExportCommand(env *environment) *cobra.Command {
	var q api.ExportModelRequest
	var out, format string
	var step uint64
	c := &cobra.Command{
		Use:   "export RUN",
		Short: "Write the model of a run for Reprise, PyTorch or ONNX runtimes",
		Long: `Export writes the model that a run has trained, with the weights of its best
checkpoint by config.monitor, by default the validation loss, or of the one at --step, to
--out, which must not exist yet. Predict and evaluate use the same one. It only reads the
run: the data set is not needed, and a run that is still training can be exported.

  bundle       a folder, or one file where --out ends in .tar: weights,
               architecture and preprocessing, which is all that
               "reprise predict" needs
  safetensors  a folder: model.safetensors, with the names and layouts of
               PyTorch, and model.py, which builds the model and loads it
               with nothing but PyTorch
  onnx         one file of operator set 17, for any ONNX runtime

The last two take images as [N, C, H, W]. They hold the network only: values have to be scaled
as they were in training, which "reprise datasets inspect" shows. Outputs agree with
those in Reprise to about 1e-5, not bit for bit. docs/export.md has examples.

RUN is a run's id, the beginning of one, or latest.`,
		Example: `  reprise export latest --format onnx --out model.onnx
  reprise export latest --format bundle --out model.tar
  reprise export latest --format safetensors --out digits --step 675`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			q.Run = args[0]
			if c.Flags().Changed("step") {
				q.Step = &step
			}
			return env.exportModel(c.Context(), q, out, format)
		},
	}
	flags := c.Flags()
	flags.StringVar((*string)(&q.Format), "format", "", "`FORMAT` of the model: "+orList(exportFormats()))
	flags.StringVar(&out, "out", "", "write to `PATH`: a folder for bundle and safetensors, a file for onnx and where it ends in .tar")
	flags.Var((*stepFlag)(&step), "step", "use the checkpoint at step `N` (default: the best one)")
	flags.BoolVar(&q.Best, "best", false, "use the checkpoint with the best monitored figure, as without --step")
	_, _ = c.MarkFlagRequired("format"), c.MarkFlagRequired("out") // they fail only for flags that do not exist
	addListFormat(c, &format)
	return c
}

func exportFormats() []string {
	var names []string
	for _, f := range export.Formats() {
		if f != export.BundleArchive { // which --out asks for
			names = append(names, string(f))
		}
	}
	return names
}

// exportArguments are what sets the fields of the request.
func exportArguments() []argument {
	var list []argument
	for _, field := range []string{"format", "step", "best"} {
		list = append(list, argument{field: field, flag: flagOf(field)})
	}
	return list
}

// exportModel writes a model to a new file or folder, whole or not at all.
func (env *environment) exportModel(ctx context.Context, q api.ExportModelRequest, out, format string) error {
	if q.Format == export.Bundle && filepath.Ext(out) == ".tar" {
		q.Format = export.BundleArchive
	}
	if err := q.Validate(); err != nil { // before anything is made at the path
		return asGiven(api.ErrorOf(err), exportArguments()...)
	}
	w, err := env.workspace()
	if err != nil {
		return err
	}
	made := api.ModelCopy{Path: out}
	if q.Format.Folder() {
		err = env.createFolder("--out", out, w.CheckOutside, func(folder string) error {
			made.ExportedModel, err = env.receiveModel(ctx, q, func(files *modelFiles) error {
				made.Files, err = files.writeTo(folder)
				return err
			})
			return err
		})
	} else {
		err = env.createFile("--out", out, w.CheckOutside, func(to io.Writer) error {
			made.ExportedModel, err = env.receiveModel(ctx, q, func(files *modelFiles) error { return files.copyOne(to) })
			return err
		})
	}
	if err != nil {
		return err
	}
	return env.listing(format, made, func(t *table) error {
		used := api.UsedModel{RunID: made.RunID, Step: made.Step, Epoch: made.Epoch, Best: made.Best, Monitor: made.Monitor}
		t.line("exported %s, to %s", modelInWords(used), made.Path)
		if len(made.Files) > 0 {
			t.line("with %s", andList(made.Files))
		}
		return nil
	})
}

// receiveModel has the service export a model, and write write its files.
func (env *environment) receiveModel(
	ctx context.Context, q api.ExportModelRequest, write func(*modelFiles) error,
) (model api.ExportedModel, err error) {
	err = env.withService(ctx, func(ctx context.Context, s api.Service) error {
		files := newModelFiles(s.ExportModel(ctx, q))
		defer files.stop()
		if err := files.begin(&model); err != nil {
			return err
		}
		return write(files)
	})
	if errors.Is(err, context.Canceled) {
		return model, errInterrupted
	}
	return model, asGiven(err, exportArguments()...)
}

// modelFiles are the files of a model as they arrive.
type modelFiles struct {
	next func() (api.ModelPart, error, bool)
	stop func()
	part api.ModelPart // the next one, if there is one
	more bool
}

func newModelFiles(parts iter.Seq2[api.ModelPart, error]) *modelFiles {
	f := &modelFiles{}
	f.next, f.stop = iter.Pull2(parts)
	return f
}

// advance takes the next part.
func (f *modelFiles) advance() (err error) {
	f.part, err, f.more = f.next()
	return err
}

var errBrokenModel = errors.New("the service gave no files of a model")

// begin takes what comes before the files.
func (f *modelFiles) begin(model *api.ExportedModel) error {
	if err := f.advance(); err != nil {
		return err
	}
	if f.part.Model == nil {
		return errBrokenModel
	}
	*model = *f.part.Model
	if err := f.advance(); err != nil {
		return err
	}
	if !f.more {
		return errBrokenModel
	}
	return nil
}

// copy writes the file that is next.
func (f *modelFiles) copy(to io.Writer) error {
	name := f.part.File
	for f.more && f.part.File == name {
		if _, err := to.Write(f.part.Data); err != nil {
			return err
		}
		if err := f.advance(); err != nil {
			return err
		}
	}
	return nil
}

// copyOne writes the only file.
func (f *modelFiles) copyOne(to io.Writer) error {
	if err := f.copy(to); err != nil {
		return err
	}
	if f.more {
		return errBrokenModel
	}
	return nil
}

// writeTo writes the files to a folder, durably, and returns their names.
func (f *modelFiles) writeTo(folder string) (names []string, err error) {
	for f.more {
		name := f.part.File
		if !filepath.IsLocal(name) || filepath.Base(name) != name { // it must not choose another folder
			return nil, fmt.Errorf("the service gave a file of the name %q", name)
		}
		if err := disk.WriteNew(disk.OS{}, filepath.Join(folder, name), f.copy); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/internal/disk"
	"reprise/plot"
	"reprise/training"
)

// plotOptions is how runs are plotted.
type plotOptions struct {
	kinds []string
	out   string
	split string
	step  *uint64
	width int
}

// The limits of --width, and the most runs in a picture: as many as there are colors.
const (
	leastPlotWidth = 40
	mostPlotWidth  = 8000
	maxPlotted     = 10
)

func newRunsPlotCommand(env *environment) *cobra.Command {
	var o plotOptions
	var step uint64
	c := &cobra.Command{
		Use:   "plot RUN...",
		Short: "Draw curves, confusion matrix, ROC, PR, residuals and calibration",
		Long: `Plot draws pictures of a run in the terminal or, with --out, to files as SVG or PNG. With
several runs, their curves are drawn over each other.

  loss          of the steps, and on the validation split
  accuracy      on the validation split, and so is the figure of
                config.monitor, such as f1_macro, by its name
  curves        all of these; the default in a terminal
  confusion     how often each class is predicted for each
  roc, pr       true positives over false ones, precision over recall:
                of the second of two classes, or of each class
                against all others, with their mean
  calibration   how often predicted probabilities come true
  residuals     how far the predictions of a regression are off

The last five need predictions. They are made by the checkpoint with the best monitored figure,
or the one at --step, on the validation split or, with --split test, on the test split; the
data set has to be there, unless the confusion matrix is on record.

Where --out ends in .svg or .png it is a file with one picture, by default that of the loss. Otherwise
it is a folder, which gets every picture in both formats. Neither may exist yet.
docs/figures.md says how to read the pictures.`,
		Example: `  reprise runs plot latest
  reprise runs plot latest --kind roc --out roc.svg
  reprise runs plot latest --out pictures`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("step") {
				o.step = &step
			}
			return env.plotRuns(c.Context(), args, o)
		},
	}
	flags := c.Flags()
	flags.StringSliceVar(&o.kinds, "kind", nil, "draw `KIND`: one of the above, or several with commas between them")
	flags.StringVar(&o.out, "out", "", "write to `PATH`: a file that ends in .svg or .png, or a folder")
	flags.StringVar(&o.split, "split", "", "predict for the `SPLIT` of the run's own data: validation or test (default: validation)")
	flags.Var((*stepFlag)(&step), "step", "predict with the checkpoint at step `N` (default: the one with the best monitored figure)")
	flags.IntVar(&o.width, "width", 0, "make pictures `N` pixels wide, or columns in a terminal (default: that of the terminal; 800 in SVG, twice that in PNG)")
	return c
}

// plotArguments are what sets the fields of the request.
func plotArguments() []argument {
	return []argument{{field: "kinds", flag: "--kind"}, {field: "split", flag: "--split"}, {field: "step", flag: "--step"}}
}

func plotKindNames() []string {
	var names []string
	for _, k := range api.PlotKinds() {
		names = append(names, string(k))
	}
	return names
}

// The endings of files of pictures.
const (
	endingSVG = ".svg"
	endingPNG = ".png"
)

// check refuses what no service is needed for, all at once, and returns what --out is: a
// file with this ending, or a folder, or neither.
func (o plotOptions) check(runs int) (ending string, err error) {
	var errs []error
	if o.out != "" && !strings.HasSuffix(o.out, "/") && !strings.HasSuffix(o.out, string(filepath.Separator)) {
		ending = strings.ToLower(filepath.Ext(filepath.Base(o.out)))
	}
	if ending != "" && ending != endingSVG && ending != endingPNG {
		errs = append(errs, fmt.Errorf("--out: %q ends in %q, which is not a format of pictures; use .svg or .png, or name a folder, with / at its end if there is a dot in its name", o.out, ending))
	}
	if o.width != 0 && (o.width < leastPlotWidth || o.width > mostPlotWidth) {
		errs = append(errs, fmt.Errorf("--width: %d is out of range; use %d to %d", o.width, leastPlotWidth, mostPlotWidth))
	}
	if runs > maxPlotted {
		errs = append(errs, fmt.Errorf("RUN: %d runs are too many to tell their curves from each other; name up to %d", runs, maxPlotted))
	}
	for _, kind := range o.kinds {
		switch k := api.PlotKind(kind); {
		case runs > 1 && (k == api.PlotConfusion || k == api.PlotResiduals):
			errs = append(errs, fmt.Errorf("--kind: %q is of one run; name one RUN", kind))
		case ending != "" && k == api.PlotCurves:
			errs = append(errs, fmt.Errorf("--kind: %q stands for several pictures, and %s has one; name one of them, or a folder", kind, o.out))
		}
	}
	if ending != "" && len(o.kinds) > 1 {
		errs = append(errs, fmt.Errorf("--kind: %q are %d pictures, and %s has one; name one of them, or a folder", strings.Join(o.kinds, ","), len(o.kinds), o.out))
	}
	return ending, invalid(errors.Join(errs...))
}

// asked returns the kinds to ask the service for.
func (o plotOptions) asked(ending string, runs int) (kinds []api.PlotKind) {
	for _, kind := range o.kinds {
		kinds = append(kinds, api.PlotKind(kind))
	}
	switch {
	case len(kinds) > 0:
	case ending != "":
		kinds = []api.PlotKind{api.PlotLoss}
	case o.out == "" || runs > 1:
		kinds = []api.PlotKind{api.PlotCurves}
	}
	return kinds
}

func (env *environment) plotRuns(ctx context.Context, runs []string, o plotOptions) error {
	ending, err := o.check(len(runs))
	if err != nil {
		return err
	}
	q := api.PlotRequest{Kinds: o.asked(ending, len(runs)), Split: o.split, Step: o.step}
	if err := q.Validate(); err != nil {
		return asGiven(api.ErrorOf(err), plotArguments()...)
	}
	if o.out == "" {
		pictures, err := env.pictures(ctx, runs, q)
		if err != nil {
			return err
		}
		return env.showPictures(pictures, o.width)
	}
	w, err := env.workspace()
	if err != nil {
		return err
	}
	var pictures []picture
	if ending == "" {
		err = env.createFolder("--out", filepath.Clean(o.out), w.CheckOutside, func(folder string) error {
			if pictures, err = env.pictures(ctx, runs, q); err != nil {
				return err
			}
			return writePictures(folder, pictures, o.width)
		})
	} else {
		err = env.createFile("--out", o.out, w.CheckOutside, func(to io.Writer) error {
			if pictures, err = env.pictures(ctx, runs, q); err != nil {
				return err
			}
			if n := len(pictures); n > 1 {
				return invalid(fmt.Errorf("--out: %s has one picture, and there are %d of %q: %s; name a folder", o.out, n, q.Kinds[0], pictureNames(pictures)))
			}
			return pictures[0].write(to, ending, o.width)
		})
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "wrote %s to %s\n", pictureNames(pictures), o.out)
	return err
}

// pictures asks the service for what pictures of runs show, and draws them.
func (env *environment) pictures(ctx context.Context, runs []string, q api.PlotRequest) ([]picture, error) {
	var answers []api.RunPlots
	err := orInterrupted(env.withService(ctx, func(ctx context.Context, s api.Service) error {
		answers = nil
		seen := map[training.RunID]bool{}
		for _, run := range runs {
			q.Run = run
			answer, err := finish(s.Plot(ctx, q), newCounter(env, "plot", "samples"))
			if err != nil {
				return asGiven(err, plotArguments()...)
			}
			if !seen[answer.RunID] {
				answers = append(answers, answer)
			}
			seen[answer.RunID] = true
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return drawRuns(answers), nil
}

// picture is a picture with the name of its file, without an ending.
type picture struct {
	name string
	plot.Picture
}

func pictureNames(list []picture) string {
	var names []string
	for _, p := range list {
		names = append(names, p.name)
	}
	return andList(names)
}

// write writes the picture in the format of an ending.
func (p picture) write(to io.Writer, ending string, width int) error {
	if ending == endingPNG {
		return plot.PNG(to, p.Picture, width)
	}
	_, err := to.Write(plot.SVG(p.Picture, width))
	return err
}

// writePictures writes pictures in both formats to a new folder.
func writePictures(folder string, list []picture, width int) error {
	for _, p := range list {
		for _, ending := range []string{endingSVG, endingPNG} {
			if err := disk.WriteNew(disk.OS{}, filepath.Join(folder, p.name+ending), func(to io.Writer) error { return p.write(to, ending, width) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// showPictures draws pictures in the terminal, or for a file of 80 columns.
func (env *environment) showPictures(list []picture, width int) error {
	const columns, rows, mostRows = 80, 24, 40
	s := plot.Style{Width: columns, Height: rows, ASCII: !env.showsUnicode()}
	if w, h, ok := terminalSize(env.stdout); ok {
		s.Width, s.Height = w, min(max(h, rows), mostRows)
		s.Color = env.getenv("NO_COLOR") == "" && env.getenv("TERM") != "dumb"
	}
	if width > 0 {
		s.Width = width
	}
	s.Height -= 2 // for the prompt, and what was typed
	for i, p := range list {
		if i > 0 {
			writeLines(env.stdout, "")
		}
		if _, err := fmt.Fprintln(env.stdout, strings.Join(plot.Text(p.Picture, s), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// showsUnicode reports whether the locale has characters beyond ASCII.
func (env *environment) showsUnicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := env.getenv(name); v != "" {
			v = strings.ToLower(strings.ReplaceAll(v, "-", ""))
			return strings.Contains(v, "utf8")
		}
	}
	return runtime.GOOS == "windows" // which has no such variables
}

// fileName makes the name of a file of the name of something.
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_", r) {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(clean, "-")
}

// named adds a picture, with a name of its own.
func named(list []picture, name string, p plot.Picture) []picture {
	name = fileName(name)
	unique := name
	for n := 2; slices.ContainsFunc(list, func(p picture) bool { return p.name == unique }); n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	return append(list, picture{unique, p})
}

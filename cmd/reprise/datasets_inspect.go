package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reprise/dataset"
)

// inspection is what `datasets inspect` prints.
type inspection struct {
	dataset.Summary
	// Entry is the catalogue's, nil for local data.
	Entry *dataset.Entry `json:"entry,omitempty"`
}

func newDatasetsInspectCommand(env *environment) *cobra.Command {
	var format string
	var source dataset.Source
	c := &cobra.Command{
		Use:   "inspect NAME|FOLDER|FILE.csv",
		Short: "Show what is in a data set: classes, values, a few samples",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			source.Path = args[0]
			return env.inspect(c.Context(), source, format)
		},
	}
	addListFormat(c, &format)
	c.Flags().StringVar(&source.Target, "target", "", "`COLUMN` of a CSV file that holds the class")
	c.Flags().Float64Var(&source.ValidationFraction, "validation-fraction", 0, "hold out this `SHARE` of local data (default 0.2)")
	return c
}

func (env *environment) inspect(ctx context.Context, source dataset.Source, format string) error {
	library, done, err := env.library()
	if err != nil {
		return err
	}
	defer done()
	data, err := library.Open(ctx, source)
	if err != nil {
		return inputOf(err, "NAME")
	}
	v := inspection{Summary: data.Inspect()}
	if entry, ok := library.Lookup(source.Path); ok {
		v.Entry = &entry
	}
	return env.listing(format, v, func(t *table) error {
		if e := v.Entry; e != nil {
			t.line("%s: %s\n", e.Title, e.Description)
			t.row("source", e.Source)
			t.row("licence", e.Licence)
			t.row("", e.LicenceURL)
			for _, f := range e.Files {
				t.row("file "+f.Name, fmt.Sprintf("%s bytes, SHA-256 %s", thousands(f.Bytes), f.SHA256))
			}
		} else {
			t.row("data", v.Name)
		}
		t.row("samples", fmt.Sprintf("%s for training, %s for validation", thousands(v.Train.Samples), thousands(v.Validation.Samples)))
		t.row("sample shape", v.SampleShape.String())
		t.row("values", fmt.Sprintf("%g to %g, mean %.4g; trained on as %s", v.Values.Min, v.Values.Max, v.Values.Mean, v.Scaling))
		t.row("memory", fileSize(uint64(v.MemoryBytes)))
		t.row("fingerprint", v.Fingerprint)
		t.line("")
		t.row("CLASS", "TRAINING", "VALIDATION")
		for i, name := range v.ClassNames {
			t.row(name, thousands(v.Train.PerClass[i]), thousands(v.Validation.PerClass[i]))
		}
		if len(v.Columns) > 0 {
			t.line("")
			t.row("COLUMN", "MIN", "MEAN", "MAX", "STANDARD DEVIATION")
			for _, c := range v.Columns {
				t.row(c.Name, fmt.Sprintf("%g", c.Min), fmt.Sprintf("%.4g", c.Mean), fmt.Sprintf("%g", c.Max), fmt.Sprintf("%.4g", c.StandardDeviation))
			}
		}
		if picture := drawSamples(data, v.Summary); picture != "" {
			t.line("\n%s", picture)
		}
		return nil
	})
}

// drawnWidth is the number of characters that samples are drawn across.
const drawnWidth = 76

// drawSamples draws the first images of the training split side by side, two
// pixels to a character; "" for what is no image.
func drawSamples(data *dataset.Dataset, s dataset.Summary) string {
	if len(s.SampleShape) != 3 || s.SampleShape[1] > drawnWidth {
		return ""
	}
	height, width, channels := s.SampleShape[0], s.SampleShape[1], s.SampleShape[2]
	n := min(drawnWidth/(width+2), s.Train.Samples, 6)
	lines := make([]strings.Builder, (height+1)/2)
	var names []string
	for i := range n {
		pixels, label := data.AppendRaw(nil, dataset.Train, i)
		names = append(names, s.ClassNames[label])
		at := func(y, x int) int { // darkness in 0..2
			if y >= height {
				return 0
			}
			v := pixels[(y*width+x)*channels] - s.Low
			return int(3 * v / (s.High - s.Low + 1))
		}
		for y := range lines {
			for x := range width {
				lines[y].WriteRune(halves(at(2*y, x), at(2*y+1, x)))
			}
			lines[y].WriteString("  ")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the first of the training split: %s\n", strings.Join(names, ", "))
	for i := range lines {
		b.WriteString(strings.TrimRight(lines[i].String(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// halves returns the character for an upper and a lower pixel in 0..2.
func halves(upper, lower int) rune {
	switch {
	case upper == 0 && lower == 0:
		return ' '
	case upper == 0:
		return '▄'
	case lower == 0:
		return '▀'
	case upper+lower < 4:
		return '▒'
	}
	return '█'
}

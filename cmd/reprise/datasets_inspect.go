package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/dataset"
)

func newDatasetsInspectCommand(env *environment) *cobra.Command {
	var format string
	var r api.InspectDataSetRequest
	c := &cobra.Command{
		Use:   "inspect NAME|FOLDER|FILE",
		Short: "Show what is in a data set: classes, values, a few samples",
		Long: `Inspect reads a data set as a request would and summarizes it: the classes, the
columns and the quantities of a table, the channels of images, the tokens of
text, and a few samples. All figures describe the training split, by which
training scales the values.

It takes the name of a data set in the catalogue, a folder of images or text (images
of IDX, of CIFAR-10, or a file each in a folder for each class), a table (.csv, .tsv, .jsonl, .parquet, .npy and others), or a .txt or .md file. Of a
table it says what each column means, and why.`,
		Example: `  reprise datasets inspect digits
  reprise datasets inspect flats.csv --target price --task regression
  reprise datasets inspect poem.txt --tokenizer characters --context 64`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			r.Path = api.Text(args[0])
			return env.inspect(c.Context(), r, format)
		},
	}
	addListFormat(c, &format)
	flags := c.Flags()
	flags.StringVar((*string)(&r.Task), "task", "",
		"`TASK` that the data is for: classification, regression or next_token (default: what the data looks like)")
	flags.StringVar((*string)(&r.Target), "target", "",
		"`COLUMN` of a CSV file that holds the class or the quantity; separate several quantities by commas")
	flags.Float64Var(&r.ValidationFraction, "validation-fraction", 0,
		"hold out the fraction `F` of local data (default 0.2, or 0.1 of text)")
	flags.StringVar(&r.Tokenizer, "tokenizer", "", "`KIND` of tokens of text: bytes, characters or bpe (default bytes)")
	flags.IntVar(&r.Vocabulary, "vocabulary", 0, "learn `N` tokens with the tokenizer bpe (default 1024)")
	flags.IntVar(&r.Context, "context", 0, "put `N` tokens in a sample of text (default 128)")
	flags.Var((*sizeFlag)(&r.Image.Size), "image-size", "resize images of files to `HEIGHT,WIDTH` (default: the size of all)")
	flags.IntVar(&r.Image.Channels, "channels", 0, "read images of files with `N` channels: 1 or 3 (default: 1 if all are gray)")
	return c
}

// sizeFlag is a height and a width.
type sizeFlag [2]int

// Set implements pflag.Value.
func (f *sizeFlag) Set(text string) error {
	height, width, ok := strings.Cut(text, ",")
	var size sizeFlag
	for i, side := range []string{height, width} {
		n, err := strconv.Atoi(strings.TrimSpace(side))
		ok = ok && err == nil && n > 0
		size[i] = n
	}
	if !ok {
		return fmt.Errorf("%q is not a height and a width in pixels; use two numbers such as 28,28", text)
	}
	*f = size
	return nil
}

// String implements pflag.Value.
func (f *sizeFlag) String() string {
	if *f == (sizeFlag{}) {
		return ""
	}
	return fmt.Sprintf("%d,%d", f[0], f[1])
}

// Type implements pflag.Value.
func (f *sizeFlag) Type() string { return "HEIGHT,WIDTH" }

func (env *environment) inspect(ctx context.Context, r api.InspectDataSetRequest, format string) error {
	if here, err := os.Getwd(); err == nil { // if not, relative paths will not do either
		r.Folder = api.Text(here)
	}
	if format == formatTable {
		r.Samples = drawnSamples
	}
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		x, err := s.InspectDataSet(ctx, r)
		if err != nil {
			return asGiven(err, inspectArguments()...)
		}
		return env.listing(format, x.Summary, func(t *table) error {
			writeInspection(t, x)
			if picture := drawSamples(x); picture != "" {
				t.line("\n%s", picture)
			}
			return nil
		})
	})
}

// inspectArguments are what sets the fields of the request.
func inspectArguments() []argument {
	list := []argument{{field: dataset.FieldPath, flag: "NAME"}}
	for _, field := range []string{
		dataset.FieldTask, dataset.FieldTarget, dataset.FieldValidationFraction, dataset.FieldTokenizer, dataset.FieldVocabulary, dataset.FieldContext,
	} {
		list = append(list, argument{field: field, flag: flagOf(field)})
	}
	return append(list, argument{field: dataset.FieldImage + ".size", flag: "--image-size"}, argument{field: dataset.FieldImage + ".channels", flag: "--channels"})
}

func writeInspection(t *table, x api.Inspection) {
	v := x.Summary
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
	t.row("task", describeTask(v.Task))
	samples := fmt.Sprintf("%s for training, %s for validation", thousands(v.Train.Samples), thousands(v.Validation.Samples))
	if v.Test != nil {
		samples += fmt.Sprintf(", %s for the test", thousands(v.Test.Samples))
	}
	t.row("samples", samples)
	t.row("sample shape", v.SampleShape.String())
	switch {
	case v.Text != nil:
		t.row("tokenizer", fmt.Sprintf("%s, a vocabulary of %s", v.Text.Tokenizer, thousands(v.Text.Vocabulary)))
		t.row("context", plural(v.Text.Context, "token"))
	default:
		t.row("trained on as", v.Scaling)
	}
	t.row("memory", fileSize(uint64(v.MemoryBytes)))
	t.row("fingerprint", v.Fingerprint)
	if v.Text != nil {
		printText(t, v.Summary, string(x.Text))
		return
	}
	if len(v.ClassNames) > 0 {
		t.line("")
		t.columns(column{title: "CLASS"}, column{title: "TRAINING", right: true}, column{title: "VALIDATION", right: true})
		for i, name := range v.ClassNames {
			t.row(name, thousands(v.Train.PerClass[i]), thousands(v.Validation.PerClass[i]))
		}
		if v.Note != "" {
			t.line("note: %s", v.Note)
		}
	}
	printKinds(t, v.Kinds)
	rows := fmt.Sprintf("of the %s for training", plural(v.Train.Samples, "row"))
	printColumns(t, "targets, "+rows, "TARGET", v.Targets)
	printColumns(t, "columns, "+rows, "COLUMN", v.Columns)
	printColumns(t, fmt.Sprintf("pixels of the %s for training", plural(v.Train.Samples, "image")), "CHANNEL", v.Channels)
}

// printKinds prints what the columns of a table mean, and why; nothing for no columns.
func printKinds(t *table, kinds []dataset.ColumnKind) {
	if len(kinds) == 0 {
		return
	}
	t.line("")
	t.columns(column{title: "COLUMN"}, column{title: "KIND"}, column{title: "ROLE"}, column{title: "MISSING", right: true}, column{title: "WHY"})
	for _, c := range kinds {
		why := c.Reason
		if fill := c.Missing.String(); c.MissingCells > 0 && c.Role == "feature" {
			why += "; missing cells: " + fill
		}
		if k := c.Tokens; k != nil {
			why += fmt.Sprintf("; up to %s of each, in %s, with a vocabulary of %s", plural(k.MaxTokens, "token"), k.Tokenizer, thousands(k.Vocabulary))
		}
		t.row(c.Name, string(c.Kind), c.Role, thousands(c.MissingCells), why)
	}
}

// describeTask says what a task is.
func describeTask(task dataset.Task) string {
	switch task {
	case dataset.Regression:
		return "regression: predict quantities"
	case dataset.NextToken:
		return "next_token: continue text"
	case dataset.Classification:
	}
	return "classification: tell classes apart"
}

// printColumns prints figures of the training split; nothing for no columns.
func printColumns(t *table, title, what string, columns []dataset.ColumnSummary) {
	if len(columns) == 0 {
		return
	}
	t.line("\n%s", title)
	t.columns(column{title: what}, column{title: "MIN", right: true}, column{title: "MEAN", right: true},
		column{title: "MAX", right: true}, column{title: "STANDARD DEVIATION", right: true})
	for _, c := range columns {
		deviation := fmt.Sprintf("%.4g", c.StandardDeviation)
		if c.StandardDeviation == 0 {
			deviation = "constant"
		}
		t.row(c.Name, fmt.Sprintf("%.6g", c.Min), fmt.Sprintf("%.4g", c.Mean), fmt.Sprintf("%.6g", c.Max), deviation)
	}
}

// printText prints the size of a text and how it begins.
func printText(t *table, s dataset.Summary, begin string) {
	t.line("")
	t.columns(column{title: "SPLIT"}, column{title: "BYTES", right: true}, column{title: "CHARACTERS", right: true},
		column{title: "TOKENS", right: true}, column{title: "SAMPLES", right: true})
	t.row("training", thousands(s.Text.TrainBytes), thousands(s.Text.TrainCharacters),
		thousands(s.Text.TrainTokens), thousands(s.Train.Samples))
	t.row("validation", thousands(s.Text.ValidationBytes), thousands(s.Text.ValidationCharacters),
		thousands(s.Text.ValidationTokens), thousands(s.Validation.Samples))
	t.line("\nthe training split begins:\n%s", strings.TrimRight(begin, "\n"))
}

// drawnWidth is the number of characters that samples are drawn across.
const drawnWidth = 76

// drawnSamples is how many are drawn at most.
const drawnSamples = 6

// drawSamples draws the first images of the training split side by side, two
// pixels to a character; "" for what is not an image.
func drawSamples(x api.Inspection) string {
	s := x.Summary.Summary
	if len(s.SampleShape) != 3 || s.SampleShape[1] > drawnWidth {
		return ""
	}
	height, width, channels := s.SampleShape[0], s.SampleShape[1], s.SampleShape[2]
	n := min(drawnWidth/(width+2), len(x.Samples))
	lines := make([]strings.Builder, (height+1)/2)
	var names []string
	for i := range n {
		pixels := x.Samples[i].Pixels
		if class := x.Samples[i].Class; class >= 0 {
			names = append(names, visible(s.ClassNames[class]))
		}
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
	b.WriteString("the first of the training split: " + cmp.Or(strings.Join(names, ", "), plural(n, "image")) + "\n")
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

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"reprise/api"
)

func newRunsCompareCommand(env *environment) *cobra.Command {
	var format string
	var q api.CompareRequest
	c := &cobra.Command{
		Use:   "compare RUN RUN...",
		Short: "Show how runs differ, and their figures side by side",
		Long: `Compare lists the fields of the requests and of the data in which runs differ, and only
these, and then their figures, with the best of each marked *. The figures are those of
the best checkpoint of a run that has completed, and of the last one of any other.

Where the runs were not judged by the same validation samples it says so, since their
figures then say little about each other. Of runs that are folds of one request, it adds
the mean and the standard deviation of each figure.`,
		Example: `  reprise runs compare baseline latest
  reprise runs compare --group sweep
  reprise runs compare 20261130-101500-3f2a latest -o json`,
		Args: func(c *cobra.Command, args []string) error {
			byGroup := c.Flags().Changed("group")
			switch {
			case byGroup && len(args) > 0:
				return usageError(c, "give RUN or --group, not both")
			case byGroup && q.Group == "":
				return usageError(c, "--group is empty; name a group, or leave --group out")
			case byGroup:
				return nil
			}
			return usage(cobra.MinimumNArgs(2))(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			q.Runs = args
			return env.compareRuns(c.Context(), q, format)
		},
	}
	c.Flags().StringVar(&q.Group, "group", "", "compare the runs of `GROUP` that have begun, such as the folds of a request")
	addListFormat(c, &format)
	return c
}

func (env *environment) compareRuns(ctx context.Context, q api.CompareRequest, format string) error {
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		comparison, err := s.Compare(ctx, q)
		if err != nil {
			return asGiven(err, argument{field: "runs", flag: "RUN"}, argument{field: "group", flag: "--group"})
		}
		return env.listing(format, comparison, func(t *table) error {
			writeComparison(t, comparison)
			return nil
		})
	})
}

// writeComparison lists the runs, then what differs, then their figures.
func writeComparison(t *table, c api.Comparison) {
	labels := comparedLabels(c.Runs)
	t.columns(column{title: "RUN"}, column{title: "SHOWN AS", cut: 8}, column{title: "STATE"}, column{title: "EPOCH", right: true, drop: 7},
		column{title: "STEP", right: true, drop: 6}, column{title: "FORK OF", cut: 6, drop: 9}, column{title: "TAGS", cut: 6, drop: 8})
	for i, r := range c.Runs {
		state := string(r.State)
		if r.DeletedAt != nil {
			state += ", deleted"
		}
		t.row(string(r.RunID), labels[i], state, thousands(r.Epoch), thousands(r.FiguresStep), cmp.Or(string(r.ForkOf), "-"), cmp.Or(strings.Join(r.Tags, ", "), "-"))
	}
	for i, r := range c.Runs {
		if r.InitFrom != "" {
			t.line("%s begins with weights of %s", labels[i], r.InitFrom)
		}
	}
	t.line("")
	if len(c.Differences) == 0 {
		t.line("their requests and data are the same")
	} else {
		rows := make([]comparedRow, len(c.Differences))
		for i, d := range c.Differences {
			rows[i].name = d.Field
			for _, v := range d.Values {
				rows[i].cells = append(rows[i].cells, truncate(rawText(v), maxCompared))
			}
		}
		writeSideBySide(t, "DIFFERENCE", labels, rows, false)
	}
	t.line("")
	if len(c.Figures) == 0 {
		t.line("none of them has figures yet")
		return
	}
	rows := make([]comparedRow, len(c.Figures))
	for i, f := range c.Figures {
		rows[i].name = strings.ReplaceAll(f.Name, "_", " ")
		for j, v := range f.Values {
			cell := "- "
			if v != nil {
				cell = formatMetric(*v) + " "
			}
			if slices.Contains(f.Best, j) {
				cell = strings.TrimSpace(cell) + "*"
			}
			rows[i].cells = append(rows[i].cells, cell)
		}
	}
	writeSideBySide(t, "FIGURE", labels, rows, true)
	t.line("(* the best)")
	for _, set := range c.Folds {
		t.line("")
		writeFoldStatistics(t, set)
	}
	if ofOne := len(c.Folds) == 1 && len(c.Folds[0].Runs) == len(c.Runs); !c.SameData && !ofOne {
		t.line("\nThe runs were not judged by the same validation samples: their figures say little about each other.")
	}
}

// maxCompared is how many characters of a value are shown.
const maxCompared = 32

// comparedLabels are short names of runs: what they are called, or the end of the id where
// that is not unique.
func comparedLabels(runs []api.ComparedRun) []string {
	labels := make([]string, len(runs))
	for i, r := range runs {
		same := 0
		for _, other := range runs {
			if other.Name == r.Name {
				same++
			}
		}
		if labels[i] = shortEnd(string(r.RunID)); r.Name != "" && same == 1 {
			labels[i] = truncate(r.Name, maxLabel)
		}
	}
	return labels
}

// maxLabel is how many characters of a name head a column.
const maxLabel = 16

// comparedRow is a field or a figure, with a cell for each run.
type comparedRow struct {
	name  string
	cells []string
}

// writeSideBySide lists rows with a column for each run. Those that have no room in the
// terminal follow below.
func writeSideBySide(t *table, title string, labels []string, rows []comparedRow, right bool) {
	first := lipgloss.Width(title)
	for _, r := range rows {
		first = max(first, lipgloss.Width(visible(r.name)))
	}
	for from := 0; from < len(labels); {
		head := []column{{title: title, cut: 12}}
		to, width := from, first
		for ; to < len(labels); to++ {
			widest := lipgloss.Width(visible(labels[to]))
			for _, r := range rows {
				widest = max(widest, lipgloss.Width(visible(r.cells[to])))
			}
			if width += columnGap + widest; t.width > 0 && width > t.width && to > from {
				break
			}
			label := labels[to]
			if right {
				label += " "
			}
			head = append(head, column{title: label, right: right, cut: 8})
		}
		if from > 0 {
			t.line("")
		}
		t.columns(head...)
		for _, r := range rows {
			t.row(append([]string{r.name}, r.cells[from:to]...)...)
		}
		from = to
	}
	_ = t.flush() // which keeps the error
}

// rawText is a value of a request as people write it; "-" for none.
func rawText(raw json.RawMessage) string {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "-"
	case json.Unmarshal(raw, &text) == nil:
		return text
	}
	return string(raw)
}

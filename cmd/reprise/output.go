package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// The outputs of a listing.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// addListFormat adds the -o flag that every listing has.
func addListFormat(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", formatTable, "`FORMAT` of the output: table, json or yaml")
}

// listing prints v as JSON or YAML, or calls table for people.
func (env *environment) listing(format string, v any, table func(*table) error) error {
	switch format {
	case formatTable:
		t := newTable(env.stdout)
		if err := table(t); err != nil {
			return err
		}
		return t.flush()
	case formatJSON:
		raw, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.stdout, "%s\n", raw)
		return err
	case formatYAML:
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return err
		}
		_, err = env.stdout.Write(raw)
		return err
	}
	return checkListFormat(format)
}

// checkListFormat refuses an unknown output before anything is done for it.
func checkListFormat(format string) error {
	switch format {
	case formatTable, formatJSON, formatYAML:
		return nil
	}
	return badFormat(format, formatTable, formatJSON, formatYAML)
}

// badFormat refuses an output that a command does not have.
func badFormat(format string, formats ...string) error {
	return invalid(fmt.Errorf("--output: %q is not a format of this command; use %s", format, orList(formats)))
}

// table writes aligned columns.
type table struct {
	w *tabwriter.Writer
	// indent begins every row.
	indent string
}

func newTable(w io.Writer) *table {
	return &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// row writes one row; the first is the header.
func (t *table) row(cells ...string) {
	_, _ = fmt.Fprintln(t.w, t.indent+strings.Join(cells, "\t")) // flush returns the error
}

// line writes a line that takes no part in the columns.
func (t *table) line(format string, args ...any) {
	_ = t.w.Flush()
	_, _ = fmt.Fprintf(t.w, format+"\n", args...)
}

func (t *table) flush() error { return t.w.Flush() }

// count formats a number of things with separators: 60,000.
func count[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// some formats a number of things with their name: "1 run", "2 runs".
func some(n int, name string) string {
	if n != 1 {
		name += "s"
	}
	return count(n) + " " + name
}

// figure formats a loss or an accuracy for people.
func figure(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// stamp formats a time for people, in local time.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// span formats a duration for people: 1.4s, 12s, 3m05s, 2h10m.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

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
		if raw, err = yamlOf(raw); err != nil {
			return err
		}
		_, err = env.stdout.Write(raw)
		return err
	}
	return checkListFormat(format)
}

// checkListFormat refuses an unknown output before any work is done.
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

// table writes aligned columns that fit the terminal; see table_fit.go.
type table struct {
	w io.Writer
	// width is the terminal's in columns, 0 where nothing limits it.
	width int
	// indent begins every row.
	indent string
	// records has rows that the terminal is too narrow for printed as blocks of
	// names and values.
	records bool
	// head describes the columns of the rows that wait; nil for rows without one.
	head []column
	rows [][]string
	err  error // of writing
}

// newTable returns a table on w, as wide as w if that is a terminal.
func newTable(w io.Writer) *table {
	width, _ := terminalWidth(w)
	return &table{w: w, width: width}
}

// columns begins rows with a header.
func (t *table) columns(head ...column) {
	_ = t.flush() // which keeps the error
	t.head = head
}

// row writes one row, with control characters as escapes.
func (t *table) row(cells ...string) {
	shown := make([]string, len(cells))
	for i, cell := range cells {
		shown[i] = visible(cell)
	}
	t.rows = append(t.rows, shown)
}

// line writes a line that is not part of the columns, wrapped between words.
func (t *table) line(format string, args ...any) {
	_ = t.flush() // which keeps the error
	for l := range strings.SplitSeq(visibleLines(fmt.Sprintf(format, args...)), "\n") {
		t.write(wrapWords(l, t.width, ""))
	}
}

// flush writes the rows that wait, and returns the first error.
func (t *table) flush() error {
	for _, l := range t.fit() {
		t.write(l)
	}
	t.head, t.rows = nil, nil
	return t.err
}

func (t *table) write(line string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, strings.TrimRight(line, " "))
	}
}

// metricColumns are columns of figures that are never left out.
func metricColumns(titles ...string) []column {
	list := make([]column, len(titles))
	for i, title := range titles {
		list[i] = column{title: title, right: true}
	}
	return list
}

// timeOfDay cuts the date from a time that stamp made.
func timeOfDay(stamped string) string {
	_, clock, found := strings.Cut(stamped, " ")
	if !found {
		return stamped
	}
	return clock
}

// localTime formats a time for people, in local time.
func localTime(t time.Time) string { return t.Local().Format(tableTime) }

// tableTime is how tables print a time.
const tableTime = time.DateTime

package main

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"reprise/api"
	"reprise/training"
)

func runsTable(width int) string {
	var out strings.Builder
	t := &table{w: &out, width: width}
	t.columns(column{title: "RUN"}, column{title: "STEP", right: true, drop: 2},
		column{title: "AT", short: timeOfDay, drop: 1}, column{title: "DATA", cut: 8})
	t.row("20261130-042423-6d6f", "1,350", "2026-11-30 04:24:24", "a/long/path/to/data.csv")
	t.row("20261130-042424-sgzy", "5", "2026-11-30 04:24:28", "digits")
	_ = t.flush()
	return out.String()
}

// What stays of a listing of runs is ids and states, whole.
func TestAListOfRunsFitsNarrowTerminals(t *testing.T) {
	accuracy, loss := 0.5, 1.25
	run := api.Run{
		Result: api.Result{RunID: "20261130-042423-6d6f", State: training.Initializing, Epoch: 99_999, Step: 1_234_567, Metrics: api.Metrics{ValLoss: &loss, ValAccuracy: &accuracy}},
		Epochs: 100_000, TotalSteps: 9_000_000, Dataset: "/some/where/a-set-with-a-long-name.csv", ForkOf: "20261130-042400-aaaa", ForkStep: 1200,
		Name: "a-run-with-quite-a-long-name", Tags: []string{"first-of-several-tags", "second-of-several-tags"},
		Job: &api.Job{Group: "a-group-with-a-long-name", Owner: "somebody-else"},
	}
	for width, want := range map[int]string{
		100: "RUN NAME STATE EPOCH VAL LOSS ACCURACY DATA SET TAGS",
		80:  "RUN NAME STATE EPOCH VAL LOSS ACCURACY",
		60:  "RUN NAME STATE EPOCH",
		40:  "RUN STATE",
	} {
		var out strings.Builder
		l := &table{w: &out, width: width}
		writeRuns(l, []api.Run{run}, "me")
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if got := strings.Join(strings.Fields(lines[0]), " "); got != want {
			t.Errorf("in %d columns: %s, want %s", width, got, want)
		}
		for _, l := range lines {
			if lipgloss.Width(l) > width {
				t.Errorf("%d columns in %d: %q", lipgloss.Width(l), width, l)
			}
		}
		if !strings.Contains(lines[1], "20261130-042423-6d6f ") || !strings.Contains(lines[1], "initializing") {
			t.Errorf("in %d columns: %q", width, lines[1])
		}
	}
	var out strings.Builder
	l := &table{w: &out, width: 40}
	l.row("  cpu0", "A Processor With A Long Name", "healthy", "22.5 GiB free", "not leased")
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if want := "  cpu0  A Processor With A Long Name\n      healthy  22.5 GiB free\n      not leased\n"; out.String() != want {
		t.Errorf("cells of a narrow terminal:\n%swant\n%s", out.String(), want)
	}
}

func TestATableFitsTheTerminal(t *testing.T) {
	for width, want := range map[int]string{
		0: `RUN                    STEP  AT                   DATA
20261130-042423-6d6f  1,350  2026-11-30 04:24:24  a/long/path/to/data.csv
20261130-042424-sgzy      5  2026-11-30 04:24:28  digits
`,
		72: `RUN                    STEP  AT        DATA
20261130-042423-6d6f  1,350  04:24:24  a/long/path/to/data.csv
20261130-042424-sgzy      5  04:24:28  digits
`,
		50: `RUN                    STEP  AT        DATA
20261130-042423-6d6f  1,350  04:24:24  a/long/pat…
20261130-042424-sgzy      5  04:24:28  digits
`,
		40: `RUN                   AT        DATA
20261130-042423-6d6f  04:24:24  a/long/…
20261130-042424-sgzy  04:24:28  digits
(no room for STEP; -o json shows all
columns)
`,
		10: `RUN                   DATA
20261130-042423-6d6f  a/long/…
20261130-042424-sgzy  digits
(no room
for STEP
and AT; -o
json shows
all
columns)
`,
	} {
		if got := runsTable(width); got != want {
			t.Errorf("in %d columns:\n%swant\n%s", width, got, want)
		}
	}
	if wide := runsTable(1000); wide != runsTable(0) {
		t.Errorf("in 1000 columns:\n%s", wide)
	}
}

func TestTheLastColumnIsWrappedAndRecordsAreSetOut(t *testing.T) {
	show := func(records bool, width int) string {
		var out strings.Builder
		t := &table{w: &out, width: width, records: records}
		t.columns(column{title: "STEP", right: true}, column{title: "DATA", cut: 8, keepEnd: true}, column{title: "WHAT", wrap: 10})
		t.row("1,350", "a/long/path/to/data.csv", "the same bits as before")
		t.row("5", "digits", "")
		_ = t.flush()
		return out.String()
	}
	for _, c := range []struct {
		records bool
		width   int
		want    string
	}{
		{false, 0, ` STEP  DATA                     WHAT
1,350  a/long/path/to/data.csv  the same bits as before
    5  digits
`},
		{false, 46, ` STEP  DATA                     WHAT
1,350  a/long/path/to/data.csv  the same bits
                                as before
    5  digits
`},
		{false, 30, ` STEP  DATA         WHAT
1,350  …o/data.csv  the same
                    bits as
                    before
    5  digits
`},
		{true, 55, ` STEP  DATA                     WHAT
1,350  a/long/path/to/data.csv  the same bits as before
    5  digits
`},
		{true, 54, `step  1,350
data  a/long/path/to/data.csv
what  the same bits as before

step  5
data  digits
what
`},
	} {
		if got := show(c.records, c.width); got != c.want {
			t.Errorf("records %v in %d columns:\n%swant\n%s", c.records, c.width, got, c.want)
		}
	}
}

func TestRunsAreListedInANarrowTerminal(t *testing.T) {
	at := time.Date(2026, 11, 30, 4, 24, 24, 0, time.Local)
	loss, accuracy := 0.1234, 0.9861
	classes := api.Run{Result: api.Result{RunID: "20261130-042424-sgzy", State: training.Interrupted, Epoch: 67, Step: 3020,
		Metrics: api.Metrics{ValLoss: &loss, ValAccuracy: &accuracy}}, Epochs: 600, TotalSteps: 27000, Dataset: "digits", StartedAt: at}
	quantity := api.Run{Result: api.Result{RunID: "20261130-042425-6d6f", State: training.Completed, Epoch: 4, Step: 32,
		Metrics: api.Metrics{ValLoss: &loss}}, Epochs: 4, TotalSteps: 32, Dataset: "/home/ada/data/flats.csv", StartedAt: at}
	fork := quantity
	fork.ForkOf, fork.ForkStep = classes.RunID, 16
	show := func(width int, rows ...api.Run) string {
		var out strings.Builder
		t := &table{w: &out, width: width}
		writeRuns(t, rows, currentUser())
		_ = t.flush()
		return out.String()
	}
	// A regression has no accuracy, and so no column for one.
	if got, want := show(0, quantity), `RUN                   STATE      EPOCH   STEP  VAL LOSS  DATA SET                  SUBMITTED
20261130-042425-6d6f  completed    4/4  32/32    0.1234  /home/ada/data/flats.csv  2026-11-30 04:24:24
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := show(80, classes, quantity), `RUN                   STATE         EPOCH   STEP  VAL LOSS  ACCURACY  DATA SET
20261130-042424-sgzy  interrupted  67/600  3,020    0.1234    0.9861  digits
20261130-042425-6d6f  completed       4/4     32    0.1234         -  flats.csv
(no room for SUBMITTED; -o json shows all columns)
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := show(80, classes, fork), `RUN                   STATE         EPOCH  VAL LOSS  ACCURACY  DATA SET  FORK OF
20261130-042424-sgzy  interrupted  67/600    0.1234    0.9861  digits    -
20261130-042425-6d6f  completed       4/4    0.1234         -  …ats.csv  …-sgzy
(no room for SUBMITTED and STEP; -o json shows all columns)
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNamesAndValuesFitTheTerminal(t *testing.T) {
	show := func(width int) string {
		var out strings.Builder
		t := &table{w: &out, width: width, indent: "  "}
		t.row("data", "digits (1,437 training and 360 validation samples)")
		t.row("weights SHA-256", strings.Repeat("0", 64))
		t.line("\nand %d words", 3)
		_ = t.flush()
		return out.String()
	}
	for width, want := range map[int]string{
		0: `  data             digits (1,437 training and 360 validation samples)
  weights SHA-256  ` + strings.Repeat("0", 64) + `

and 3 words
`,
		60: `  data             digits (1,437 training and 360 validation
                   samples)
  weights SHA-256
` + strings.Repeat("0", 64) + `

and 3 words
`,
		70: `  data             digits (1,437 training and 360 validation samples)
  weights SHA-256
      ` + strings.Repeat("0", 64) + `

and 3 words
`,
	} {
		if got := show(width); got != want {
			t.Errorf("in %d columns:\n%swant\n%s", width, got, want)
		}
	}
}

// Whatever the columns are, no row is wider than the terminal unless nothing is
// left that may be dropped or cut, and what stays is aligned.
func TestRandomTablesFitTheTerminal(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := 1 + random.IntN(6)
		var out strings.Builder
		width := 1 + random.IntN(90)
		table := &table{w: &out, width: width}
		head, least := make([]column, n), -columnGap
		rows := make([][]string, random.IntN(4))
		for i := range rows {
			rows[i] = make([]string, n)
		}
		for i := range head {
			head[i] = column{title: strings.Repeat("T", 1+random.IntN(8)), right: random.IntN(2) == 0, drop: random.IntN(3),
				cut: random.IntN(2) * 10}
			widest := len(head[i].title)
			for _, r := range rows {
				r[i] = strings.Repeat("é", random.IntN(30))
				widest = max(widest, lipgloss.Width(r[i]))
			}
			if head[i].drop > 0 {
				continue
			}
			if head[i].cut > 0 {
				widest = min(widest, max(head[i].cut, len(head[i].title)))
			}
			least += columnGap + widest
		}
		if last := &head[n-1]; last.drop == 0 && last.cut == 0 && random.IntN(2) == 0 {
			last.wrap = 40 // wider than any cell: it must change nothing
		}
		table.columns(head...)
		for _, r := range rows {
			table.row(r...)
		}
		if err := table.flush(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		for _, l := range lines[:1+len(rows)] {
			if got := lipgloss.Width(l); got > max(width, least) {
				t.Errorf("seed %d: %d columns in %d, at least %d:\n%s", seed, got, width, least, out.String())
			}
		}
	}
}

func TestCommandsAreBrokenSoThatTheyCanBePasted(t *testing.T) {
	var out strings.Builder
	table := &table{w: &out, width: 40}
	table.command("  ", "reprise runs fork 20261130 --from 675 --set config.epochs=3")
	table.command("  ", "reprise runs verify 20261130")
	table.width = 0
	table.command("  ", "reprise runs fork 20261130 --from 675 --set config.epochs=3")
	want := `  reprise runs fork 20261130 \
      --from 675 --set config.epochs=3
  reprise runs verify 20261130
  reprise runs fork 20261130 --from 675 --set config.epochs=3
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	for word, want := range map[string]string{"/data/a-b_c.d": "/data/a-b_c.d", "a b": "'a b'", "it's": `'it'\''s'`, "": "''",
		"$HOME": "'$HOME'", "~": "'~'", "é": "'é'"} {
		if got := shellQuoted(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
}

func TestQuantitiesHaveTheDigitsThatSaySomething(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1.000", 0.5: "0.5000", 0.06699: "0.06699", 0.0021: "0.002100", 0.00012: "0.0001200", 0.0000717: "7.170e-05", 1.25: "1.250",
		12.345678: "12.35", 123.45678: "123.5", 1234.5678: "1235", 9999999: "9999999", 1.5e7: "1.500e+07", -2.5: "-2.500",
		math.Inf(1): "+Inf", math.NaN(): "NaN",
	} {
		if got := formatMetric(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 bytes", 1: "1 byte", 21_000: "21 kB", 11_594_722: "11.6 MB"} {
		if got := fileSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for text, want := range map[string]uint64{"0": 0, "1350": 1350, "1,350": 1350, "1,234,567": 1234567} {
		if got, err := parseCount(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ",", "1,35", "1,,350", "-1", "1,350,", "+5", "1.5", "99999999999999999999"} {
		if got, err := parseCount(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

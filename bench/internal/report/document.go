package report

import (
	"fmt"
	"strconv"
	"strings"

	"reprise/bench/internal/duel"
)

const head = `# Performance

<!-- Written by "make performance" from bench/results. Do not edit. -->

Training steps of Reprise and other frameworks, measured in turn on the same cores after
both computed the same losses from the same weights; then its actors and its event log
compared with others. [bench/README.md](../bench/README.md) describes the method;
"make performance-run" measures everything again.

`

const meaning = `## What a ratio means

Ours divided by theirs, both in work per second: 2 means that Reprise does twice as much
in the same time, and below 1 it is slower. Both sides start from the same weights and
use the same batches; their first five losses must agree to 1e-3, or an error replaces
the ratio. They take turns, round by round, and the best round of each counts. The peer
runs in its fastest configuration, chosen in trials beforehand and given in brackets.
Ours runs on 2 threads in training and on 1 in the matrix product. A bar is a goal that
was set in advance; lines without one are for information.

`

const trainingHead = `## Training steps

| work | model | optimiser | batch size |
| --- | --- | --- | --- |
| mlp | 784-512-256-10 | Adam | 128 |
| cnn | conv 3x3x32, pool, conv 3x3x64, pool, dense 128, dense 10, on 28x28 | Adam | 64 |
| gpt | 4 layers, width 128, 4 heads, context 128, vocabulary 96 | AdamW | 16 |
| resnet8 | 3 residual blocks of 16, 32, 64 channels, on 32x32x3 | SGD with momentum | 32 |

"malloc tuned" is PyTorch with a malloc that keeps freed memory (glibc's tunables), which
avoids most page faults. Its users do not run it that way, so the bar applies to the line
without it; the line with it shows how much of a ratio is due to memory.

`

const trainingEnd = `## The same training, the same loss

A GPT (4 layers, width 128, 4 heads, context 128, batch 16) learns the characters of
Newton's Opticks here and in PyTorch: from the same weights, on the same batches in the
same order, at the same learning rates (warm-up and cosine), with AdamW. Then both
evaluate the same validation windows. Ours may be worse by at most 0.01 nats per byte.

`

const actorsHead = `## Actors

Compared with the better of Hollywood and Proto.Actor in each figure. Every side runs in
its own process, ours with supervision, registry and recovery from panics. "tell" is one
sender and one actor, "tell 1000" one sender and a thousand actors, "ping-pong" eight
pairs. For bytes and times, which should be small, the ratio is theirs divided by ours.

`

const eventsHead = `## The event log

Ours keeps an index of event ids and a hash chain and checks every event that it reads;
PostgreSQL has a plain table with a unique (aggregate, version), JetStream a stream that
syncs every write. "Not durable" means without a sync.

`

const scalingHead = `## Scaling

The time of our step against a size, with all points of a curve measured in turn. On the
right of each figure, a step's time is divided by what it should be proportional to, the
samples or the multiply-adds of forward and backward, so that a cliff would show as a
rise. The MLP's width is that of both hidden layers at batch 128; the GPT has batch 4
along the width axis and 2048 tokens per step along the context axis; "attention" is its
kernel alone, forward and backward, on 4096 tokens.

`

const gorgonia = `GoMLX runs its pure-Go backend and Gorgonia its tape machine, each in the configuration that
was fastest here. GPT and ResNet-8 are compared with PyTorch only: of the Go peers, GoMLX
has no working gradient of a convolution on that backend and no GPT in this bench, and
Gorgonia runs only the MLP.

`

const reproduce = `## Measure it yourself

On Debian, with nothing else running:

    apt install python3-torch libopenblas-dev libdnnl-dev gcc postgresql
    make performance-run     # measures into bench/results, then writes this file
    make performance         # only writes this file from bench/results

Each part can also be measured separately, with one JSON line per figure: "make
bench-peers", "make bench-gemm", "make bench-scaling", "make bench-opticks", "make
bench-actors", "make bench-events".
`

// Document returns docs/performance.md.
func Document(r Results) []byte {
	d := &strings.Builder{}
	d.WriteString(head)
	machine(d, r.Machine)
	d.WriteString(meaning)
	d.WriteString(trainingHead)
	ratios(d, r.Peers)
	d.WriteString(gorgonia)
	failures(d, r.Peers)
	d.WriteString("## Matrix product\n\nOne thread each, M x N x K, float32.\n\n")
	ratios(d, r.Gemm)
	failures(d, r.Gemm)
	d.WriteString(trainingEnd)
	trainings(d, r.Training)
	d.WriteString(actorsHead)
	ratios(d, r.Actors)
	failures(d, r.Actors)
	d.WriteString(eventsHead)
	ratios(d, r.Events)
	failures(d, r.Events)
	d.WriteString(scalingHead)
	for _, axis := range axes() {
		scaling(d, axis, curves(r.Scaling, axis))
	}
	d.WriteString(reproduce)
	return []byte(d.String())
}

func machine(d *strings.Builder, m Machine) {
	d.WriteString("## Machine\n\n| | |\n| --- | --- |\n")
	row(d, "processor", fmt.Sprintf("%s, %s", m.CPU, count(m.Cores, "core")))
	row(d, "our kernels use", m.Features)
	row(d, "memory", fmt.Sprintf("%.1f GiB", float64(m.MemoryMiB)/1024))
	row(d, "system", m.System+", "+m.Go)
	row(d, "date", m.Date+" UTC")
	if m.Commit != "" {
		row(d, "commit", m.Commit)
	}
	row(d, "load before", m.Load+" (runnable processes; above 0.5, others used the cores)")
	d.WriteString("\n")
}

// ratios writes the lines as a table with their bars.
func ratios(d *strings.Builder, lines []duel.Line) {
	d.WriteString("| work | peer (its best configuration) | ours | theirs | unit | ratio | bar | |\n")
	d.WriteString("| --- | --- | ---: | ---: | --- | ---: | ---: | --- |\n")
	for _, l := range lines {
		goal := ""
		if b := bar(l); b > 0 {
			goal = "≥ " + figures(b)
		}
		row(d, l.Work, l.Peer, figures(l.Ours), figures(l.Theirs), l.Unit, ratio(l.Ratio), goal, verdict(l))
	}
	d.WriteString("\n")
}

// failures lists what could not be compared.
func failures(d *strings.Builder, lines []duel.Line) {
	title := "Not compared, with the peer's error:\n\n"
	for _, l := range lines {
		if l.Error != "" {
			fmt.Fprintf(d, "%s- %s, %s: `%s`\n", title, l.Peer, l.Work, strings.Join(strings.Fields(l.Error), " "))
			title = ""
		}
	}
	if title == "" {
		d.WriteString("\n")
	}
}

func trainings(d *strings.Builder, lines []duel.Training) {
	d.WriteString("| work | steps | ours | theirs | difference | unit | largest difference of a step's loss | at most | |\n")
	d.WriteString("| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |\n")
	for _, l := range lines {
		met := "met"
		if !(l.Difference <= duel.TrainingBar) {
			met = "**not met**"
		}
		row(d, l.Work+", "+l.Peer, strconv.Itoa(l.Steps), loss(l.Ours), loss(l.Theirs), fmt.Sprintf("%+.5f", l.Difference),
			l.Unit, loss(l.LargestStep), fmt.Sprint(duel.TrainingBar), met)
	}
	d.WriteString("\n")
}

// scaling writes the figure of an axis, its rises and its values.
func scaling(d *strings.Builder, axis string, all []curve) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(d, "### Against the %s\n\n![A step's time against the %s](%s)\n\n", axis, axis, figureName(axis))
	fmt.Fprintf(d, "| work | threads | largest rise of the cost between neighbours | at %s | |\n| --- | ---: | ---: | --- | --- |\n", axis)
	for _, c := range all {
		rise, from, to := steepest(c.points)
		seen := "no cliff"
		if !(rise < cliff) {
			seen = fmt.Sprintf("**a rise of %v or more**", cliff)
		}
		row(d, c.work, strconv.Itoa(c.threads), ratio(rise), fmt.Sprintf("%d to %d", from, to), seen)
	}
	fmt.Fprintf(d, "\nMilliseconds per step:\n\n| %s |", axis)
	for _, c := range all {
		fmt.Fprintf(d, " %s, %s |", c.work, count(c.threads, "thread"))
	}
	d.WriteString("\n| ---: |" + strings.Repeat(" ---: |", len(all)) + "\n")
	for _, v := range values(all) {
		cells := []string{strconv.Itoa(v)}
		for _, c := range all {
			cell := ""
			for _, p := range c.points {
				if p.Value == v {
					cell = figures(1e3 * p.Seconds)
				}
			}
			cells = append(cells, cell)
		}
		row(d, cells...)
	}
	d.WriteString("\n")
}

// values returns the values of all curves, in ascending order.
func values(all []curve) []int {
	seen := map[int]bool{}
	largest := 0
	for _, c := range all {
		for _, p := range c.points {
			seen[p.Value], largest = true, max(largest, p.Value)
		}
	}
	var out []int
	for v := range largest + 1 {
		if seen[v] {
			out = append(out, v)
		}
	}
	return out
}

// row writes a row of a table; a "|" within a cell would end it.
func row(d *strings.Builder, cells ...string) {
	for _, c := range cells {
		d.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	d.WriteString("|\n")
}

// figures returns a value with four digits, or a dash for none.
func figures(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func ratio(v float64) string {
	if v == 0 {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func loss(v float64) string { return strconv.FormatFloat(v, 'f', 5, 64) }

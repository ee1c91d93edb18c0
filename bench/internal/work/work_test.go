package work_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"reprise/bench/internal/wire"
	"reprise/bench/internal/work"
)

func named(t *testing.T, name string) work.Work {
	t.Helper()
	for _, w := range work.All() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no work %q", name)
	return work.Work{}
}

// torchNames returns the parameters of peers/torch/models.py, which refuses a
// file that lacks one or has another.
func torchNames(work string) []string {
	pair := func(name string) []string { return []string{name + ".weight", name + ".bias"} }
	var out []string
	switch work {
	case "gpt":
		out = append(pair("norm"), "tokens.weight", "positions.weight", "head.weight")
		for i := range 4 {
			for _, part := range []string{"norm1", "norm2", "qkv", "out", "up", "down"} {
				out = append(out, pair(fmt.Sprintf("blocks.%d.%s", i, part))...)
			}
		}
	case "resnet8":
		out = append(append(pair("norm"), pair("head")...), "conv.weight")
		for i := range 3 {
			block := fmt.Sprintf("blocks.%d.", i)
			out = append(out, block+"conv1.weight", block+"conv2.weight")
			out = append(out, append(pair(block+"norm1"), pair(block+"norm2")...)...)
			if i > 0 {
				out = append(out, append(pair(block+"shortcut_norm"), block+"shortcut.weight")...)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestNamesAreThoseOfPyTorch(t *testing.T) {
	for _, name := range []string{"gpt", "resnet8"} {
		w := named(t, name)
		file, err := w.File()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range file.Parameters() {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		if want := torchNames(name); !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\nwant\n%s", name, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}

// The names of MLP and CNN are ours; PyTorch takes them in the order of their
// layers.
func TestDenseNamesHaveALayerEach(t *testing.T) {
	for name, want := range map[string]int{"mlp": 6, "cnn": 8} {
		w := named(t, name)
		file, err := w.File()
		if err != nil {
			t.Fatal(err)
		}
		last := -1
		for i, p := range file.Parameters() {
			var layer int
			var kind string
			if _, err := fmt.Sscanf(p.Name, "layers.%d.%s", &layer, &kind); err != nil {
				t.Fatalf("%s: parameter %q: %v", name, p.Name, err)
			}
			if wantKind := [...]string{"weight", "bias"}[i%2]; kind != wantKind || i%2 == 0 && layer <= last || i%2 == 1 && layer != last {
				t.Errorf("%s: parameter %d is %q", name, i, p.Name)
			}
			last = layer
		}
		if got := len(file.Parameters()); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
	}
}

func TestFileIsTheSameEveryTimeAndFits(t *testing.T) {
	for _, w := range work.All() {
		a, err := w.File()
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.File()
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Tensors {
			p, q := a.Tensors[i], b.Tensors[i]
			n := 1
			for _, d := range p.Shape {
				n *= d
			}
			if n != len(p.Data) || p.Name != q.Name || !slices.Equal(p.Data, q.Data) {
				t.Errorf("%s: %s is not the same, or not of its shape", w.Name, p.Name)
			}
		}
	}
}

func TestOurLossesFallAndRepeat(t *testing.T) {
	w := named(t, "mlp")
	file, err := w.File()
	if err != nil {
		t.Fatal(err)
	}
	side, err := w.NewSide(file, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	first, err := side.Check()
	if err != nil {
		t.Fatal(err)
	}
	again, err := side.Check()
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != wire.CheckSteps || !slices.Equal(first, again) {
		t.Errorf("losses %v, then %v", first, again)
	}
	if math.Abs(float64(first[0])-math.Log(10)) > 0.5 {
		t.Errorf("loss %v at the start, want about ln 10", first[0])
	}
}

// Every point can be prepared and run; the test runs the smaller ones.
func TestScalingHasEveryAxisAndRuns(t *testing.T) {
	axes := map[string]int{}
	for _, s := range work.Scaling() {
		axes[s.Axis]++
		last := 0
		for _, p := range s.Points {
			if p.Value <= last || !(p.Units > 0) {
				t.Errorf("%s against %s: point %+v after %d", s.Work, s.Axis, p, last)
			}
			last = p.Value
		}
		side, err := s.Points[0].New(2)
		if err != nil {
			t.Fatalf("%s against %s: %v", s.Work, s.Axis, err)
		}
		values, err := side.Check()
		if err != nil || len(values) == 0 || values[0]-values[0] != 0 {
			t.Errorf("%s against %s: %v, error %v", s.Work, s.Axis, values[:min(1, len(values))], err)
		}
		if seconds, err := side.Run(1); err != nil || !(seconds > 0) {
			t.Errorf("%s against %s: %v s, error %v", s.Work, s.Axis, seconds, err)
		}
		side.Close()
	}
	if axes["batch"] != 2 || axes["width"] != 2 || axes["context"] != 2 {
		t.Errorf("series of each axis: %v", axes)
	}
}

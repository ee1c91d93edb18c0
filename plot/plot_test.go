package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
)

var update = flag.Bool("update-golden", false, "write the files in testdata") //nolint:gochecknoglobals // a flag of the tests

// losses is a chart as of a run: a band, dots, a guide, a logarithmic axis.
func losses() *Chart {
	training := Series{Name: "training", Color: 0}
	validation := Series{Name: "validation", Color: 1, Marks: LinesAndDots}
	for i := range 9 {
		v := 2.4 * math.Pow(0.4, float64(i))
		training.X, training.Y = append(training.X, float64(i*100)), append(training.Y, v)
		training.Low, training.High = append(training.Low, v*0.75), append(training.High, v*1.25)
		if i%2 == 1 {
			validation.X, validation.Y = append(validation.X, float64(i*100)), append(validation.Y, v*1.5+0.01)
		}
	}
	return &Chart{
		Title: "Loss of a <run>", Subtitle: "run r on data", Notes: []string{"left out: nothing"},
		X: Axis{Title: "step", Whole: true}, Y: Axis{Title: "cross-entropy (nats)", Log: true},
		Series: []Series{training, validation}, Guides: []Guide{{Name: "baseline, 2.3", Level: 2.3}},
	}
}

// roc is a square chart with curves that cross.
func roc() *Chart {
	return &Chart{
		Title: "ROC", Square: true, X: Axis{Title: "false positive rate", Fixed: true, Max: 1}, Y: Axis{Title: "true positive rate", Fixed: true, Max: 1},
		Series: []Series{
			{Name: "a, AUC 0.9", X: []float64{0, 0, 0.2, 1}, Y: []float64{0, 0.6, 1, 1}},
			{Name: "b, AUC 0.7", X: []float64{0, 0.1, 0.1, 1}, Y: []float64{0, 0, 0.8, 1}, Color: 7},
			{Name: "mean", X: []float64{0, 0.5, 1}, Y: []float64{0, 0.9, 1}, Color: Ink, Dashed: true},
		},
		Guides: []Guide{{Name: "chance", Diagonal: true}},
	}
}

// residuals is a cloud of points.
func residuals() *Chart {
	s := Series{Name: "a sample", Marks: Dots}
	for i := range 40 {
		s.X = append(s.X, float64(i*37%41)*1000)
		s.Y = append(s.Y, float64(i*17%23)-11)
	}
	return &Chart{Title: "Residuals", X: Axis{Title: "predicted"}, Y: Axis{Title: "true minus predicted"}, Series: []Series{s}, Guides: []Guide{{Name: "no error"}}}
}

func matrix(classes int) *Matrix {
	m := &Matrix{Title: "Confusion", Subtitle: "of a run", Rows: "true class", Columns: "predicted class"}
	for i := range classes {
		m.Classes = append(m.Classes, fmt.Sprintf("class %d", i))
		row := make([]int, classes)
		for j := range row {
			if row[j] = max(0, 1100-500*abs(i-j)-j); i == 1 && classes > 2 {
				row[j] = 0
			}
		}
		m.Counts = append(m.Counts, row)
	}
	return m
}

func pictures() map[string]Picture {
	return map[string]Picture{"losses": losses(), "roc": roc(), "residuals": residuals(), "matrix": matrix(3), "matrix-40": matrix(40)}
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; look at it, and if it is right: go test ./plot -update-golden\n%s", name, got)
	}
}

func TestSVG(t *testing.T) {
	for name, p := range pictures() {
		if name != "matrix-40" { // which is large, and like the other
			golden(t, name+".svg", SVG(p, 0))
		}
	}
}

func TestText(t *testing.T) {
	for name, p := range pictures() {
		for style, s := range map[string]Style{"unicode": {Width: 80, Height: 22}, "ascii": {Width: 60, Height: 16, ASCII: true}} {
			golden(t, name+"."+style+".txt", []byte(strings.Join(Text(p, s), "\n")+"\n"))
		}
	}
}

// Whatever the terminal, no line is wider, and ASCII is ASCII.
func TestTextFitsTheTerminal(t *testing.T) {
	for name, p := range pictures() {
		for _, width := range []int{30, 47, 80, 200} {
			for _, s := range []Style{{Width: width, Height: 24}, {Width: width, Height: 24, ASCII: true}, {Width: width, Height: 50, Color: true}} {
				for _, line := range Text(p, s) {
					if got := lipgloss.Width(line); got > width {
						t.Errorf("%s, %+v: a line of %d columns: %q", name, s, got, line)
					}
					if s.ASCII && strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' }) {
						t.Errorf("%s: not ASCII: %q", name, line)
					}
					if !s.Color && strings.Contains(line, "\x1b") {
						t.Errorf("%s: a color: %q", name, line)
					}
				}
			}
		}
		if !strings.Contains(strings.Join(Text(p, Style{Width: 80, Height: 22, Color: true}), ""), "\x1b[") {
			t.Errorf("%s: no color", name)
		}
	}
}

// Words that are too long are cut off wherever they are in a text.
func TestWrappedLinesFit(t *testing.T) {
	text := "a " + strings.Repeat("x", 12) + " b c"
	if got, want := wrapColumns(text, 10), []string{"a", "xxxxxxxxx…", "b c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	face := newTypeface()
	lines := face.wrap(text, smallSize, 60)
	for _, line := range lines {
		if face.width(line, smallSize) > 60 {
			t.Errorf("%q is too wide", line)
		}
	}
	if len(lines) != 3 || lines[2] != "b c" {
		t.Errorf("%q", lines)
	}
}

// The colors that tell curves apart in a terminal are marks where there are none.
func TestCurvesAreToldApartWithoutColors(t *testing.T) {
	text := strings.Join(Text(roc(), Style{Width: 80, Height: 24}), "\n")
	for i, s := range roc().Series {
		mark := seriesMark(s.Color, Style{})
		if strings.Count(text, mark) < 3 || !strings.Contains(text, mark+" "+s.Name) {
			t.Errorf("series %d is not drawn with %q:\n%s", i, mark, text)
		}
	}
}

func TestAnSVGIsWellFormedXMLWhateverTheNames(t *testing.T) {
	for _, name := range []string{`<script>alert("1")</script> & 'x'`, "bad \x00\x1b[31m bytes \xff\xfe", "日本語 العربية 🙂", strings.Repeat("very long ", 300), ""} {
		c := losses()
		c.Title, c.Subtitle, c.Notes, c.X.Title, c.Y.Title, c.Series[0].Name = name, name, []string{name}, name, name, name
		m := matrix(3)
		m.Title, m.Rows, m.Columns, m.Classes[1] = name, name, name, name
		for _, p := range []Picture{c, m} {
			texts := 0
			for d := xml.NewDecoder(bytes.NewReader(SVG(p, 300))); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%q: %v", name, err)
				}
				if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
					t.Errorf("%q became an element", name)
				} else if ok && e.Name.Local == "text" {
					texts++
				}
			}
			if texts < 5 {
				t.Errorf("%q: %d texts", name, texts)
			}
			if err := PNG(io.Discard, p, 300); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			Text(p, Style{Width: 80, Height: 24})
		}
	}
}

// pixels returns the pixels of a picture.
func pixels(t *testing.T, p Picture, width int) (image.Image, []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := PNG(&b, p, width); err != nil {
		t.Fatal(err)
	}
	raw := bytes.Clone(b.Bytes())
	m, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return m, raw
}

// count returns how many pixels have about a color.
func count(m image.Image, c color) (n int) {
	box := m.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b, _ := m.At(x, y).RGBA()
			if abs(int(r>>8)-int(c.r)) < 12 && abs(int(g>>8)-int(c.g)) < 12 && abs(int(b>>8)-int(c.b)) < 12 {
				n++
			}
		}
	}
	return n
}

// A PNG has the curves of its SVG, in their colors and about as long, each time the same.
func TestPNG(t *testing.T) {
	m, first := pixels(t, losses(), 800)
	if got := m.Bounds().Size(); got != (image.Point{800, 480}) {
		t.Errorf("it has %v pixels", got)
	}
	for i := range 2 { // 700 pixels long, 2 wide
		if n := count(m, palette(i)); n < 600 || n > 4000 {
			t.Errorf("%d pixels have the color of series %d", n, i)
		}
	}
	if n := count(m, palette(2)); n > 0 {
		t.Errorf("%d pixels have a color that no series has", n)
	}
	if n := count(m, ink()); n < 300 {
		t.Errorf("%d pixels of texts", n)
	}
	if _, again := pixels(t, losses(), 800); !bytes.Equal(first, again) {
		t.Error("the same picture gives other bytes")
	}
	if double, _ := pixels(t, roc(), 0); double.Bounds().Dx() != 2*squareWidth {
		t.Errorf("without a width it has %v pixels", double.Bounds())
	}
}

// Where a line crosses itself, or its strokes overlap, it does not cancel itself.
func TestStrokesThatOverlapAreSolid(t *testing.T) {
	c := &canvas{image: image.NewRGBA(image.Rect(0, 0, 40, 40)), scale: 1}
	c.draw(&path{points: []position{{5, 5}, {35, 35}, {35, 5}, {5, 35}, {5, 5}, {35, 35}}, stroke: opaque(0xff0000), width: 4})
	for _, at := range []image.Point{{20, 20}, {35, 20}, {5, 20}, {34, 34}, {10, 10}} {
		if r, _, _, a := c.image.At(at.X, at.Y).RGBA(); r != 0xffff || a != 0xffff {
			t.Errorf("the pixel at %v is %v", at, c.image.At(at.X, at.Y))
		}
	}
}

func TestDashesAreAsLongAsTheyShouldBe(t *testing.T) {
	var lengths []float64
	for _, p := range dashed([]position{{0, 0}, {10, 0}, {10, 5}}, []float64{4, 2}) {
		length := 0.0
		for i := 1; i < len(p); i++ {
			length += math.Hypot(p[i].x-p[i-1].x, p[i].y-p[i-1].y)
		}
		lengths = append(lengths, length)
	}
	if !slices.Equal(lengths, []float64{4, 4, 3}) {
		t.Errorf("%v", lengths)
	}
	if got := dashed([]position{{0, 0}, {1, 0}}, nil); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestTicksAreRoundNumbers(t *testing.T) {
	for _, c := range []struct {
		axis   Axis
		values []float64
		want   string
	}{
		{Axis{Fixed: true, Max: 1}, nil, "0 0.2 0.4 0.6 0.8 1.0"},
		{Axis{Whole: true}, []float64{1, 5}, "1 2 3 4 5"},
		{Axis{Whole: true}, []float64{0, 48_000}, "0 10,000 20,000 30,000 40,000"},
		{Axis{}, []float64{-3e-7, 3e-7}, "-2e-7 0 2e-7"},
		{Axis{}, []float64{1e9, 1.5e9}, "1.0e9 1.1e9 1.2e9 1.3e9 1.4e9 1.5e9"},
		{Axis{}, []float64{0, 7e307, 1e308}, "0 2e307 4e307 6e307"},
		{Axis{}, []float64{7, 7}, "6.5 7.0 7.5"},
		{Axis{}, []float64{0}, "-1.0 -0.5 0 0.5 1.0"},
		{Axis{}, nil, "0 0.2 0.4 0.6 0.8 1.0"},
		{Axis{}, []float64{math.NaN(), math.Inf(1), 2, 4}, "2.0 2.5 3.0 3.5 4.0"},
		{Axis{Log: true}, []float64{0.001, 10}, "0.001 0.01 0.1 1 10"},
		{Axis{Log: true}, []float64{0.02, 3}, "0.02 0.05 0.1 0.2 0.5 1 2"},
		{Axis{Log: true}, []float64{1e-12, 1e12}, "1e-12 1e-7 0.01 1,000 1e8"},
		{Axis{Log: true}, []float64{0.5, 3}, "0.5 1.0 1.5 2.0 2.5 3.0"}, // no two decades
		{Axis{Log: true}, []float64{0, 1000}, "0 200 400 600 800 1,000"},
	} {
		var labels []string
		s := newScale(c.axis, c.values, 6)
		last := math.Inf(-1)
		for _, tick := range s.ticks {
			if tick.label != "" {
				labels = append(labels, tick.label)
			}
			if tick.value <= last || !s.shows(tick.value) || s.at(tick.value) < -1e-6 || s.at(tick.value) > 1+1e-6 {
				t.Errorf("%+v %v: tick %v after %v is at %v", c.axis, c.values, tick.value, last, s.at(tick.value))
			}
			last = tick.value
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("%+v %v: %s, want %s", c.axis, c.values, got, c.want)
		}
	}
}

// Whatever the numbers, drawing ends, and no coordinate of a file is not a number.
func TestAnyNumbersCanBeDrawn(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1, -1, 5e-324, math.MaxFloat64, -math.MaxFloat64, 1e300}
	for _, a := range odd {
		for _, b := range odd {
			for _, marks := range []Marks{Lines, LinesAndDots, Dots} {
				s := Series{X: []float64{a, b, 2}, Y: []float64{b, 1, a}, Low: []float64{a, b, 1}, High: []float64{b, a, 3}, Counts: []int{0, 5, 1 << 40}, Marks: marks}
				c := &Chart{Series: []Series{s, {}}, Y: Axis{Log: true}, Guides: []Guide{{Level: a}, {Diagonal: true}}}
				if svg := SVG(c, 0); bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
					t.Fatalf("%v, %v: %s", a, b, svg)
				}
				Text(c, Style{Width: 40, Height: 12})
			}
		}
	}
	if err := PNG(io.Discard, &Matrix{}, 0); err != nil {
		t.Error(err)
	}
	Text(&Matrix{}, Style{})
}

func TestTheCommonestConfusionsAreFound(t *testing.T) {
	m := &Matrix{Classes: []string{"a", "b"}, Counts: [][]int{{9, 3}, {4, 0}}}
	if got := strings.Join(m.worst(5), "; "); got != "b taken for a: 4; a taken for b: 3" {
		t.Errorf("%s", got)
	}
}

func TestSharesAreRoundedButNeverToAllOrNothing(t *testing.T) {
	for share, want := range map[float64]string{0: "0%", 0.001: "<1%", 0.25: "25%", 0.999: ">99%", 1: "100%"} {
		if got := percent(share); got != want {
			t.Errorf("%v: %s, want %s", share, got, want)
		}
	}
}

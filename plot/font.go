package plot

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// typeface is the font that texts are measured by, and drawn with in PNG. It is not safe
// for concurrent use.
type typeface struct {
	font   *sfnt.Font
	buffer sfnt.Buffer
}

func newTypeface() *typeface {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic("plot: the font is part of the program, and damaged: " + err.Error())
	}
	return &typeface{font: f}
}

// unitsPerEm is the size in which glyphs are measured: large, so that nothing is rounded.
const unitsPerEm = 2048

// advance returns the width of a character at size 1.
func (t *typeface) advance(r rune) float64 {
	glyph, err := t.font.GlyphIndex(&t.buffer, r)
	if err != nil || glyph == 0 {
		return 1 // as wide as the widest, for letters that the font does not have
	}
	a, err := t.font.GlyphAdvance(&t.buffer, glyph, fixed.I(unitsPerEm), font.HintingNone)
	if err != nil {
		return 1
	}
	return float64(a) / 64 / unitsPerEm
}

// otherFonts is how much wider a text may be in the other fonts of an SVG.
const otherFonts = 1.04

// width returns how wide a text is at most, also in the other fonts of an SVG.
func (t *typeface) width(s string, size float64) (w float64) {
	for _, r := range s {
		w += t.advance(r)
	}
	return w * size * otherFonts
}

// cut shortens a text to a width.
func (t *typeface) cut(s string, size, width float64) string {
	const more = "…"
	room, own, fits := width-t.width(more, size), 0.0, 0
	for i, r := range s {
		own += t.width(string(r), size)
		if own > width {
			return s[:fits] + more
		}
		if own <= room {
			fits = i + utf8.RuneLen(r)
		}
	}
	return s
}

// wrap breaks a text between words.
func (t *typeface) wrap(s string, size, width float64) []string {
	return wrapped(s, func(line string) string { return t.cut(line, size, width) })
}

// wrapped breaks a text between words where cut would shorten the line, and cuts off what
// is too long by itself.
func wrapped(text string, cut func(string) string) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && cut(longer) != longer {
			lines = append(lines, cut(line))
			longer = word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, cut(line))
	}
	return lines
}

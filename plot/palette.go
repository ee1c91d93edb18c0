package plot

import "math"

// color is a color with its opacity, from 0 to 1.
type color struct {
	r, g, b uint8
	a       float64
}

func opaque(rgb uint32) color { return color{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 1} }

func (c color) faded(a float64) color {
	c.a = a
	return c
}

func ink() color     { return opaque(0x222222) }
func muted() color   { return opaque(0x5f5f5f) }
func grid() color    { return opaque(0xe4e4e4) }
func faint() color   { return opaque(0xf3f3f3) }
func guiding() color { return opaque(0x8a8a8a) }
func paper() color   { return opaque(0xffffff) }

// paletteSize is how many colors there are.
const paletteSize = 10

// palette returns a color that people who see few colors can tell from the others of a
// picture: those of Okabe and Ito, but for their yellow, which is too light for a line, then
// four of Paul Tol's. The second half is also drawn with other dashes.
func palette(i int) color {
	if i == Ink {
		return ink()
	}
	return opaque([paletteSize]uint32{
		0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x882255, 0x999933, 0x332288, 0x7f4f24,
	}[i%paletteSize])
}

// dashes returns the lengths of strokes and gaps of a series; nil for none.
func (s *Series) dashes() []float64 {
	switch {
	case s.Dashed:
		return []float64{7, 4}
	case s.Color != Ink && s.Color%paletteSize >= 6:
		return []float64{2, 2.5}
	}
	return nil
}

// shade returns the color of a share of a row of a matrix: from paper to a dark blue, with
// more steps for small shares, which mistakes are.
func shade(share float64) color {
	share = math.Pow(share, shadeExponent)
	mix := func(from, to float64) uint8 { return uint8(from + float64((to-from)*share) + 0.5) }
	return color{mix(250, 8), mix(251, 64), mix(253, 129), 1}
}

const shadeExponent = 0.6

// dark reports whether texts on the shade of a share have to be light.
func dark(share float64) bool { return math.Pow(share, shadeExponent) > 0.55 }

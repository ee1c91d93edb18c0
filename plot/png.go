package plot

import (
	"image"
	colors "image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// PNG writes a picture as a PNG image of a width in pixels; 0 stands for twice the picture's
// own width, which is sharp on any screen.
func PNG(w io.Writer, p Picture, width int) error {
	s := p.scene()
	scale := 2.0
	if width > 0 {
		scale = float64(width) / s.width
	}
	c := &canvas{
		image: image.NewRGBA(image.Rect(0, 0, max(1, int(math.Round(s.width*scale))), max(1, int(math.Round(s.height*scale))))),
		scale: scale, face: s.face,
	}
	draw.Draw(c.image, c.image.Bounds(), image.NewUniform(c.color(paper())), image.Point{}, draw.Src)
	for _, it := range s.items {
		c.draw(it)
	}
	return png.Encode(w, c.image)
}

// canvas draws items onto an image.
type canvas struct {
	image *image.RGBA
	scale float64
	face  *typeface
}

func (c *canvas) color(of color) colors.NRGBA {
	return colors.NRGBA{of.r, of.g, of.b, uint8(of.a*255 + 0.5)}
}

func (c *canvas) draw(it item) {
	switch it := it.(type) {
	case *rectangle:
		c.fill([]outline{polygon(it.position, position{it.x + it.width, it.y}, position{it.x + it.width, it.y + it.height}, position{it.x, it.y + it.height})}, it.fill)
	case *dot:
		c.fill([]outline{circle(it.position, it.radius)}, it.fill)
	case *path:
		if it.fill.a > 0 {
			c.fill([]outline{polygon(it.points...)}, it.fill)
			return
		}
		for _, piece := range dashed(it.points, it.dashes) {
			c.fill(stroked(piece, it.width), it.stroke)
		}
	case *label:
		c.fill(c.glyphs(it), it.fill)
	}
}

// outline is a closed curve: where it begins, and what follows.
type outline struct {
	from     position
	segments []segment
}

// segment is a line to its last point, or a Bézier curve of degree 2 or 3.
type segment []position

func polygon(points ...position) outline {
	o := outline{from: points[0]}
	for _, p := range points[1:] {
		o.segments = append(o.segments, segment{p})
	}
	return o
}

// circle returns a circle of four curves, whose error is below a thousandth of the radius.
func circle(at position, r float64) outline {
	k := 0.5523 * r
	p := func(dx, dy float64) position { return position{at.x + dx, at.y + dy} }
	return outline{p(r, 0), []segment{
		{p(r, k), p(k, r), p(0, r)}, {p(-k, r), p(-r, k), p(-r, 0)}, {p(-r, -k), p(-k, -r), p(0, -r)}, {p(k, -r), p(r, -k), p(r, 0)},
	}}
}

// stroked returns the outlines that a line of a width covers together: a rectangle for each
// of its parts, and a circle at each joint. All run the same way, so that they do not cancel
// each other where they overlap.
func stroked(points []position, width float64) (list []outline) {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		if length == 0 {
			continue
		}
		dx, dy := (b.x-a.x)/length*width/2, (b.y-a.y)/length*width/2
		list = append(list, polygon(position{a.x + dy, a.y - dx}, position{b.x + dy, b.y - dx}, position{b.x - dy, b.y + dx}, position{a.x - dy, a.y + dx}))
		if i > 1 {
			list = append(list, circle(a, width/2))
		}
	}
	return list
}

// dashed returns the strokes of a line.
func dashed(points []position, dashes []float64) (pieces [][]position) {
	if len(dashes) == 0 {
		return [][]position{points}
	}
	var piece []position
	at, left, on := 0, dashes[0], true
	for i, b := range points {
		if i == 0 {
			piece = []position{b}
			continue
		}
		a := points[i-1]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		gone := 0.0
		for length-gone > left {
			gone += left
			p := position{a.x + (b.x-a.x)*gone/length, a.y + (b.y-a.y)*gone/length}
			if on {
				pieces = append(pieces, append(piece, p))
			}
			piece, on, at = []position{p}, !on, (at+1)%len(dashes)
			left = dashes[at]
		}
		left -= length - gone
		if on {
			piece = append(piece, b)
		}
	}
	if on && len(piece) > 1 {
		pieces = append(pieces, piece)
	}
	return pieces
}

// fill fills what outlines cover together.
func (c *canvas) fill(list []outline, with color) {
	if len(list) == 0 {
		return
	}
	low, high := list[0].from, list[0].from
	each := func(p position) {
		low, high = position{math.Min(low.x, p.x), math.Min(low.y, p.y)}, position{math.Max(high.x, p.x), math.Max(high.y, p.y)}
	}
	for _, o := range list {
		each(o.from)
		for _, s := range o.segments {
			for _, p := range s {
				each(p)
			}
		}
	}
	box := image.Rect(int(math.Floor(low.x*c.scale)), int(math.Floor(low.y*c.scale)), int(math.Ceil(high.x*c.scale)), int(math.Ceil(high.y*c.scale)))
	if box = box.Intersect(c.image.Bounds()); box.Empty() {
		return
	}
	r := vector.NewRasterizer(box.Dx(), box.Dy())
	to := func(p position) (x, y float32) {
		return float32(p.x*c.scale - float64(box.Min.X)), float32(p.y*c.scale - float64(box.Min.Y))
	}
	for _, o := range list {
		r.MoveTo(to(o.from))
		for _, s := range o.segments {
			x, y := to(s[len(s)-1])
			switch len(s) {
			case 1:
				r.LineTo(x, y)
			case 2:
				x1, y1 := to(s[0])
				r.QuadTo(x1, y1, x, y)
			case 3:
				x1, y1 := to(s[0])
				x2, y2 := to(s[1])
				r.CubeTo(x1, y1, x2, y2, x, y)
			}
		}
		r.ClosePath()
	}
	r.Draw(c.image, box, image.NewUniform(c.color(with)), image.Point{})
}

// glyphs returns the outlines of a text.
func (c *canvas) glyphs(l *label) (list []outline) {
	f := c.face
	x := -[...]float64{0, 0.5, 1}[l.anchor] * f.width(l.text, l.size) / otherFonts
	for _, r := range l.text {
		// A letter that the font does not have is its glyph 0, a box.
		glyph, err := f.font.GlyphIndex(&f.buffer, r)
		if err != nil {
			glyph = 0
		}
		segments, err := f.font.LoadGlyph(&f.buffer, glyph, fixed.I(unitsPerEm), nil)
		if err == nil {
			list = append(list, outlinesOf(segments, func(p fixed.Point26_6) position {
				dx, dy := x+float64(p.X)/64/unitsPerEm*l.size, float64(p.Y)/64/unitsPerEm*l.size
				if l.turned {
					return position{l.x + dy, l.y - dx}
				}
				return position{l.x + dx, l.y + dy}
			})...)
		}
		if a, err := f.font.GlyphAdvance(&f.buffer, glyph, fixed.I(unitsPerEm), font.HintingNone); err == nil {
			x += float64(a) / 64 / unitsPerEm * l.size
		}
	}
	return list
}

func outlinesOf(segments sfnt.Segments, at func(fixed.Point26_6) position) (list []outline) {
	for _, s := range segments {
		if s.Op == sfnt.SegmentOpMoveTo {
			list = append(list, outline{from: at(s.Args[0])})
			continue
		}
		last := &list[len(list)-1]
		points := [...]int{sfnt.SegmentOpLineTo: 1, sfnt.SegmentOpQuadTo: 2, sfnt.SegmentOpCubeTo: 3}[s.Op]
		var to segment
		for _, p := range s.Args[:points] {
			to = append(to, at(p))
		}
		last.segments = append(last.segments, to)
	}
	return list
}

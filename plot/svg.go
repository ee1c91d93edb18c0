package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// SVG returns a picture as an SVG document of a width in pixels; 0 stands for the picture's
// own width.
func SVG(p Picture, width int) []byte {
	s := p.scene()
	wide := s.width
	if width > 0 {
		wide = float64(width)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" role="img" font-family="Go, Helvetica, Arial, 'Liberation Sans', sans-serif">`+"\n",
		number(wide), number(s.height*wide/s.width), number(s.width), number(s.height))
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n", escaped(s.title), escaped(s.about))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="%s"/>`+"\n", paint(paper()))
	for _, it := range s.items {
		writeItem(&b, it)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func writeItem(b *bytes.Buffer, it item) {
	switch it := it.(type) {
	case *rectangle:
		fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n", number(it.x), number(it.y), number(it.width), number(it.height), paint(it.fill))
	case *dot:
		fmt.Fprintf(b, `<circle cx="%s" cy="%s" r="%s" fill="%s"%s/>`+"\n", number(it.x), number(it.y), number(it.radius), paint(it.fill), opacity("fill", it.fill))
	case *path:
		writePath(b, it)
	case *label:
		fmt.Fprintf(b, `<text x="%s" y="%s" font-size="%s" fill="%s"`, number(it.x), number(it.y), number(it.size), paint(it.fill))
		if it.anchor != start {
			fmt.Fprintf(b, ` text-anchor="%s"`, [...]string{"start", "middle", "end"}[it.anchor])
		}
		if it.turned {
			fmt.Fprintf(b, ` transform="rotate(-90 %s %s)"`, number(it.x), number(it.y))
		}
		fmt.Fprintf(b, ">%s</text>\n", escaped(it.text))
	}
}

func writePath(b *bytes.Buffer, p *path) {
	b.WriteString(`<path d="`)
	for i, at := range p.points {
		command := " "
		if i == 0 {
			command = "M"
		}
		b.WriteString(command + number(at.x) + "," + number(at.y))
	}
	if p.fill.a > 0 {
		fmt.Fprintf(b, `Z" fill="%s"%s/>`+"\n", paint(p.fill), opacity("fill", p.fill))
		return
	}
	fmt.Fprintf(b, `" fill="none" stroke="%s"%s stroke-width="%s"`, paint(p.stroke), opacity("stroke", p.stroke), number(p.width))
	if len(p.points) > 2 {
		b.WriteString(` stroke-linejoin="round"`)
	}
	if p.dashes != nil {
		var list []string
		for _, d := range p.dashes {
			list = append(list, number(d))
		}
		fmt.Fprintf(b, ` stroke-dasharray="%s"`, strings.Join(list, " "))
	}
	b.WriteString("/>\n")
}

func number(v float64) string { return strconv.FormatFloat(round2(v)+0, 'f', -1, 64) }

func paint(c color) string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

func opacity(of string, c color) string {
	if c.a >= 1 {
		return ""
	}
	return fmt.Sprintf(` %s-opacity="%s"`, of, number(c.a))
}

// escaped writes a text for XML; what XML does not allow becomes a mark.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer does not fail
	return b.String()
}

package imagefile

import (
	"bytes"
	"image"
	"image/color"
)

// to8 returns the 8 bits that are nearest to 16.
func to8(v uint16) uint8 { return uint8((255*uint32(v) + 32767) / 65535) }

// over returns a value of a pixel that lies on white, by its alpha.
func over(c, a uint8) uint8 {
	return uint8((uint32(c)*uint32(a) + 255*(255-uint32(a)) + 127) / 255)
}

// under returns a value that has been multiplied by its alpha, on white.
func under(c, a uint8) uint8 { return c + (255 - max(a, c)) }

// onWhite returns a color as it is on a white ground.
func onWhite(c color.Color) (r, g, b uint8) {
	switch c := c.(type) {
	case color.Gray:
		return c.Y, c.Y, c.Y
	case color.Gray16:
		v := to8(c.Y)
		return v, v, v
	case color.YCbCr:
		return color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
	case color.NYCbCrA:
		r, g, b = color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		return over(r, c.A), over(g, c.A), over(b, c.A)
	case color.CMYK:
		return color.CMYKToRGB(c.C, c.M, c.Y, c.K)
	case color.NRGBA:
		return over(c.R, c.A), over(c.G, c.A), over(c.B, c.A)
	case color.NRGBA64:
		a := to8(c.A)
		return over(to8(c.R), a), over(to8(c.G), a), over(to8(c.B), a)
	case color.RGBA:
		return under(c.R, c.A), under(c.G, c.A), under(c.B, c.A)
	}
	r16, g16, b16, a16 := c.RGBA()
	a := to8(uint16(a16))
	return under(to8(uint16(r16)), a), under(to8(uint16(g16)), a), under(to8(uint16(b16)), a)
}

// pixelsOf returns the pixels of an image. The cases for single types do what slowPixels
// does, faster.
func pixelsOf(m image.Image) Pixels {
	b := m.Bounds()
	p := Pixels{Height: b.Dy(), Width: b.Dx(), Channels: 3}
	switch m := m.(type) {
	case *image.Gray:
		p.Channels, p.Data = 1, make([]byte, 0, p.Height*p.Width)
		for y := range p.Height {
			p.Data = append(p.Data, m.Pix[y*m.Stride:y*m.Stride+p.Width]...)
		}
		return p
	case *image.Gray16:
		p.Channels, p.Data = 1, make([]byte, 0, p.Height*p.Width)
		for y := range p.Height {
			for x := range p.Width {
				p.Data = append(p.Data, to8(m.Gray16At(b.Min.X+x, b.Min.Y+y).Y))
			}
		}
		return p
	case *image.YCbCr:
		p.Data = make([]byte, 0, 3*p.Height*p.Width)
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				at := m.COffset(x, y)
				red, green, blue := color.YCbCrToRGB(m.Y[m.YOffset(x, y)], m.Cb[at], m.Cr[at])
				p.Data = append(p.Data, red, green, blue)
			}
		}
		return p
	case *image.Paletted:
		entries := make([][3]byte, len(m.Palette))
		for i, c := range m.Palette {
			entries[i][0], entries[i][1], entries[i][2] = onWhite(c)
		}
		p.Data = make([]byte, 0, 3*p.Height*p.Width)
		for y := range p.Height {
			for _, v := range m.Pix[y*m.Stride : y*m.Stride+p.Width] {
				entry := [3]byte{255, 255, 255} // of an index without an entry
				if int(v) < len(entries) {
					entry = entries[v]
				}
				p.Data = append(p.Data, entry[:]...)
			}
		}
		return p
	case *image.NRGBA:
		return rgba(p, m.Pix, m.Stride, over)
	case *image.RGBA:
		return rgba(p, m.Pix, m.Stride, under)
	}
	return slowPixels(m)
}

// rgba returns the pixels of rows of red, green, blue and alpha.
func rgba(p Pixels, pix []byte, stride int, on func(c, a uint8) uint8) Pixels {
	p.Data = make([]byte, 0, 3*p.Height*p.Width)
	for y := range p.Height {
		for x := range p.Width {
			v := pix[y*stride+4*x : y*stride+4*x+4]
			if v[3] == 255 {
				p.Data = append(p.Data, v[:3]...)
			} else {
				p.Data = append(p.Data, on(v[0], v[3]), on(v[1], v[3]), on(v[2], v[3]))
			}
		}
	}
	return p
}

// slowPixels returns the pixels of an image of any type, in color.
func slowPixels(m image.Image) Pixels {
	b := m.Bounds()
	p := Pixels{Height: b.Dy(), Width: b.Dx(), Channels: 3}
	p.Data = make([]byte, 0, 3*p.Height*p.Width)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			red, green, blue := onWhite(m.At(x, y))
			p.Data = append(p.Data, red, green, blue)
		}
	}
	return p
}

// onGround returns the image at a place of a white one.
func (p Pixels) onGround(at image.Point, height, width int) Pixels {
	if at == (image.Point{}) && p.Height == height && p.Width == width {
		return p
	}
	out := Pixels{Height: height, Width: width, Channels: p.Channels, Data: bytes.Repeat([]byte{255}, height*width*p.Channels)}
	for y := range p.Height {
		copy(out.Data[((at.Y+y)*width+at.X)*p.Channels:], p.Data[y*p.Width*p.Channels:(y+1)*p.Width*p.Channels])
	}
	return out
}

// turned returns the image as it is to be shown by an orientation of Exif.
func (p Pixels) turned(orientation int) Pixels {
	if orientation <= 1 {
		return p
	}
	out := Pixels{Height: p.Height, Width: p.Width, Channels: p.Channels, Data: make([]byte, 0, len(p.Data))}
	if orientation >= 5 {
		out.Height, out.Width = p.Width, p.Height
	}
	for y := range out.Height {
		for x := range out.Width {
			row, column := y, x
			if orientation >= 5 { // rows are columns
				row, column = x, y
			}
			switch orientation {
			case 3, 4, 6, 7: // from the last row
				row = p.Height - 1 - row
			}
			switch orientation {
			case 2, 3, 7, 8: // from the last column
				column = p.Width - 1 - column
			}
			at := (row*p.Width + column) * p.Channels
			out.Data = append(out.Data, p.Data[at:at+p.Channels]...)
		}
	}
	return out
}

// In returns the image with 1 or 3 channels.
func (p Pixels) In(channels int) Pixels {
	if p.Channels == channels {
		return p
	}
	out := Pixels{Height: p.Height, Width: p.Width, Channels: channels, Data: make([]byte, 0, p.Height*p.Width*channels)}
	if channels == 3 {
		for _, v := range p.Data {
			out.Data = append(out.Data, v, v, v)
		}
		return out
	}
	for at := 0; at < len(p.Data); at += 3 {
		r, g, b := uint32(p.Data[at]), uint32(p.Data[at+1]), uint32(p.Data[at+2])
		out.Data = append(out.Data, uint8((299*r+587*g+114*b+500)/1000))
	}
	return out
}

package imagefile

import (
	"bufio"
	"errors"
	"image/color"
	"io"
	"slices"
)

// The parts of a GIF that tell its colors (GIF89a, sections 18 to 26):
//
//	6 bytes     GIF87a or GIF89a
//	7 bytes     the logical screen: the fifth has the flags of the global color table
//	3 n bytes   the global color table, if there is one
//	blocks      0x21, a label and sub-blocks: an extension
//	            0x2c and 9 bytes, the last with the flags of a local color table: an image
const (
	gifExtension      = 0x21
	gifImage          = 0x2c
	gifGraphicControl = 0xf9
	gifHasTable       = 0x80
	gifTableSize      = 0x07
)

var errGIF = errors.New("gif: there is no image where one should be")

// firstPalette returns the palette of the first image of a GIF, as gif.Decode gives it,
// without reading its pixels: its own color table or else the global one, in which the
// transparent color is color.RGBA{}.
func firstPalette(in io.Reader) (color.Palette, error) {
	r := gifReader{bufio.NewReader(in)}
	head, err := r.next(13)
	if err != nil {
		return nil, err
	}
	global, err := r.table(head[10])
	if err != nil {
		return nil, err
	}
	transparent := -1
	for {
		block, err := r.ReadByte()
		switch {
		case err != nil:
			return nil, err
		case block == gifImage:
			descriptor, err := r.next(9)
			if err != nil {
				return nil, err
			}
			palette, err := r.table(descriptor[8])
			if err != nil {
				return nil, err
			}
			if palette == nil {
				palette = global
			}
			return withTransparent(palette, transparent), nil
		case block != gifExtension:
			return nil, errGIF
		}
		if err := r.extension(&transparent); err != nil {
			return nil, err
		}
	}
}

// withTransparent makes an entry of a palette transparent, -1 for none, and adds it if
// need be.
func withTransparent(p color.Palette, entry int) color.Palette {
	if entry < 0 {
		return p
	}
	for len(p) <= entry {
		p = append(p, color.RGBA{})
	}
	p[entry] = color.RGBA{}
	return p
}

type gifReader struct{ *bufio.Reader }

// next returns the next n bytes.
func (r gifReader) next(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// table returns a color table, nil if the flags say that there is none.
func (r gifReader) table(flags byte) (color.Palette, error) {
	if flags&gifHasTable == 0 {
		return nil, nil
	}
	b, err := r.next(3 << (1 + flags&gifTableSize))
	if err != nil {
		return nil, err
	}
	var p color.Palette
	for entry := range slices.Chunk(b, 3) {
		p = append(p, color.RGBA{entry[0], entry[1], entry[2], 0xff})
	}
	return p, nil
}

// extension reads an extension, which may say which color is transparent. All of its
// blocks begin with their size, and the last one is empty.
func (r gifReader) extension(transparent *int) error {
	label, err := r.ReadByte()
	for first := true; err == nil; first = false {
		var size byte
		if size, err = r.ReadByte(); err != nil || size == 0 {
			break
		}
		var b []byte
		if b, err = r.next(int(size)); err == nil && first && label == gifGraphicControl && size == 4 && b[0]&1 != 0 {
			*transparent = int(b[3])
		}
	}
	return err
}

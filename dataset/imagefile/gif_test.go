package imagefile

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// headReader fails where it is read beyond some bytes.
type headReader struct {
	io.ReaderAt
	end int64
}

var errBeyond = errors.New("read beyond the headers")

func (r headReader) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) <= r.end {
		return r.ReaderAt.ReadAt(p, at)
	}
	n, err := r.ReaderAt.ReadAt(p[:max(0, r.end-at)], at)
	if err == nil {
		err = errBeyond
	}
	return n, err
}

// The palette that Probe goes by is that of gif.Decode, wherever the file has it, and it is
// found without the pixels.
func TestTheColorsOfAGIFAreFoundInItsHeaders(t *testing.T) {
	const side = 400
	random := rand.New(rand.NewPCG(1, 2))
	gray := color.Palette{color.Gray{0}, color.Gray{90}}
	colors := color.Palette{color.Gray{0}, color.RGBA{200, 10, 10, 255}}
	hidden := color.Palette{color.Gray{0}, color.RGBA{}} // transparent, and white in the end
	for name, c := range map[string]struct {
		global, local color.Palette
		gray          bool
	}{
		"its own, gray":              {nil, gray, true},
		"its own, color":             {nil, colors, false},
		"its own, beside the global": {colors, gray, true},
		"the global, gray":           {gray, gray, true},
		"the global, color":          {colors, colors, false},
		"transparent":                {nil, hidden, true},
	} {
		frame := image.NewPaletted(image.Rect(0, 0, side, side), c.local)
		for i := range frame.Pix {
			frame.Pix[i] = byte(random.Uint32()) & 1
		}
		config := image.Config{Width: side, Height: side}
		if c.global != nil {
			config.ColorModel = c.global
		}
		var out bytes.Buffer
		// Two frames, so that there is an extension about loops before the first.
		if err := gif.EncodeAll(&out, &gif.GIF{Image: []*image.Paletted{frame, frame}, Delay: []int{0, 0}, Config: config}); err != nil {
			t.Fatal(err)
		}
		content := out.Bytes()
		info, err := Probe(headReader{bytes.NewReader(content), 4096 + HeadBytes}, int64(len(content)))
		if err != nil || info.Gray != c.gray || len(content) < 3*4096 {
			t.Errorf("%s: %+v, %v, of %d bytes", name, info, err, len(content))
		}
		want, err := gif.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		palette, err := firstPalette(bytes.NewReader(content))
		if err != nil || !slices.Equal(palette, want.ColorModel().(color.Palette)) {
			t.Errorf("%s: %v, %v, want %v", name, palette, err, want.ColorModel())
		}
		for _, end := range []int{13, 20, 40} {
			if palette, err := firstPalette(bytes.NewReader(content[:end])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d bytes of it: %v, %v", name, end, palette, err)
			}
		}
	}
}

// A transparent color beyond the palette extends it, as in gif.Decode.
func TestATransparentColorMayLieBeyondThePalette(t *testing.T) {
	frame := image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.Gray{0}, color.RGBA{}})
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}}); err != nil {
		t.Fatal(err)
	}
	content := out.Bytes()
	at := bytes.Index(content, []byte{gifExtension, gifGraphicControl, 4})
	content[at+6] = 9
	want, err := gif.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	palette, err := firstPalette(bytes.NewReader(content))
	if err != nil || !slices.Equal(palette, want.ColorModel().(color.Palette)) || len(palette) != 10 {
		t.Errorf("%v, %v, want %v", palette, err, want.ColorModel())
	}
}

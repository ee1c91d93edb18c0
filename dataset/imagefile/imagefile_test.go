package imagefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// encode returns an image in a format that has an encoder.
func encode(t testing.TB, f Format, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch f {
	case PNG:
		err = png.Encode(&out, m)
	case JPEG:
		err = jpeg.Encode(&out, m, &jpeg.Options{Quality: 100})
	case GIF:
		err = gif.Encode(&out, m, nil)
	case BMP:
		err = bmp.Encode(&out, m)
	case TIFF:
		err = tiff.Encode(&out, m, &tiff.Options{Compression: tiff.Deflate})
	case WebP:
		t.Fatal("there is no encoder for WebP")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// webP returns a lossless WebP of pixels that have the green of low where the function says
// false and that of high where it says true, and are red 10, blue 30 and opaque. meta are
// chunks that follow the image, for which a chunk before it says that they come.
func webP(width, height int, low, high uint8, isHigh func(x, y int) bool, exif []byte) []byte {
	var bits []byte
	n := 0
	put := func(v, width int) {
		for i := range width {
			if n%8 == 0 {
				bits = append(bits, 0)
			}
			bits[n/8] |= byte(v>>i&1) << (n % 8)
			n++
		}
	}
	put(0x2f, 8)
	put(width-1, 14)
	put(height-1, 14)
	put(0, 1+3)   // no alpha, version 0
	put(0, 1+1+1) // no transform, no cache, one group of codes
	put(1, 1)     // a simple code
	put(1, 1)     // of two symbols
	put(1, 1)     // of 8 bits
	put(int(low), 8)
	put(int(high), 8)
	for _, symbol := range []int{10, 30, 255, 0} { // red, blue, alpha, distance
		put(1, 1)
		put(0, 1)
		put(1, 1)
		put(symbol, 8)
	}
	for y := range height {
		for x := range width {
			bit := 0
			if isHigh(x, y) {
				bit = 1
			}
			put(bit, 1)
		}
	}
	chunk := func(name string, data []byte) []byte {
		out := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data)))
		out = append(out, data...)
		return append(out, make([]byte, len(data)%2)...)
	}
	var chunks []byte
	if exif != nil {
		head := []byte{1 << 3, 0, 0, 0, byte(width - 1), 0, 0, byte(height - 1), 0, 0}
		chunks = chunk("VP8X", head)
	}
	chunks = append(chunks, chunk("VP8L", bits)...)
	if exif != nil {
		chunks = append(chunks, chunk("EXIF", exif)...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunks))), append([]byte("WEBP"), chunks...)...)
}

func mustDecode(t testing.TB, content []byte) (Pixels, Info) {
	t.Helper()
	p, info, err := Decode(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	return p, info
}

func TestGrayIsReadAsItWasWritten(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 5, 3))
	for i := range m.Pix {
		m.Pix[i] = uint8(17 * i)
	}
	grays := make(color.Palette, 256)
	for i := range grays {
		grays[i] = color.Gray{uint8(i)}
	}
	paletted := image.NewPaletted(m.Bounds(), grays)
	copy(paletted.Pix, m.Pix)
	for _, f := range []Format{PNG, BMP, GIF, TIFF} {
		for _, m := range []image.Image{m, paletted} {
			content := encode(t, f, m)
			p, info := mustDecode(t, content)
			want := Info{Format: f, Height: 3, Width: 5, Gray: true, Bytes: int64(len(content)), orientation: 1}
			if _, plain := m.(*image.Gray); info != want && (f != GIF || !plain) { // as gif.Encode chooses colors
				t.Errorf("%s of %T: %+v, want %+v", f, m, info, want)
			}
			if _, plain := m.(*image.Gray); f == GIF && plain {
				continue
			}
			if got := p.In(1); !slices.Equal(got.Data, paletted.Pix) {
				t.Errorf("%s of %T: %v, want %v", f, m, got.Data, paletted.Pix)
			}
		}
	}
}

func TestColorIsReadAsItWasWritten(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 4, 3))
	want := make([]byte, 0, 36)
	for i := range 12 {
		c := color.NRGBA{uint8(20 * i), uint8(250 - 20*i), uint8(7 * i), 255}
		m.Set(i%4, i/4, c)
		want = append(want, c.R, c.G, c.B)
	}
	for _, f := range []Format{PNG, BMP, TIFF} {
		p, info := mustDecode(t, encode(t, f, m))
		if info.Gray || p.Channels != 3 || !slices.Equal(p.Data, want) {
			t.Errorf("%s: %+v %v, want %v", f, info, p, want)
		}
	}
	p, info := mustDecode(t, webP(3, 2, 20, 200, func(x, y int) bool { return x == 1 && y == 0 }, nil))
	if want := []byte{10, 20, 30, 10, 200, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30}; info.Gray || info.Format != WebP || !slices.Equal(p.Data, want) {
		t.Errorf("WebP: %+v %v, want %v", info, p.Data, want)
	}
	even := image.NewGray(image.Rect(0, 0, 9, 9))
	for i := range even.Pix {
		even.Pix[i] = 77
	}
	p, info = mustDecode(t, encode(t, JPEG, even))
	if !info.Gray || p.Channels != 1 || p.Height != 9 || p.Width != 9 || slices.ContainsFunc(p.Data, func(v byte) bool { return v != 77 }) {
		t.Errorf("JPEG: %+v %v", info, p)
	}
}

// A JPEG is lossy, and the pixels that a decoder makes of it are those of a model's
// training. Another Go may decode others: then this fails, and recorded fingerprints change.
func TestTheDecoderOfJPEGMakesTheSamePixelsAsEver(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 24, 16))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i / 7)
	}
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	p, _ := mustDecode(t, encode(t, JPEG, m))
	if got, want := crc32.ChecksumIEEE(p.Data), uint32(0x2f04eff7); got != want {
		t.Errorf("the pixels have the checksum %#x, want %#x", got, want)
	}
}

func TestTransparentPixelsLieOnWhite(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 4, 1))
	m.SetNRGBA(0, 0, color.NRGBA{200, 100, 0, 255})
	m.SetNRGBA(1, 0, color.NRGBA{200, 100, 0, 128})
	m.SetNRGBA(2, 0, color.NRGBA{200, 100, 0, 1})
	m.SetNRGBA(3, 0, color.NRGBA{200, 100, 0, 0})
	p, _ := mustDecode(t, encode(t, PNG, m))
	if want := []byte{200, 100, 0, 227, 177, 127, 255, 254, 254, 255, 255, 255}; !slices.Equal(p.Data, want) {
		t.Errorf("%v, want %v", p.Data, want)
	}
}

func TestAFrameOfAGIFLiesWhereItBelongs(t *testing.T) {
	frame := image.NewPaletted(image.Rect(1, 1, 3, 2), color.Palette{color.Gray{0}, color.Gray{90}})
	frame.Pix[1] = 1
	var out bytes.Buffer
	err := gif.EncodeAll(&out, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 4, Height: 3}})
	if err != nil {
		t.Fatal(err)
	}
	p, info := mustDecode(t, out.Bytes())
	if want := []byte{255, 255, 255, 255, 255, 0, 90, 255, 255, 255, 255, 255}; info.Height != 3 || info.Width != 4 || !slices.Equal(p.In(1).Data, want) {
		t.Errorf("%+v %v, want %v", info, p.In(1).Data, want)
	}
}

func TestColorBecomesGray(t *testing.T) {
	p := Pixels{Height: 1, Width: 5, Channels: 3, Data: []byte{255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 255, 255, 255}}
	if got := p.In(1).Data; !slices.Equal(got, []byte{76, 150, 29, 9, 255}) {
		t.Errorf("%v", got)
	}
	if got := (Pixels{Height: 1, Width: 2, Channels: 1, Data: []byte{7, 8}}).In(3).Data; !slices.Equal(got, []byte{7, 7, 7, 8, 8, 8}) {
		t.Errorf("%v", got)
	}
}

// Every type of image has the pixels that the plain loop gives it.
func TestFastPixelsAreThoseOfThePlainLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fill := func(p []byte) {
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
	}
	r := image.Rect(-3, 2, 8, 9)
	gray, gray16, rgba := image.NewGray(r), image.NewGray16(r), image.NewRGBA(r)
	nrgba, nrgba64, rgba64, cmyk := image.NewNRGBA(r), image.NewNRGBA64(r), image.NewRGBA64(r), image.NewCMYK(r)
	palette := color.Palette{color.NRGBA{1, 2, 3, 100}, color.RGBA{5, 6, 7, 255}, color.Gray{9}, color.RGBA{}}
	paletted := image.NewPaletted(r, palette)
	ycbcr, nycbcra := image.NewYCbCr(r, image.YCbCrSubsampleRatio420), image.NewNYCbCrA(r, image.YCbCrSubsampleRatio444)
	for _, p := range [][]byte{
		gray.Pix, gray16.Pix, rgba.Pix, nrgba.Pix, nrgba64.Pix, cmyk.Pix, ycbcr.Y, ycbcr.Cb, ycbcr.Cr, nycbcra.Y, nycbcra.Cb, nycbcra.Cr, nycbcra.A,
	} {
		fill(p)
	}
	for i := range paletted.Pix {
		paletted.Pix[i] = byte(rng.IntN(len(palette)))
	}
	draw.Draw(rgba64, r, nrgba64, r.Min, draw.Src)
	draw.Draw(rgba, r, nrgba, r.Min, draw.Src)
	inner := image.Rect(-1, 3, 6, 8)
	for _, m := range []interface {
		image.Image
		SubImage(image.Rectangle) image.Image
	}{gray, gray16, rgba, nrgba, nrgba64, rgba64, cmyk, paletted, ycbcr, nycbcra} {
		for _, m := range []image.Image{m, m.SubImage(inner)} {
			got, want := pixelsOf(m), slowPixels(m)
			if got.Height != want.Height || got.Width != want.Width || !slices.Equal(got.In(3).Data, want.Data) {
				t.Errorf("%T of %v: %v, want %v", m, m.Bounds(), got, want)
			}
		}
	}
}

// exact is what Resize computes, written as its definition in rational numbers.
func exact(p Pixels, height, width int) []byte {
	weights := func(old, n, i int) map[int]*big.Rat {
		w := map[int]*big.Rat{}
		if n <= old {
			low, high := big.NewRat(int64(i*old), int64(n)), big.NewRat(int64((i+1)*old), int64(n))
			for j := range old {
				from, to := big.NewRat(int64(j), 1), big.NewRat(int64(j+1), 1)
				if from.Cmp(low) < 0 {
					from = low
				}
				if to.Cmp(high) > 0 {
					to = high
				}
				if to.Cmp(from) > 0 {
					w[j] = new(big.Rat).Quo(new(big.Rat).Sub(to, from), big.NewRat(int64(old), int64(n)))
				}
			}
			return w
		}
		// the center of the new pixel among those of the old ones
		at := new(big.Rat).Sub(big.NewRat(int64((2*i+1)*old), int64(2*n)), big.NewRat(1, 2))
		for j := range old {
			far := new(big.Rat).Sub(at, big.NewRat(int64(j), 1))
			if j == 0 && far.Sign() < 0 || j == old-1 && far.Sign() > 0 {
				far.SetInt64(0)
			}
			if near := new(big.Rat).Sub(big.NewRat(1, 1), far.Abs(far)); near.Sign() > 0 {
				w[j] = near
			}
		}
		return w
	}
	var out []byte
	for y := range height {
		for x := range width {
			for c := range p.Channels {
				sum := big.NewRat(1, 2)
				for j, wy := range weights(p.Height, height, y) {
					for i, wx := range weights(p.Width, width, x) {
						term := new(big.Rat).Mul(wy, wx)
						sum.Add(sum, term.Mul(term, big.NewRat(int64(p.Data[(j*p.Width+i)*p.Channels+c]), 1)))
					}
				}
				out = append(out, byte(new(big.Int).Quo(sum.Num(), sum.Denom()).Int64()))
			}
		}
	}
	return out
}

func TestResizeIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		p := Pixels{Height: 1 + rng.IntN(9), Width: 1 + rng.IntN(9), Channels: 1 + 2*rng.IntN(2)}
		for range p.Height * p.Width * p.Channels {
			p.Data = append(p.Data, byte(255*rng.IntN(2))) // halves come up, and are rounded up
		}
		height, width := 1+rng.IntN(12), 1+rng.IntN(12)
		got := p.Resize(height, width)
		if want := exact(p, height, width); got.Height != height || got.Width != width || !slices.Equal(got.Data, want) {
			t.Fatalf("%+v to %d x %d: %v, want %v", p, height, width, got.Data, want)
		}
	}
}

func TestResizeByHand(t *testing.T) {
	p := Pixels{Height: 2, Width: 3, Channels: 1, Data: []byte{0, 10, 20, 30, 40, 51}}
	for _, c := range []struct {
		height, width int
		want          []byte
	}{
		{1, 1, []byte{25}},     // 151/6
		{2, 1, []byte{10, 40}}, // 121/3
		{1, 2, []byte{18, 32}}, // (0+30+(10+40)/2)/3, (20+51+(10+40)/2)/3
		{2, 6, []byte{0, 3, 8, 13, 18, 20, 30, 33, 38, 43, 48, 51}},
	} {
		if got := p.Resize(c.height, c.width).Data; !slices.Equal(got, c.want) {
			t.Errorf("%d x %d: %v, want %v", c.height, c.width, got, c.want)
		}
	}
}

// exifOf returns Exif data with an orientation, in either byte order.
func exifOf(orientation int, order binary.AppendByteOrder, more ...[2]uint32) []byte {
	out := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		out = []byte("MM\x00*")
	}
	out = order.AppendUint32(out, 8)
	out = order.AppendUint16(out, uint16(1+len(more)))
	out = order.AppendUint16(out, tagOrientation)
	out = order.AppendUint16(out, 3)
	out = order.AppendUint32(out, 1)
	out = order.AppendUint16(out, uint16(orientation))
	out = order.AppendUint16(out, 0)
	for _, entry := range more {
		out = order.AppendUint16(out, uint16(entry[0]))
		out = order.AppendUint16(out, 4)
		out = order.AppendUint32(out, 1)
		out = order.AppendUint32(out, entry[1])
	}
	return order.AppendUint32(out, 0)
}

// withExif puts Exif data into a PNG or a JPEG.
func withExif(f Format, content, exif []byte) []byte {
	if f == JPEG {
		exif = append([]byte("Exif\x00\x00"), exif...)
		segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xff, 0xe1}, uint16(2+len(exif)))
		return slices.Concat(content[:2], segment, exif, content[2:])
	}
	chunk := append([]byte("eXIf"), exif...)
	sum := crc32.ChecksumIEEE(chunk)
	chunk = binary.BigEndian.AppendUint32(append(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), chunk...), sum)
	end := len(content) - 12 // after the pixels, before the end
	return slices.Concat(content[:end], chunk, content[end:])
}

// tiffOf returns an uncompressed TIFF of 2 x 3 gray pixels with an orientation.
func tiffOf(orientation int, pixels []byte) []byte {
	o := binary.LittleEndian
	entries := [][2]uint32{{0x100, 3}, {0x101, 2}, {0x102, 8}, {0x103, 1}, {0x106, 1}, {0x111, 8}, {tagOrientation, uint32(orientation)},
		{0x115, 1}, {0x116, 2}, {0x117, 6}}
	out := o.AppendUint32([]byte("II*\x00"), 14)
	out = append(out, pixels...)
	out = o.AppendUint16(out, uint16(len(entries)))
	for _, e := range entries {
		out = o.AppendUint16(out, uint16(e[0]))
		out = o.AppendUint16(out, 3)
		out = o.AppendUint32(out, 1)
		out = o.AppendUint32(out, e[1])
	}
	return o.AppendUint32(out, 0)
}

func TestImagesAreTurnedAsExifSays(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(m.Pix, []byte{1, 2, 3, 4, 5, 6})
	// What is to be seen when 1 2 3 over 4 5 6 is stored.
	seen := [9][]byte{
		nil, {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
		{1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4},
	}
	plain := encode(t, PNG, m)
	for turn := 1; turn <= 8; turn++ {
		var order binary.AppendByteOrder = binary.LittleEndian
		if turn%2 == 0 {
			order = binary.BigEndian
		}
		for name, content := range map[string][]byte{"PNG": withExif(PNG, plain, exifOf(turn, order)), "TIFF": tiffOf(turn, m.Pix)} {
			p, info := mustDecode(t, content)
			high := 2
			if turn >= 5 {
				high = 3
			}
			if info.Height != high || p.Height != high || !slices.Equal(p.Data, seen[turn]) {
				t.Errorf("%s with orientation %d: %+v %v, want %v", name, turn, info, p, seen[turn])
			}
		}
	}
	if p, _ := mustDecode(t, withExif(PNG, plain, exifOf(9, binary.LittleEndian))); !slices.Equal(p.Data, m.Pix) {
		t.Errorf("an orientation that does not exist: %v", p)
	}
	photo := image.NewGray(image.Rect(0, 0, 16, 8))
	if _, info := mustDecode(t, withExif(JPEG, encode(t, JPEG, photo), exifOf(6, binary.BigEndian))); info.Height != 16 || info.Width != 8 {
		t.Errorf("JPEG: %+v", info)
	}
	p, info := mustDecode(t, webP(3, 2, 20, 200, func(x, y int) bool { return x == 2 && y == 0 }, exifOf(3, binary.LittleEndian)))
	if info.Height != 2 || p.Data[3*3+1] != 200 || p.Data[1] != 20 {
		t.Errorf("WebP: %+v %v", info, p)
	}
}

// problemOf returns what is wrong with a file; "" for nothing.
func problemOf(content []byte) string {
	_, _, err := Decode(context.Background(), content)
	if bad := new(Error); errors.As(err, &bad) {
		return bad.One
	}
	if err != nil {
		return "another error: " + err.Error()
	}
	return ""
}

// pngOf returns the beginning of a PNG of some size.
func pngOf(width, height uint32) []byte {
	chunk := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	chunk = append(binary.BigEndian.AppendUint32(chunk, height), 8, 0, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
}

func TestFilesThatAreNotReadSayWhy(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	for i := range m.Pix {
		m.Pix[i] = uint8(i*i) | 0x80
	}
	for _, f := range []Format{PNG, JPEG, GIF, BMP, TIFF} {
		content := encode(t, f, m)
		if got := problemOf(content); got != "" {
			t.Errorf("%s: %s", f, got)
		}
		if got := problemOf(content[:len(content)/2]); got != "is truncated" && (f != TIFF || got != "cannot be decoded") {
			_, _, err := Decode(t.Context(), content[:len(content)/2])
			t.Errorf("half a %s: %v", f, err)
		}
	}
	if got := problemOf(webP(30, 30, 1, 2, func(x, y int) bool { return x > y }, nil)[:60]); got != "is truncated" && got != "cannot be decoded" {
		t.Errorf("half a WebP: %q", got)
	}
	large := webP(3, 3, 1, 2, func(int, int) bool { return false }, nil)
	copy(large[21:], "\xff\xff\xff\x0f") // 16384 x 16384
	for _, c := range []struct {
		content []byte
		want    string
	}{
		{nil, "is not an image by its content"},
		{[]byte("<html>not found</html>"), "is not an image by its content"},
		{[]byte("BMW is a maker of cars, and this is text"), "is not an image by its content"},
		{[]byte("\x00\x00\x00\x18ftypheic\x00\x00"), "is in the format HEIC, which is not read"},
		{[]byte("\x00\x00\x00\x18ftypavif\x00\x00"), "is in the format AVIF, which is not read"},
		{[]byte("<svg xmlns='...'>"), "is in the format SVG, which is not read"},
		{pngOf(1<<20, 1<<20), "has more pixels than the limit of 67108864"},
		{pngOf(1<<31, 1), "cannot be decoded"},
		{pngOf(8000, 8000), "claims more pixels than its bytes can hold"},
		{pngOf(0, 1), "cannot be decoded"},
		{large, "has more pixels than the limit of 67108864"},
		{exifOf(1, binary.LittleEndian, [2]uint32{tagTileWidth, 1 << 16}, [2]uint32{tagTileHeight, 1 << 16}), "cannot be decoded"},
	} {
		if got := problemOf(c.content); got != c.want {
			t.Errorf("%.40q: %q, want %q", c.content, got, c.want)
		}
	}
}

func TestEndings(t *testing.T) {
	for name, want := range map[string]Format{"a.PNG": PNG, "b.jpeg": JPEG, "c.JPG": JPEG, "d.tif": TIFF, "e.webp": WebP, "f.bmp": BMP, "g.gif": GIF, "h.heic": "", "png": ""} {
		if got, _ := FormatOf(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := HasEnding(name); got != (strings.Contains(name, ".")) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzDecode checks that no content makes a decoder fail in another way than by an error,
// and that what is decoded is what the header said.
func FuzzDecode(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 5, 4))
	for i := range m.Pix {
		m.Pix[i] = uint8(40 * i)
	}
	gray := image.NewGray(image.Rect(0, 0, 9, 2))
	for _, format := range []Format{PNG, JPEG, GIF, BMP, TIFF} {
		f.Add(encode(f, format, m))
		f.Add(encode(f, format, gray))
	}
	f.Add(withExif(PNG, encode(f, PNG, m), exifOf(6, binary.BigEndian)))
	f.Add(withExif(JPEG, encode(f, JPEG, m), exifOf(8, binary.LittleEndian)))
	f.Add(tiffOf(5, []byte{1, 2, 3, 4, 5, 6}))
	f.Add(webP(3, 2, 1, 2, func(x, y int) bool { return x == y }, exifOf(2, binary.LittleEndian)))
	f.Add(webP(3, 2, 1, 2, func(x, y int) bool { return x == y }, nil))
	f.Add(pngOf(100, 100))
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := Probe(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			if bad := new(Error); !errors.As(err, &bad) {
				t.Fatalf("probe: %v", err)
			}
			if _, _, err := Decode(t.Context(), content); err == nil {
				t.Fatal("it decodes, although its header is refused")
			}
			return
		}
		if info.Height < 1 || info.Width < 1 || info.Height*info.Width > MaxPixels {
			t.Fatalf("%+v", info)
		}
		if info.Height*info.Width > 1<<20 {
			return // allowed, and slow
		}
		p, again, err := Decode(t.Context(), content)
		if err != nil {
			if bad := new(Error); !errors.As(err, &bad) || bad.Fix == "" {
				t.Fatalf("decode: %v", err)
			}
			return
		}
		if again != info || p.Height != info.Height || p.Width != info.Width || len(p.Data) != p.Height*p.Width*p.Channels {
			t.Fatalf("%+v and %+v: %d x %d x %d, %d bytes", info, again, p.Height, p.Width, p.Channels, len(p.Data))
		}
		if small := p.In(1).Resize(3, 4); len(small.Data) != 12 {
			t.Fatalf("%d bytes", len(small.Data))
		}
		if info.Gray && !slices.Equal(p.In(1).In(3).Data, p.In(3).Data) {
			t.Fatal("it has color, and its header says that it is gray")
		}
	})
}

// What a decoder would look up elsewhere in the file is not taken for a small number.
func TestTheSizeOfTilesIsRefusedUnlessItIsANumber(t *testing.T) {
	tiff := func(tag, kind uint16, count, value uint32) []byte {
		raw := []byte{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0}
		raw = binary.LittleEndian.AppendUint16(raw, tag)
		raw = binary.LittleEndian.AppendUint16(raw, kind)
		raw = binary.LittleEndian.AppendUint32(raw, count)
		return binary.LittleEndian.AppendUint32(raw, value)
	}
	for _, tag := range []uint16{tagTileWidth, tagTileHeight} {
		for _, c := range []struct {
			kind         uint16
			count, value uint32
			right        bool
		}{{4, 1, 16, true}, {3, 1, 16, true}, {4, 2, 16, false}, {3, 0, 16, false}, {1, 1, 16, false}, {4, 1, MaxPixels + 1, false}} {
			if _, err := directory(bytes.NewReader(tiff(tag, c.kind, c.count, c.value))); (err == nil) != c.right {
				t.Errorf("tag %d, %+v: %v", tag, c, err)
			}
		}
	}
}

func TestDecodingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range []Format{PNG, JPEG, GIF, BMP, TIFF} {
		if _, _, err := Decode(ctx, encode(t, f, image.NewGray(image.Rect(0, 0, 8, 8)))); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

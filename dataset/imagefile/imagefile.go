// Package imagefile reads files of images: PNG, JPEG, GIF, BMP, WebP and TIFF become bytes
// of gray or of red, green and blue, the same on every machine.
//
// Probe reads what a file claims to be, without its pixels; Decode reads the pixels. Both
// go by the content: a file whose name ends in that of another format is read as what it
// is. Everything is computed in integers.
//
// # Pixels
//
// A pixel has 8 bits of gray, or of each of red, green and blue:
//
//   - 16 bits v become (255 v + 32767) / 65535, rounded down.
//   - YCbCr becomes RGB as in Go's image/color, CMYK also.
//   - A pixel that is not opaque lies on white: with the alpha a, c becomes
//     (c a + 255 (255-a) + 127) / 255, rounded down.
//   - The first image of a file with several is used: of a GIF, its first frame, on a
//     white ground where it does not cover it.
//   - Color profiles and gamma are not applied.
//
// An image is turned as the orientation in its Exif data says (in PNG, JPEG, WebP and
// TIFF), so that it has the size and the direction in which programs show it.
//
// Color becomes gray by (299 R + 587 G + 114 B + 500) / 1000, rounded down, which leaves
// equal R, G and B as they are. Gray becomes color by giving all three its value.
//
// # Resizing
//
// Resize changes each side on its own, whatever that does to the aspect ratio. A side
// that becomes shorter is averaged: each new pixel is the mean of what it covers, in which
// pixels that it covers in part count in part. A side that becomes longer is interpolated
// linearly between the centers of pixels, and has the value of the outermost pixel
// beyond them. The sums are exact, over both sides at once, and are rounded once, half up.
//
// # Limits
//
// MaxPixels and MaxFileBytes. Probe reads headers alone. Memory is taken after the size that a header claims has been
// checked against MaxPixels and, where the format has a bound, against what the bytes of
// the file can hold.
package imagefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"reprise/fault"
)

// The limits of an image.
const (
	// MaxPixels is the largest number of pixels: 67,108,864.
	MaxPixels = 1 << 26
	// MaxFileBytes is the largest size of a file: 512 MiB.
	MaxFileBytes = 512 << 20
	// MaxMemory is the largest Info.Memory: 1.5 GiB.
	MaxMemory = bytesPerPixel*MaxPixels + MaxFileBytes

	// bytesPerPixel is what Decode holds of a pixel at most: 8 as decoded, 3 as bytes of
	// color, 3 as turned, and what decoders and the resizing need.
	bytesPerPixel = 16
)

// Format is a format of files.
type Format string

// The formats that are read.
const (
	PNG  Format = "PNG"
	JPEG Format = "JPEG"
	GIF  Format = "GIF"
	BMP  Format = "BMP"
	WebP Format = "WebP"
	TIFF Format = "TIFF"
)

// Info is what a file says of its image.
type Info struct {
	Format Format
	// Height and Width are those of the image as it is shown.
	Height, Width int
	// Gray says that no pixel can have a color.
	Gray bool
	// Bytes is the size of the file.
	Bytes int64

	orientation int // of Exif, 1 to 8
}

// Memory returns an upper bound of the bytes that reading and decoding the file takes.
func (i Info) Memory() int64 { return bytesPerPixel*int64(i.Height)*int64(i.Width) + i.Bytes }

// Pixels are an image: rows of pixels of 1 or 3 channels.
type Pixels struct {
	Height, Width, Channels int
	Data                    []byte
}

// Error says why a file is not read: of one file, of several, and what helps. Errors of the
// same kind have the same texts.
type Error struct {
	One, Many, Fix string
	// Cause is that of the decoder, if it has one.
	Cause error
}

// Error says what is wrong, as in "is truncated", with the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.One
	}
	return e.One + ": " + e.Cause.Error()
}

// Kind returns Invalid.
func (e *Error) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// NotImage is the error for a file whose content is not an image.
func NotImage() *Error {
	return &Error{One: "is not an image by its content", Many: "are not images by their content", Fix: "replace or remove what was damaged or has the wrong name"}
}

func truncated(cause error) *Error {
	return &Error{One: "is truncated", Many: "are truncated", Fix: "copy again what was cut off, or remove it", Cause: cause}
}

func damaged(cause error) *Error {
	return &Error{One: "cannot be decoded", Many: "cannot be decoded", Fix: "save as PNG or JPEG with another program, or remove what is damaged", Cause: cause}
}

func tooLarge() *Error {
	return &Error{
		One:  fmt.Sprintf("has more pixels than the limit of %d", MaxPixels),
		Many: fmt.Sprintf("have more pixels than the limit of %d", MaxPixels), Fix: "make the images smaller",
	}
}

func tooManyBytes() *Error {
	return &Error{
		One:  fmt.Sprintf("is larger than the limit of %d bytes", MaxFileBytes),
		Many: fmt.Sprintf("are larger than the limit of %d bytes", MaxFileBytes), Fix: "make the images smaller",
	}
}

func lying() *Error {
	return &Error{One: "claims more pixels than its bytes can hold", Many: "claim more pixels than their bytes can hold", Fix: "copy again what was cut off, or remove it"}
}

func unsupported(name string) *Error {
	return &Error{One: "is in the format " + name + ", which is not read", Many: "are in the format " + name + ", which is not read", Fix: "convert to PNG or JPEG"}
}

// HasEnding reports whether the name of a file ends as those of images do, of formats that
// are read or not.
func HasEnding(name string) bool {
	ending := strings.ToLower(filepath.Ext(name))
	_, known := FormatOf(name)
	return known || slices.Contains([]string{
		".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".svg", ".svgz", ".psd", ".ico", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".exr", ".hdr",
		".dng", ".cr2", ".nef", ".arw", ".raw", ".pcx",
	}, ending)
}

// FormatOf returns the format that the ending of a name stands for, and whether there is
// one that is read.
func FormatOf(name string) (Format, bool) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png":
		return PNG, true
	case ".jpg", ".jpeg", ".jpe", ".jfif":
		return JPEG, true
	case ".gif":
		return GIF, true
	case ".bmp", ".dib":
		return BMP, true
	case ".webp":
		return WebP, true
	case ".tif", ".tiff":
		return TIFF, true
	}
	return "", false
}

// HeadBytes is how much of a file tells its format.
const HeadBytes = 32

// IsImage reports whether a file that begins with these bytes, of which the first HeadBytes
// matter, is an image in a format that is read.
func IsImage(head []byte) bool {
	_, err := Recognize(head)
	return err == nil
}

// Recognize returns the format that a file begins like, of which the first HeadBytes
// matter. It fails with NotImage, or with another *Error for a format that is not read.
func Recognize(head []byte) (Format, error) {
	begins := func(at int, magic string) bool { return len(head) >= at && bytes.HasPrefix(head[at:], []byte(magic)) }
	switch {
	case begins(0, "\x89PNG\r\n\x1a\n"):
		return PNG, nil
	case begins(0, "\xff\xd8\xff"):
		return JPEG, nil
	case begins(0, "GIF87a"), begins(0, "GIF89a"):
		return GIF, nil
	case begins(0, "BM") && len(head) > 17 && slices.Contains([]byte{12, 40, 52, 56, 64, 108, 124}, head[14]) && begins(15, "\x00\x00\x00"):
		return BMP, nil
	case begins(0, "RIFF") && begins(8, "WEBP"):
		return WebP, nil
	case begins(0, "II*\x00"), begins(0, "MM\x00*"):
		return TIFF, nil
	case begins(0, "II+\x00"), begins(0, "MM\x00+"):
		return "", unsupported("BigTIFF")
	case begins(4, "ftypavif"), begins(4, "ftypavis"):
		return "", unsupported("AVIF")
	case begins(4, "ftyphei"), begins(4, "ftyphev"), begins(4, "ftypmif1"), begins(4, "ftypmsf1"):
		return "", unsupported("HEIC")
	case begins(0, "\xff\x0a"), begins(4, "JXL \r\n\x87\n"):
		return "", unsupported("JPEG XL")
	case begins(4, "jP  \r\n\x87\n"):
		return "", unsupported("JPEG 2000")
	case begins(0, "8BPS"):
		return "", unsupported("PSD")
	case begins(0, "<svg"):
		return "", unsupported("SVG")
	}
	return "", NotImage()
}

// Probe returns what a file of size bytes says of its image. It reads no more than the
// headers. It fails with an *Error, or with that of reading.
func Probe(r io.ReaderAt, size int64) (info Info, err error) {
	defer recovered(&err)
	if size > MaxFileBytes {
		return Info{}, tooManyBytes()
	}
	info.Bytes = size
	head := make([]byte, min(HeadBytes, size))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return Info{}, readError(err)
	}
	if info.Format, err = Recognize(head); err != nil {
		return Info{}, err
	}
	in := &input{source: io.NewSectionReader(r, 0, size)}
	config, err := decodeConfig(info.Format, in)
	if err != nil {
		return Info{}, in.failed(err)
	}
	if err := checkSize(info.Format, config, head, size); err != nil {
		return Info{}, err
	}
	info.Height, info.Width = config.Height, config.Width
	if info.Gray, err = isGray(info.Format, config, head, r, size); err != nil {
		return Info{}, err
	}
	info.orientation, err = orientation(info.Format, r, size)
	if info.orientation >= 5 {
		info.Height, info.Width = info.Width, info.Height
	}
	return info, err
}

// source is a file to be read. The decoder of TIFF, which goes back and forth, would hold
// a copy of one that had no ReadAt.
type source interface {
	io.Reader
	io.ReaderAt
}

// input remembers why reading failed, and whether a decoder wanted more than there is.
type input struct {
	source
	err   error
	ended bool
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.source.Read(p)
	in.note(err)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (in *input) ReadAt(p []byte, at int64) (int, error) {
	n, err := in.source.ReadAt(p, at)
	if n < len(p) {
		in.note(err)
	}
	return n, err
}

func (in *input) note(err error) {
	switch {
	case errors.Is(err, io.EOF):
		in.ended = true
	case err != nil:
		in.err = err
	}
}

// untilEnded reads until a context has ended. Decoders read little at a time.
type untilEnded struct {
	ctx context.Context //nolint:containedctx // it lives no longer than the call that has it
	r   source
}

// ReadAt implements io.ReaderAt.
func (u *untilEnded) ReadAt(p []byte, at int64) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.ReadAt(p, at)
}

// Read implements io.Reader.
func (u *untilEnded) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p[:min(len(p), 4096)])
}

// failed returns the error for that of a decoder.
func (in *input) failed(err error) error {
	switch {
	case in.err != nil:
		return in.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return truncated(nil)
	case in.ended && slices.ContainsFunc(endings(), func(text string) bool { return strings.Contains(err.Error(), text) }):
		return truncated(nil)
	}
	return damaged(err)
}

// endings returns what decoders say where a file ends too early, beside io.EOF.
func endings() []string {
	return []string{"unexpected EOF", "short Huffman data", "not enough pixel data", "not enough image data"}
}

func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(nil)
	}
	return err
}

// recovered turns a panic of a decoder into an error, none of which is expected.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = damaged(fmt.Errorf("the decoder failed: %v", v))
	}
}

func decodeConfig(f Format, r io.Reader) (image.Config, error) {
	switch f {
	case PNG:
		return png.DecodeConfig(r)
	case JPEG:
		return jpeg.DecodeConfig(r)
	case GIF:
		return gif.DecodeConfig(r)
	case BMP:
		return bmp.DecodeConfig(r)
	case WebP:
		return webp.DecodeConfig(r)
	case TIFF:
		return tiff.DecodeConfig(r)
	}
	panic("imagefile: format " + string(f)) // of Recognize
}

func decode(f Format, r io.Reader) (image.Image, error) {
	switch f {
	case PNG:
		return png.Decode(r)
	case JPEG:
		return jpeg.Decode(r)
	case GIF:
		return gif.Decode(r)
	case BMP:
		return bmp.Decode(r)
	case WebP:
		return webp.Decode(r)
	case TIFF:
		return tiff.Decode(r)
	}
	panic("imagefile: format " + string(f)) // of Recognize
}

// The bytes of the head of a PNG that say how a pixel is stored.
const (
	pngDepth = 24
	pngColor = 25
)

// checkSize fails for an image without pixels, with too many, or with more than its file
// can hold: DEFLATE makes at most 1032 bytes of one, a block of 64 pixels takes a bit or
// more in a JPEG, and a pixel a bit in a BMP. GIF, WebP and TIFF have no such bound.
func checkSize(f Format, c image.Config, head []byte, size int64) error {
	switch {
	case c.Width < 1 || c.Height < 1:
		return damaged(errors.New("it has no pixels"))
	case c.Width > MaxPixels/c.Height:
		return tooLarge()
	}
	pixels, bound := int64(c.Width)*int64(c.Height), int64(MaxPixels)
	switch f {
	case PNG:
		samples := map[byte]int64{2: 3, 4: 2, 6: 4}[head[pngColor]]
		bits := max(samples, 1) * int64(head[pngDepth])
		if 1032*size < int64(c.Height)*((int64(c.Width)*bits+7)/8) {
			return lying()
		}
	case JPEG:
		bound = 512 * size
	case BMP:
		bound = 8 * size
	case GIF, WebP, TIFF:
	}
	if pixels > bound {
		return lying()
	}
	return nil
}

// isGray reports whether no pixel of an image can have a color.
func isGray(f Format, c image.Config, head []byte, r io.ReaderAt, size int64) (bool, error) {
	if f == PNG && (head[pngColor] == 0 || head[pngColor] == 4) {
		return true, nil // also with transparent pixels
	}
	if f == GIF {
		in := &input{source: io.NewSectionReader(r, 0, size)}
		palette, err := firstPalette(in)
		if err != nil {
			return false, in.failed(err)
		}
		c.ColorModel = palette
	}
	if palette, ok := c.ColorModel.(color.Palette); ok {
		return !slices.ContainsFunc(palette, func(entry color.Color) bool {
			r, g, b := onWhite(entry)
			return r != g || g != b
		}), nil
	}
	return c.ColorModel == color.GrayModel || c.ColorModel == color.Gray16Model, nil
}

// Decode returns the pixels of a file, with one channel only where the file stores gray
// without transparent pixels, and what it says of itself. It fails with an *Error, and with
// the error of the context soon after that has ended: a small file can take long.
func Decode(ctx context.Context, content []byte) (p Pixels, info Info, err error) {
	defer recovered(&err)
	if info, err = Probe(bytes.NewReader(content), int64(len(content))); err != nil {
		return Pixels{}, Info{}, err
	}
	in := &input{source: &untilEnded{ctx, bytes.NewReader(content)}}
	picture, err := decode(info.Format, in)
	if err != nil {
		return Pixels{}, Info{}, in.failed(err)
	}
	p = pixelsOf(picture)
	if info.Format == GIF {
		config, err := gif.DecodeConfig(bytes.NewReader(content))
		if err != nil {
			return Pixels{}, Info{}, damaged(err)
		}
		p = p.onGround(picture.Bounds().Min, config.Height, config.Width)
	}
	p = p.turned(info.orientation)
	if p.Height != info.Height || p.Width != info.Width {
		return Pixels{}, Info{}, damaged(fmt.Errorf("it has %d x %d pixels, and its header says %d x %d", p.Height, p.Width, info.Height, info.Width))
	}
	return p, info, nil
}

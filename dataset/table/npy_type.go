package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"reprise/fault"
)

// npyKind is what the values of a column of NumPy are.
type npyKind byte

const (
	gap       npyKind = 0 // bytes between the fields of a structured array
	signed    npyKind = 'i'
	unsigned  npyKind = 'u'
	floating  npyKind = 'f'
	boolean   npyKind = 'b'
	utf32     npyKind = 'U'
	byteText  npyKind = 'S'
	timestamp npyKind = 'M'
)

// npyType is the type of a column of NumPy.
type npyType struct {
	kind  npyKind
	size  int // in bytes
	big   bool
	unit  time.Duration // of a timestamp; 0 for months
	every int64         // units, or months
}

var npyPattern = regexp.MustCompile(`^([<>|=]?)([a-zA-Z])([0-9]*)(?:\[([0-9]*)([a-zA-Z]+)\])?$`)

// typeOf reads a type such as <f8, |S10 or <M8[ns].
func (a *array) typeOf(descr any, column string) (npyType, error) {
	text, ok := descr.(string)
	refuse := func(problem, fix string) (npyType, error) {
		shown := fault.Quote(text)
		if !ok {
			shown = "a structure"
		}
		return npyType{}, a.bad(0, column, "the type "+shown, problem, fix)
	}
	parts := npyPattern.FindStringSubmatch(text)
	if parts == nil {
		return refuse("is not one of numbers, texts or times", "give every column a plain type")
	}
	size, err := strconv.Atoi("0" + parts[3])
	if err != nil || size > MaxRowBytes {
		return refuse("is too large", "use a smaller one")
	}
	t := npyType{kind: npyKind(parts[2][0]), size: size, big: parts[1] == ">"}
	hasSize := func(sizes ...int) bool {
		for _, s := range sizes {
			if s == size {
				return true
			}
		}
		return false
	}
	switch {
	case t.kind == 'O':
		return refuse("holds objects of Python, which are code to be run", "convert the array: x.astype(float), or x.astype(str)")
	case t.kind == 'c':
		return refuse("holds complex numbers", "write their real and imaginary parts as two columns")
	case t.kind == 'm':
		return refuse("holds durations", "convert them to numbers: x / numpy.timedelta64(1, 's')")
	case t.kind == timestamp && size == 8:
		return a.timeType(t, parts[4], parts[5], refuse)
	case parts[5] != "":
		return refuse("is not one of numbers, texts or times", "give every column a plain type")
	case (t.kind == signed || t.kind == unsigned) && hasSize(1, 2, 4, 8), t.kind == boolean && size == 1:
	case t.kind == floating && hasSize(2, 4, 8):
	case t.kind == floating:
		return refuse("holds numbers of a size that differs between machines", "convert them: x.astype(float)")
	case t.kind == utf32 && size <= MaxCellBytes:
		t.size = 4 * size
	case (t.kind == byteText || t.kind == 'a') && size <= MaxCellBytes:
		t.kind = byteText
	case t.kind == utf32 || t.kind == byteText:
		return refuse(fmt.Sprintf("has texts longer than the limit of %d bytes", MaxCellBytes), "shorten them")
	default:
		return refuse("is not one of numbers, texts or times", "give every column a plain type")
	}
	return t, nil
}

func (a *array) timeType(t npyType, every, unit string, refuse func(problem, fix string) (npyType, error)) (npyType, error) {
	t.every = 1
	if every != "" {
		n, err := strconv.ParseInt(every, 10, 32)
		if err != nil || n < 1 {
			return refuse("has no unit of time", "convert it: x.astype('datetime64[ns]')")
		}
		t.every = n
	}
	switch unit {
	case "Y":
		t.every *= 12
	case "M":
	case "W":
		t.unit, t.every = time.Second, t.every*7*24*3600
	case "D":
		t.unit, t.every = time.Second, t.every*24*3600
	case "h":
		t.unit, t.every = time.Second, t.every*3600
	case "m":
		t.unit, t.every = time.Second, t.every*60
	case "s":
		t.unit = time.Second
	case "ms":
		t.unit = time.Millisecond
	case "us":
		t.unit = time.Microsecond
	case "ns":
		t.unit = time.Nanosecond
	default:
		return refuse("has no unit of time that is read", "convert it: x.astype('datetime64[ns]')")
	}
	return t, nil
}

// bits returns a value of one to eight bytes.
func (t npyType) bits(value []byte) uint64 {
	var all [8]byte
	if t.big {
		copy(all[8-len(value):], value)
		return binary.BigEndian.Uint64(all[:])
	}
	copy(all[:], value)
	return binary.LittleEndian.Uint64(all[:])
}

// cell returns the value in its bytes.
func (t npyType) cell(value []byte) (Cell, error) {
	switch t.kind {
	case signed:
		shift := 64 - 8*t.size
		return Cell{Kind: Integer, Integer: int64(t.bits(value)<<shift) >> shift}, nil
	case unsigned:
		return unsignedCell(t.bits(value)), nil
	case floating:
		switch v := t.bits(value); t.size {
		case 2:
			return Cell{Kind: Number, Number: float16(uint16(v))}, nil
		case 4:
			return Cell{Kind: Number, Number: float64(math.Float32frombits(uint32(v)))}, nil
		default:
			return Cell{Kind: Number, Number: math.Float64frombits(v)}, nil
		}
	case boolean:
		if value[0] > 1 {
			return Cell{}, errors.New("is not a boolean")
		}
		return Cell{Kind: Boolean, Integer: int64(value[0])}, nil
	case utf32:
		return t.characters(value)
	case byteText:
		text := strings.TrimRight(string(value), "\x00")
		if !utf8.ValidString(text) {
			return Cell{}, errors.New("is not text in UTF-8")
		}
		return Cell{Kind: Text, Text: text}, nil
	default:
		return t.time(int64(t.bits(value)))
	}
}

func (t npyType) characters(value []byte) (Cell, error) {
	var b strings.Builder
	for i := 0; i < len(value); i += 4 {
		c := npyType{big: t.big}.bits(value[i : i+4])
		if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
			return Cell{}, errors.New("is not text in UTF-32")
		}
		b.WriteRune(rune(c))
	}
	return Cell{Kind: Text, Text: strings.TrimRight(b.String(), "\x00")}, nil
}

func (t npyType) time(v int64) (Cell, error) {
	if v == math.MinInt64 { // not a time
		return Cell{}, nil
	}
	errFar := errors.New("is too far in the past or future")
	high, low := bits.Mul64(uint64(max(v, -v)), uint64(t.every))
	if high != 0 || low > math.MaxInt64 {
		return Cell{}, errFar
	}
	units := v * t.every
	var at time.Time
	switch t.unit {
	case 0:
		if units < -12*200_000 || units > 12*200_000 {
			return Cell{}, errFar
		}
		at = time.Date(1970, time.Month(1+units), 1, 0, 0, 0, 0, time.UTC)
	case time.Second:
		at = time.Unix(units, 0)
	case time.Millisecond:
		at = time.UnixMilli(units)
	case time.Microsecond:
		at = time.UnixMicro(units)
	default:
		at = time.Unix(0, units)
	}
	return timeCell(at)
}

// timeCell returns the cell of a time whose year has at most five digits, since time.Time
// computes wrongly in years that are further away.
func timeCell(at time.Time) (Cell, error) {
	const most = 99_999 * 366 * 24 * 3600
	if s := at.Unix(); s > most || s < -most {
		return Cell{}, errors.New("is too far in the past or future")
	}
	return Cell{Kind: Time, Time: at.UTC()}, nil
}

// unsignedCell returns the cell of a whole number.
func unsignedCell(v uint64) Cell {
	if v > math.MaxInt64 {
		return Cell{Kind: Text, Text: strconv.FormatUint(v, 10)}
	}
	return Cell{Kind: Integer, Integer: int64(v)}
}

// float16 returns the value of an IEEE 754 binary16.
func float16(v uint16) float64 {
	sign, exponent, fraction := v>>15, int(v>>10&0x1f), float64(v&0x3ff)
	var f float64
	switch exponent {
	case 0x1f:
		if f = math.Inf(1); fraction != 0 {
			f = math.NaN()
		}
	case 0:
		f = math.Ldexp(fraction, -24)
	default:
		f = math.Ldexp(1024+fraction, exponent-25)
	}
	if sign != 0 {
		f = -f
	}
	return f
}

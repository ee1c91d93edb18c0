package table

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"reprise/fault"
)

// meaning says what the values of a column of Parquet stand for.
type meaning struct {
	kind  parquetKind
	unit  time.Duration // of a time
	scale int           // of a decimal
}

type parquetKind uint8

const (
	asBoolean parquetKind = iota
	asInt32
	asInt64
	asUint32
	asUint64
	asFloat32
	asFloat64
	asFloat16
	asText
	asUUID
	asDate
	asTimestamp
	asTimeOfDay
	asInt96
	asDecimal32
	asDecimal64
	asDecimal
	asNull
)

// maxDecimalBytes is the largest size of a decimal: 32 bytes hold 76 digits.
const maxDecimalBytes = 32

// meaningOf returns the meaning of a column; an error names a type that is not read.
func meaningOf(e *format.SchemaElement) (meaning, error) {
	physical := e.Type.V
	fits := func(types ...format.Type) error {
		for _, t := range types {
			if t == physical {
				return nil
			}
		}
		return fmt.Errorf("the type %v of %v", e.LogicalType.Value, physical)
	}
	bytes := []format.Type{format.ByteArray}
	switch t := e.LogicalType.Value.(type) {
	case nil:
		return legacyMeaning(e)
	case *format.StringType, *format.EnumType, *format.JsonType:
		return meaning{kind: asText}, fits(bytes...)
	case *format.UUIDType:
		if e.TypeLength.V != 16 {
			return meaning{}, errors.New("a UUID of a length other than 16")
		}
		return meaning{kind: asUUID}, fits(format.FixedLenByteArray)
	case *format.Float16Type:
		if e.TypeLength.V != 2 {
			return meaning{}, errors.New("a FLOAT16 of a length other than 2")
		}
		return meaning{kind: asFloat16}, fits(format.FixedLenByteArray)
	case *format.DateType:
		return meaning{kind: asDate}, fits(format.Int32)
	case *format.NullType:
		return meaning{kind: asNull}, nil
	case *format.DecimalType:
		return decimalMeaning(physical, int(t.Scale), int(e.TypeLength.V))
	case *format.IntType:
		return intMeaning(physical, t.IsSigned), fits(format.Int32, format.Int64)
	case *format.TimestampType:
		unit, err := timeUnit(t.Unit)
		return meaning{kind: asTimestamp, unit: unit}, errors.Join(err, fits(format.Int64))
	case *format.TimeType:
		unit, err := timeUnit(t.Unit)
		return meaning{kind: asTimeOfDay, unit: unit}, errors.Join(err, fits(format.Int32, format.Int64))
	default:
		return meaning{}, fmt.Errorf("the type %v", t)
	}
}

func timeUnit(u format.TimeUnit) (time.Duration, error) {
	if u.Value == nil {
		return 0, errors.New("a time without a known unit")
	}
	return u.Value.Duration(), nil
}

func intMeaning(physical format.Type, signed bool) meaning {
	kind := map[bool]map[bool]parquetKind{
		false: {false: asUint32, true: asInt32},
		true:  {false: asUint64, true: asInt64},
	}[physical == format.Int64][signed]
	return meaning{kind: kind}
}

func decimalMeaning(physical format.Type, scale, length int) (meaning, error) {
	const most = 100 // more than any writer allows
	if scale < 0 || scale > most {
		return meaning{}, fmt.Errorf("a decimal of scale %d", scale)
	}
	m := meaning{kind: asDecimal, scale: scale}
	switch physical {
	case format.Int32:
		m.kind = asDecimal32
	case format.Int64:
		m.kind = asDecimal64
	case format.ByteArray:
	case format.FixedLenByteArray:
		if length < 1 || length > maxDecimalBytes {
			return meaning{}, fmt.Errorf("a decimal of %d bytes", length)
		}
	default:
		return meaning{}, fmt.Errorf("a decimal of %v", physical)
	}
	return m, nil
}

// legacyMeaning is meaningOf for a column without a logical type, which may have a
// converted type, as older writers write it.
func legacyMeaning(e *format.SchemaElement) (meaning, error) {
	physical := e.Type.V
	if e.ConvertedType.Valid {
		signed := map[deprecated.ConvertedType]bool{
			deprecated.Uint8: false, deprecated.Uint16: false, deprecated.Uint32: false, deprecated.Uint64: false,
			deprecated.Int8: true, deprecated.Int16: true, deprecated.Int32: true, deprecated.Int64: true,
		}
		isText := physical == format.ByteArray
		isLong := physical == format.Int64
		switch t := e.ConvertedType.V; t {
		case deprecated.UTF8, deprecated.Enum, deprecated.Json:
			if isText {
				return meaning{kind: asText}, nil
			}
		case deprecated.Decimal:
			return decimalMeaning(physical, int(e.Scale.V), int(e.TypeLength.V))
		case deprecated.Date:
			if physical == format.Int32 {
				return meaning{kind: asDate}, nil
			}
		case deprecated.TimeMillis:
			if physical == format.Int32 {
				return meaning{kind: asTimeOfDay, unit: time.Millisecond}, nil
			}
		case deprecated.TimeMicros:
			if isLong {
				return meaning{kind: asTimeOfDay, unit: time.Microsecond}, nil
			}
		case deprecated.TimestampMillis, deprecated.TimestampMicros:
			if isLong {
				unit := map[bool]time.Duration{true: time.Millisecond, false: time.Microsecond}[t == deprecated.TimestampMillis]
				return meaning{kind: asTimestamp, unit: unit}, nil
			}
		default:
			if s, ok := signed[t]; ok && (physical == format.Int32 || isLong) {
				return intMeaning(physical, s), nil
			}
		}
		return meaning{}, fmt.Errorf("the converted type %d of %v", e.ConvertedType.V, physical)
	}
	switch physical {
	case format.Boolean:
		return meaning{kind: asBoolean}, nil
	case format.Int32:
		return meaning{kind: asInt32}, nil
	case format.Int64:
		return meaning{kind: asInt64}, nil
	case format.Int96:
		return meaning{kind: asInt96}, nil
	case format.Float:
		return meaning{kind: asFloat32}, nil
	case format.Double:
		return meaning{kind: asFloat64}, nil
	case format.ByteArray: // as Impala writes texts
		return meaning{kind: asText}, nil
	default:
		return meaning{}, errors.New("FIXED_LEN_BYTE_ARRAY, bytes without a meaning,")
	}
}

// cell returns a value.
func (m meaning) cell(bits uint64, raw []byte) (Cell, error) {
	switch m.kind {
	case asBoolean:
		return Cell{Kind: Boolean, Integer: int64(bits & 1)}, nil
	case asInt32:
		return Cell{Kind: Integer, Integer: int64(int32(bits))}, nil
	case asInt64:
		return Cell{Kind: Integer, Integer: int64(bits)}, nil
	case asUint32:
		return Cell{Kind: Integer, Integer: int64(uint32(bits))}, nil
	case asUint64:
		return unsignedCell(bits), nil
	case asFloat32:
		return Cell{Kind: Number, Number: float64(math.Float32frombits(uint32(bits)))}, nil
	case asFloat64:
		return Cell{Kind: Number, Number: math.Float64frombits(bits)}, nil
	case asFloat16:
		return Cell{Kind: Number, Number: float16(binary.LittleEndian.Uint16(raw))}, nil
	case asText:
		return textCell(raw)
	case asUUID:
		h := hex.EncodeToString(raw)
		return Cell{Kind: Text, Text: h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]}, nil
	case asDate:
		return placed(time.Unix(int64(int32(bits))*24*3600, 0))
	case asTimestamp:
		switch v := int64(bits); m.unit {
		case time.Millisecond:
			return placed(time.UnixMilli(v))
		case time.Microsecond:
			return placed(time.UnixMicro(v))
		default:
			return placed(time.Unix(0, v))
		}
	case asTimeOfDay:
		return m.timeOfDay(bits)
	case asInt96:
		return int96(raw)
	case asDecimal32:
		return m.decimal(int64(int32(bits)))
	case asDecimal64:
		return m.decimal(int64(bits))
	case asDecimal:
		return m.longDecimal(raw)
	default: // asNull has no values
		return Cell{}, nil
	}
}

func textCell(raw []byte) (Cell, error) {
	if len(raw) > MaxCellBytes {
		return Cell{}, &valueError{"a text", fmt.Sprintf("is longer than the limit of %d bytes", MaxCellBytes)}
	}
	if !utf8.Valid(raw) {
		return Cell{}, &valueError{fault.Quote(string(raw)), "is not text in UTF-8"}
	}
	return Cell{Kind: Text, Text: string(raw)}, nil
}

// placed returns the cell of a time.
func placed(at time.Time) (Cell, error) {
	cell, err := timeCell(at)
	if err != nil {
		err = &valueError{"a time", err.Error()}
	}
	return cell, err
}

func (m meaning) timeOfDay(bits uint64) (Cell, error) {
	v := int64(bits)
	if m.unit == time.Millisecond {
		v = int64(int32(bits))
	}
	if day := int64(24 * time.Hour / m.unit); v < 0 || v >= day {
		return Cell{}, &valueError{strconv.FormatInt(v, 10), "is not a time of day"}
	}
	return Cell{Kind: Text, Text: time.Unix(0, v*int64(m.unit)).UTC().Format("15:04:05.999999999")}, nil
}

// int96 returns a time in nanoseconds of a Julian day, as Spark and Impala wrote them.
func int96(raw []byte) (Cell, error) {
	nanos, day := binary.LittleEndian.Uint64(raw), int64(binary.LittleEndian.Uint32(raw[8:]))
	const epoch = 2440588 // the Julian day of 1970-01-01
	if nanos >= uint64(24*time.Hour) {
		return Cell{}, &valueError{"an INT96", "is not a time"}
	}
	return placed(time.Unix((day-epoch)*24*3600, int64(nanos)))
}

// decimal returns unscaled / 10^scale.
func (m meaning) decimal(unscaled int64) (Cell, error) {
	if m.scale == 0 {
		return Cell{Kind: Integer, Integer: unscaled}, nil
	}
	return m.scaled(strconv.FormatInt(unscaled, 10))
}

func (m meaning) longDecimal(raw []byte) (Cell, error) {
	if len(raw) == 0 || len(raw) > maxDecimalBytes {
		return Cell{}, &valueError{fmt.Sprintf("%d bytes", len(raw)), "are not a decimal"}
	}
	v := new(big.Int).SetBytes(raw)
	if raw[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	if m.scale == 0 {
		return wholeNumber(v.String()), nil
	}
	return m.scaled(v.String())
}

// scaled returns the float64 that is nearest to a decimal, whose digits are those of a
// whole number.
func (m meaning) scaled(digits string) (Cell, error) {
	v, err := strconv.ParseFloat(digits+"e-"+strconv.Itoa(m.scale), 64)
	if err != nil && !strings.Contains(digits, "0") {
		return Cell{}, &valueError{digits, "is out of range"}
	}
	return Cell{Kind: Number, Number: v}, nil
}

package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"testing"
	"time"
)

// readRecords reads records of TFRecord strictly: both checksums must fit.
func readRecords(t *testing.T, file []byte) [][]byte {
	t.Helper()
	unmasked := func(masked uint32) uint32 {
		rotated := masked - 0xa282ead8
		return rotated>>17 | rotated<<15
	}
	check := func(data, sum []byte) {
		t.Helper()
		if got := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)); got != unmasked(binary.LittleEndian.Uint32(sum)) {
			t.Fatalf("the checksum of %x is %x", data, sum)
		}
	}
	var records [][]byte
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d bytes are left", len(file))
		}
		check(file[:8], file[8:12])
		n := binary.LittleEndian.Uint64(file)
		if uint64(len(file)) < 16+n {
			t.Fatalf("a record of %d bytes is cut off", n)
		}
		check(file[12:12+n], file[12+n:16+n])
		records = append(records, file[12:12+n])
		file = file[16+n:]
	}
	return records
}

func TestTensorBoardEventsAreReadBack(t *testing.T) {
	begin := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	scalars := []Scalar{
		{Time: begin.Add(500 * time.Millisecond), Step: 1, Tag: "loss/train", Value: 2.5},
		{Time: begin.Add(time.Second), Step: 1 << 40, Tag: "größe", Value: float32(math.Inf(1))},
	}
	var file bytes.Buffer
	if err := WriteTensorBoard(&file, begin, scalars); err != nil {
		t.Fatal(err)
	}
	records := readRecords(t, file.Bytes())
	if len(records) != 3 {
		t.Fatalf("%d records", len(records))
	}
	// The first record, byte by byte: field 1 is the time as a double, field 3 the version.
	first := binary.LittleEndian.AppendUint64([]byte{0x09}, math.Float64bits(float64(begin.Unix())))
	if first = append(first, "\x1a\x0dbrain.Event:2"...); !bytes.Equal(records[0], first) {
		t.Errorf("the first record is %x, want %x", records[0], first)
	}
	for i, s := range scalars {
		fields := wireFields(t, records[i+1][9:]) // after the time
		seen := map[int]bool{}
		for _, f := range fields {
			seen[f.number] = true
		}
		if len(fields) != 2 || records[i+1][0] != 0x09 || values(fields, eventStep)[0] != int64(s.Step) {
			t.Errorf("event %d: %+v", i, fields)
		}
		found := 0
		each(fields, eventSummary, func(summary []byte) {
			each(wireFields(t, summary), summaryValue, func(value []byte) {
				found++
				tag, number := value[:len(value)-5], value[len(value)-5:]
				if one(t, wireFields(t, tag), valueTag) != s.Tag || !bytes.Equal(number, binary.LittleEndian.AppendUint32([]byte{0x15}, math.Float32bits(s.Value))) {
					t.Errorf("event %d has the value %x", i, value)
				}
			})
		})
		if found != 1 {
			t.Errorf("event %d has %d values", i, found)
		}
		if seconds := math.Float64frombits(binary.LittleEndian.Uint64(records[i+1][1:9])); seconds != float64(s.Time.UnixMilli())/1000 {
			t.Errorf("event %d is of second %v", i, seconds)
		}
	}
	if err := WriteTensorBoard(full{}, begin, scalars); err == nil {
		t.Error("a full disk is not noticed")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

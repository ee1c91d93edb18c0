package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"reprise/internal/disk"
	"reprise/tensor"
)

// all chooses every tensor that can be read.
func all(list []Described) ([]bool, error) {
	chosen := make([]bool, len(list))
	for i, d := range list {
		chosen[i] = d.Readable()
	}
	return chosen, nil
}

func TestTensorsOfOtherTypesAreConverted(t *testing.T) {
	var data []byte
	for _, v := range []uint16{0x3c00, 0xc000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0x3555} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	for _, v := range []uint16{0x3f80, 0xc049, 0x0001} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	for _, v := range []float64{0.1, -1e-60, 16777217} {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	data = binary.LittleEndian.AppendUint64(data, 12)                    // an I64
	data = append(binary.LittleEndian.AppendUint32(data, 0x40490fdb), 1) // an F32 and a BOOL
	data = append(data, bytes.Repeat([]byte{7}, 3)...)                   // of a type that nobody knows
	raw := append(file(`{"half":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"brain":{"dtype":"BF16","shape":[3],"data_offsets":[14,20]},`+
		`"double":{"dtype":"F64","shape":[3,1],"data_offsets":[20,44]},"count":{"dtype":"I64","shape":[],"data_offsets":[44,52]},`+
		`"pi":{"dtype":"F32","shape":[1],"data_offsets":[52,56]},"mask":{"dtype":"BOOL","shape":[1],"data_offsets":[56,57]},`+
		`"new":{"dtype":"F4","shape":[6],"data_offsets":[57,60]}}`, 0), data...)
	var described []Described
	got, err := ReadForeign(bytes.NewReader(raw), int64(len(raw)), func(list []Described) ([]bool, error) {
		described = list
		return all(list)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []tensor.Tensor{
		{Name: "half", Shape: tensor.Shape{7}, Data: []float32{1, -2, 0x1p-24, -1023 * 0x1p-24, 0x1p-14, 65504, 0.333251953125}},
		{Name: "brain", Shape: tensor.Shape{3}, Data: []float32{1, -3.140625, 0x1p-133}},
		{Name: "double", Shape: tensor.Shape{3, 1}, Data: []float32{0.1, float32(math.Copysign(0, -1)), 16777216}},
		{Name: "pi", Shape: tensor.Shape{1}, Data: []float32{math.Pi}},
	}
	if len(got) != len(want) || len(described) != 7 {
		t.Fatalf("%d tensors of %d, want %d of 7", len(got), len(described), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.Name || !g.Shape.Equal(w.Shape) || !slices.EqualFunc(g.Data, w.Data, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("%v, want %v", g, w)
		}
	}
	for _, d := range described {
		if d.Readable() != slices.Contains([]string{"half", "brain", "double", "pi"}, d.Name) {
			t.Errorf("%s of type %s: readable is %v", d.Name, d.DType, d.Readable())
		}
	}
}

// Every binary16 has the value that its bits say.
func TestHalfPrecisionIsExact(t *testing.T) {
	for bits := range 1 << 16 {
		sign, exponent, fraction := 1.0, bits>>10&0x1f, float64(bits&0x3ff)
		if bits>>15 == 1 {
			sign = -1
		}
		want := sign * math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = sign * math.Ldexp(fraction/1024, -14)
		case exponent == 31 && fraction == 0:
			want = math.Inf(int(sign))
		case exponent == 31:
			want = math.NaN()
		}
		if got := float64(float16(uint16(bits))); got != want && !(got != got && want != want) || math.Signbit(got) != (bits>>15 == 1) {
			t.Fatalf("%#04x is %v, want %v", bits, got, want)
		}
	}
}

func TestForeignHeadersThatLieAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"too few bytes":   {file(`{"t":{"dtype":"F16","shape":[4],"data_offsets":[0,4]}}`, 4), "4 bytes of data for the shape [4]"},
		"too many bytes":  {file(`{"t":{"dtype":"F64","shape":[1],"data_offsets":[0,16]}}`, 16), "16 bytes of data for the shape [1]"},
		"past the end":    {file(`{"t":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}`, 8), "extend from 0 to 16 of 8 bytes"},
		"overlapping":     {file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]}}`, 6), "begin at 2, those before it end at 4"},
		"a hole":          {file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, 4), "begin at 2"},
		"more data":       {file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 4), "2 bytes after the data"},
		"overflow":        {file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8), "overflows"},
		"of unknown type": {file(`{"a":{"dtype":"X1","shape":[2],"data_offsets":[0,9]}}`, 8), "extend from 0 to 9"},
	} {
		_, err := ReadForeign(bytes.NewReader(test.file), int64(len(test.file)), all)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	broken := errors.New("a test")
	_, err := ReadForeign(bytes.NewReader(file(`{}`, 0)), 10, func([]Described) ([]bool, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v, want what choosing says", err)
	}
}

// A file takes no more memory than it has bytes, whatever its header says.
func TestForeignFilesAreBoundedByTheirSize(t *testing.T) {
	raw := file(`{"a":{"dtype":"F64","shape":[100000000000],"data_offsets":[0,800000000000]}}`, 8)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadForeign(bytes.NewReader(raw), int64(len(raw)), all); err == nil {
		t.Error("a header that lies is accepted")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", n, len(raw))
	}
}

// FuzzForeign reads anything: what is accepted has tensors that are whole, and those that
// are left out change nothing about the others.
func FuzzForeign(f *testing.F) {
	f.Add(file(`{"half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"n":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}`, 12))
	f.Add(file(`{"__metadata__":{"format":"pt"},"d":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]}}`, 18))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ReadForeign(bytes.NewReader(raw), int64(len(raw)), all)
		some, someErr := ReadForeign(bytes.NewReader(raw), int64(len(raw)), func(list []Described) ([]bool, error) {
			chosen, err := all(list)
			for i := range chosen {
				chosen[i] = chosen[i] && i%2 == 0
			}
			return chosen, err
		})
		if (err == nil) != (someErr == nil) || len(some) > len(got) {
			t.Fatalf("%d tensors and %v, or %d and %v", len(got), err, len(some), someErr)
		}
		for _, g := range got {
			if err := g.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Weights that a run begins with come back as they were, and a byte that was changed is
// found.
func TestInitialWeightsAreKept(t *testing.T) {
	weights := []tensor.Tensor{
		{Name: "layers.10.weight", Shape: tensor.Shape{2}, Data: []float32{1, -0.1}},
		{Name: "layers.2.bias", Shape: tensor.Shape{1, 1}, Data: []float32{math.Float32frombits(1)}},
	}
	f := Initial{Path: filepath.Join(t.TempDir(), "a", "initial.safetensors")}
	sha, err := WeightsSHA256(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(sha); !errors.Is(err, ErrMissing) {
		t.Errorf("before it is written: %v", err)
	}
	for range 2 { // the second finds the first
		if err := f.Write(weights); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Read(sha)
	if err != nil || len(got) != 2 || got[0].Name != "layers.2.bias" || !slices.Equal(got[1].Data, weights[0].Data) || math.Float32bits(got[0].Data[0]) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	weights[1].Data[0] = 3
	if err := f.Write(weights); err != nil { // in its place
		t.Fatal(err)
	}
	if _, err := f.Read(sha); !errors.As(err, new(*CorruptError)) || !strings.Contains(err.Error(), sha) {
		t.Errorf("after a change: %v", err)
	}
	to := Initial{Path: filepath.Join(t.TempDir(), "copy")}
	if err := to.Copy(f, sha); err == nil || to.Verify(sha) == nil {
		t.Errorf("a changed file was copied: %v", err)
	}
	weights[1].Data[0] = math.Float32frombits(1)
	if err := errors.Join(f.Write(weights), to.Copy(f, sha), to.Verify(sha), os.WriteFile(disk.TempName(f.Path), nil, 0o600), f.Remove()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(f.Path)); err != nil || len(left) > 0 {
		t.Errorf("%v are left after it was removed, %v", left, err)
	}
}

// recorded notes the renames and the folders that are synced.
type recorded struct {
	disk.OS
	done *[]string
}

func (r recorded) Rename(from, to string) error {
	*r.done = append(*r.done, "rename to "+filepath.Base(to))
	return r.OS.Rename(from, to)
}

func (r recorded) SyncDir(name string) error {
	*r.done = append(*r.done, "sync "+filepath.Base(name))
	return r.OS.SyncDir(name)
}

// Initial weights are there after a loss of power once Write has returned.
func TestTheNameOfInitialWeightsSurvives(t *testing.T) {
	var done []string
	f := Initial{Path: filepath.Join(t.TempDir(), "run", "initial"), Disk: recorded{done: &done}}
	if err := f.Write([]tensor.Tensor{{Name: "a", Shape: tensor.Shape{1}, Data: []float32{1}}}); err != nil {
		t.Fatal(err)
	}
	if n := len(done); n < 3 || !slices.Equal(done[n-2:], []string{"rename to initial", "sync run"}) {
		t.Errorf("it was made by %q, want the folder synced after the rename", done)
	}
}

package checkpoint

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/tensor"
)

// file builds a safetensors file of a header and data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestFilesOfOthersAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		file []byte
		want []string
	}{
		"no tensor":         {file(`{}`, 0), nil},
		"padding":           {file(`{}      `, 0), nil},
		"metadata":          {file(`{"__metadata__":{"format":"pt","a":"b"},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), []string{"t"}},
		"keys in any order": {file(`{"t":{"data_offsets":[0,8],"shape":[2,1],"dtype":"F32"}}`, 8), []string{"t"}},
		"spaces":            {file(`{ "t" : { "dtype" : "F32", "shape" : [ 2 ], "data_offsets" : [ 0, 8 ] } }`, 8), []string{"t"}},
		"tensors unsorted":  {file(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8), []string{"a", "b"}},
		"a scalar":          {file(`{"t":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4), []string{"t"}},
		"empty tensors": {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},`+
			`"c":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]}}`, 4), []string{"c", "a", "b"}},
	} {
		got, err := decode(bytes.NewReader(test.file), int64(len(test.file)), true)
		var names []string
		for _, g := range got {
			names = append(names, g.Name)
		}
		if err != nil || !slices.Equal(names, test.want) {
			t.Errorf("%s: %q, %v; want %q", name, names, err, test.want)
		}
	}
}

func TestHostileFilesAreRefused(t *testing.T) {
	entry := func(s string) []byte { return file(`{"t":{`+s+`}}`, 8) }
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":               {nil, "EOF"},
		"half a length":         {make([]byte, 4), "EOF"},
		"an endless header":     {append(bytes.Repeat([]byte{0xff}, 8), "{}"...), "header should have"},
		"a header over 2^63":    {append([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}, "{}"...), "header should have"},
		"a header past the end": {append([]byte{9, 0, 0, 0, 0, 0, 0, 0}, "{}"...), "header should have"},
		"an empty header":       {file(``, 0), "does not begin"},
		"spaces first":          {file(` {}`, 0), "does not begin"},
		"no object":             {file(`[]`, 0), "does not begin"},
		"no end":                {file(`{`, 0), "EOF"},
		"two objects":           {file(`{}{}`, 0), "after its last brace"},
		"zeros as padding":      {file("{}\x00", 0), "after its last brace"},
		"not UTF-8":             {file("{\"\xff\":1}", 0), "UTF-8"},
		"a comma too many":      {file(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},}`, 8), "invalid character"},
		"no entry":              {file(`{"t":1}`, 0), "instead of {"},
		"null":                  {file(`{"t":null}`, 0), "instead of {"},
		"no name":               {file(`{"":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "tensor's name"},
		"the same name twice":   {file(`{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "twice"},
		"the name escaped":      {file(`{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0074":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "twice"},
		"metadata twice":        {file(`{"__metadata__":{},"__metadata__":{}}`, 0), "twice"},
		"a number as metadata":  {file(`{"__metadata__":{"a":1}}`, 0), "instead of a string"},
		"another dtype":         {entry(`"dtype":"F64","shape":[1],"data_offsets":[0,8]`), "only F32"},
		"a dtype of no text":    {entry(`"dtype":32,"shape":[2],"data_offsets":[0,8]`), "instead of a string"},
		"a key in capitals":     {entry(`"DTYPE":"F32","shape":[2],"data_offsets":[0,8]`), "unknown key"},
		"an unknown key":        {entry(`"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1`), "unknown key"},
		"a key twice":           {entry(`"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]`), "twice"},
		"no shape":              {entry(`"dtype":"F32","data_offsets":[0,8]`), "missing"},
		"a negative dimension":  {entry(`"dtype":"F32","shape":[-2],"data_offsets":[0,8]`), "whole number"},
		"a fraction":            {entry(`"dtype":"F32","shape":[2.0],"data_offsets":[0,8]`), "whole number"},
		"an exponent":           {entry(`"dtype":"F32","shape":[2e0],"data_offsets":[0,8]`), "whole number"},
		"a text as number":      {entry(`"dtype":"F32","shape":["2"],"data_offsets":[0,8]`), "instead of a number"},
		"a list as number":      {entry(`"dtype":"F32","shape":[[2]],"data_offsets":[0,8]`), "instead of a number"},
		"beyond int64":          {entry(`"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]`), "whole number"},
		"too many dimensions":   {entry(`"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]`), "more than 8"},
		"an overflowing shape":  {entry(`"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]`), "overflows"},
		"overflowing bytes":     {entry(`"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]`), "for the shape"},
		"too small a shape":     {entry(`"dtype":"F32","shape":[1],"data_offsets":[0,8]`), "for the shape"},
		"too large a shape":     {entry(`"dtype":"F32","shape":[3],"data_offsets":[0,8]`), "for the shape"},
		"one offset":            {entry(`"dtype":"F32","shape":[2],"data_offsets":[0]`), "must be two numbers"},
		"three offsets":         {entry(`"dtype":"F32","shape":[2],"data_offsets":[0,8,8]`), "more than 2"},
		"offsets backwards":     {entry(`"dtype":"F32","shape":[2],"data_offsets":[8,0]`), "its data extend from"},
		"data past the end":     {entry(`"dtype":"F32","shape":[4],"data_offsets":[0,16]`), "its data extend from"},
		"a gap before":          {entry(`"dtype":"F32","shape":[1],"data_offsets":[4,8]`), "those before it end"},
		"bytes after":           {entry(`"dtype":"F32","shape":[1],"data_offsets":[0,4]`), "4 bytes after the data of the last"},
		"data that overlap":     {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "those before it end"},
		"data used twice":       {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "those before it end"},
		"a gap between":         {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "those before it end"},
		"an empty tensor after": {file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[9,9]}}`, 8), "its data extend from"},
	} {
		got, err := decode(bytes.NewReader(test.file), int64(len(test.file)), true)
		if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestAFileThatGrowsOrShrinksWhileItIsReadIsRefused(t *testing.T) {
	whole := file(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	for n := range whole {
		if _, err := decode(bytes.NewReader(whole[:n]), int64(len(whole)), true); err == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(whole))
		}
	}
	if _, err := decode(bytes.NewReader(append(slices.Clone(whole), 0)), int64(len(whole)), true); err == nil {
		t.Error("a byte more is accepted")
	}
}

// TestAHeaderThatPromisesMuchTakesNoMemory claims 100 MB in a file of a few
// bytes.
func TestAHeaderThatPromisesMuchTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	bombs := [][]byte{
		append(binary.LittleEndian.AppendUint64(nil, maxHeader), '{'),
		file(`{"t":{"dtype":"F32","shape":[25000000],"data_offsets":[0,100000000]}}`, 0),
	}
	runtime.ReadMemStats(&before)
	for _, b := range bombs {
		if _, err := decode(bytes.NewReader(b), int64(len(b)), true); err == nil {
			t.Error("accepted")
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

func tensors() *rapid.Generator[[]tensor.Tensor] {
	return rapid.Custom(func(t *rapid.T) []tensor.Tensor {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9.é"\\<\n]{1,12}`), 0, 8, rapid.ID[string]).Draw(t, "names")
		list := []tensor.Tensor{}
		for _, name := range names {
			shape := tensor.Shape(rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape"))
			n, _ := shape.NumElements()
			data := rapid.SliceOfN(rapid.Float32(), n, n).Draw(t, "data")
			list = append(list, tensor.Tensor{Name: name, Shape: shape, Data: data})
		}
		return list
	})
}

func TestEncodeAndDecodeAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := tensors().Draw(t, "tensors")
		if err := validateTensors("weights", want); err != nil {
			t.Skip(err)
		}
		var b bytes.Buffer
		if err := encode(&b, want); err != nil {
			t.Fatal(err)
		}
		if binary.LittleEndian.Uint64(b.Bytes())%8 != 0 {
			t.Fatal("the data are not aligned")
		}
		raw := bytes.Clone(b.Bytes())
		got, err := decode(&b, int64(len(raw)), true)
		if err != nil {
			t.Fatal(err)
		}
		byName := func(a, b tensor.Tensor) int { return compareNames(a.Name, b.Name) }
		slices.SortFunc(want, byName)
		slices.SortFunc(got, byName)
		for i := range want {
			if got[i].Name != want[i].Name || !got[i].Shape.Equal(want[i].Shape) || !slices.Equal(got[i].Data, want[i].Data) {
				t.Fatalf("%+v\nwant %+v", got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d tensors, want %d", len(got), len(want))
		}
		var again bytes.Buffer
		if err := encode(&again, got); err != nil || !bytes.Equal(again.Bytes(), raw) {
			t.Fatalf("encoded again, the bytes differ (%v)", err)
		}
	})
}

func TestNamesAreOrderedNaturally(t *testing.T) {
	want := []string{"", "01", "1", "2", "10", "a", "a1", "a1b", "a02", "a2", "a10", "a10.b", "layers.2.bias", "layers.2.weight", "layers.10.bias", "layersx", "é"}
	for i, a := range want {
		for j, b := range want {
			c := compareNames(a, b)
			if (i < j) != (c < 0) || (i == j) != (c == 0) {
				t.Errorf("%q and %q compare %d", a, b, c)
			}
		}
	}
	name := rapid.StringMatching(`[a0-1.]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "c")
		if compareNames(a, b) != -compareNames(b, a) || (compareNames(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q: %d, %d", a, b, compareNames(a, b), compareNames(b, a))
		}
		if compareNames(a, b) <= 0 && compareNames(b, c) <= 0 && compareNames(a, c) > 0 {
			t.Fatalf("%q, %q, %q have no order", a, b, c)
		}
	})
}

// FuzzDecode reads anything: what is accepted comes back the same from the
// bytes that encode makes of it.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if err := encode(&b, content(1).Weights); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(file(`{"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	f.Add(file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\ud800":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decode(bytes.NewReader(raw), int64(len(raw)), true)
		bare, bareErr := decode(bytes.NewReader(raw), int64(len(raw)), false)
		if (err == nil) != (bareErr == nil) || len(got) != len(bare) {
			t.Fatalf("with data: %v, without: %v", err, bareErr)
		}
		if err != nil {
			return
		}
		for _, g := range got {
			if err := g.Validate(); err != nil {
				t.Fatal(err)
			}
		}
		var first, second bytes.Buffer
		if err := encode(&first, got); err != nil {
			t.Fatal(err)
		}
		again, err := decode(bytes.NewReader(first.Bytes()), int64(first.Len()), true)
		if err != nil || len(again) != len(got) {
			t.Fatalf("%d tensors come back as %d, %v", len(got), len(again), err)
		}
		if err := encode(&second, again); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("the bytes differ (%v)", err)
		}
	})
}

// FuzzManifest reads anything: what is accepted is in its one form.
func FuzzManifest(f *testing.F) {
	raw, err := manifest{
		Format: manifestFormat, Version: manifestVersion, RunID: "r", SessionID: "s", Step: 1,
		Files:   []fileEntry{{Name: weightsFile, Tensors: []string{"t"}}, {Name: optimizerFile, Tensors: []string{}}},
		Metrics: map[string]float64{"loss": 0.1},
	}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeManifest(raw)
		if err != nil {
			if !reflect.DeepEqual(m, manifest{}) {
				t.Fatalf("%+v beside the error %v", m, err)
			}
			return
		}
		if again, err := m.encode(); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%s comes back as %s (%v)", raw, again, err)
		}
	})
}

package export

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// What follows reads ONNX files with nothing but the wire format of Protocol Buffers and
// the numbers in onnx.proto, so that it shares no mistake with the writer.

// wireField is a field of a message: a number, or bytes.
type wireField struct {
	number int
	varint uint64
	bytes  []byte // of a fixed32, too
}

// wireFields splits a message into its fields.
func wireFields(t *testing.T, m []byte) []wireField {
	t.Helper()
	var fields []wireField
	varint := func() uint64 {
		v, n := binary.Uvarint(m)
		if n <= 0 {
			t.Fatalf("a number is cut off in % x", m[:min(len(m), 20)])
		}
		m = m[n:]
		return v
	}
	take := func(n uint64) []byte {
		if n > uint64(len(m)) {
			t.Fatalf("%d bytes are announced, %d are left", n, len(m))
		}
		out := m[:n]
		m = m[n:]
		return out
	}
	for len(m) > 0 {
		key := varint()
		f := wireField{number: int(key >> 3)}
		switch key & 7 {
		case 0:
			f.varint = varint()
		case 2:
			f.bytes = take(varint())
		case 5:
			f.bytes = take(4)
		default:
			t.Fatalf("field %d has the wire type %d", f.number, key&7)
		}
		fields = append(fields, f)
	}
	return fields
}

// each calls f with the bytes of every field of a number.
func each(fields []wireField, number int, f func([]byte)) {
	for _, field := range fields {
		if field.number == number {
			f(field.bytes)
		}
	}
}

// texts returns the fields of a number as texts, values those as whole numbers.
func texts(fields []wireField, number int) []string {
	list := []string{}
	each(fields, number, func(b []byte) { list = append(list, string(b)) })
	return list
}

func values(fields []wireField, number int) []int64 {
	list := []int64{}
	for _, f := range fields {
		if f.number == number {
			list = append(list, int64(f.varint))
		}
	}
	return list
}

// one returns the only text of a number, "" if there is none.
func one(t *testing.T, fields []wireField, number int) string {
	t.Helper()
	list := texts(fields, number)
	if len(list) > 1 {
		t.Fatalf("field %d occurs %d times", number, len(list))
	}
	return strings.Join(list, "")
}

// readTensor is an initializer as it was read.
type readTensor struct {
	element int64
	dims    []int64
	raw     []byte
}

func (r readTensor) floats(t *testing.T) []float32 {
	t.Helper()
	out := make([]float32, len(r.raw)/4)
	if _, err := binary.Decode(r.raw, binary.LittleEndian, out); err != nil || r.element != 1 {
		t.Fatalf("element type %d, %v", r.element, err)
	}
	return out
}

// readONNX returns an ONNX file as text, and its initializers by name.
func readONNX(t *testing.T, file []byte) (string, map[string]readTensor) {
	t.Helper()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	model := wireFields(t, file)
	line("ir_version %v, producer %s", values(model, 1), one(t, model, 2))
	each(model, 8, func(m []byte) {
		set := wireFields(t, m)
		line("operator set %q %v", one(t, set, 1), values(set, 2))
	})
	each(model, 14, func(m []byte) {
		p := wireFields(t, m)
		line("property %q = %q", one(t, p, 1), one(t, p, 2))
	})
	graph := wireFields(t, []byte(one(t, model, 7)))
	line("graph %s", one(t, graph, 2))
	each(graph, 11, func(m []byte) { line("input %s", readValue(t, m)) })
	each(graph, 12, func(m []byte) { line("output %s", readValue(t, m)) })
	tensors := map[string]readTensor{}
	each(graph, 5, func(m []byte) {
		fields := wireFields(t, m)
		name := one(t, fields, 8)
		r := readTensor{values(fields, 2)[0], values(fields, 1), []byte(one(t, fields, 9))}
		if _, there := tensors[name]; there || name == "" {
			t.Errorf("initializer %q is there twice, or has no name", name)
		}
		tensors[name] = r
		checkSize(t, name, r)
		line("%s %v %s", elementName(r.element), r.dims, name)
	})
	each(graph, 1, func(m []byte) { line("%s", readNode(t, m)) })
	checkOrder(t, graph, tensors)
	return b.String(), tensors
}

func checkSize(t *testing.T, name string, r readTensor) {
	t.Helper()
	size := map[int64]int64{1: 4, 7: 8}[r.element]
	for _, d := range r.dims {
		size *= d
	}
	if size != int64(len(r.raw)) {
		t.Errorf("%s %v has %d bytes, want %d", name, r.dims, len(r.raw), size)
	}
}

// checkOrder fails unless each value that a node or an output reads was computed before,
// once.
func checkOrder(t *testing.T, graph []wireField, tensors map[string]readTensor) {
	t.Helper()
	known := map[string]bool{}
	define := func(name string) {
		if known[name] || name == "" {
			t.Errorf("the value %q is computed twice, or has no name", name)
		}
		known[name] = true
	}
	for name := range tensors {
		define(name)
	}
	each(graph, 11, func(m []byte) { define(one(t, wireFields(t, m), 1)) })
	names := map[string]bool{}
	each(graph, 1, func(m []byte) {
		node := wireFields(t, m)
		for _, in := range texts(node, 1) {
			if !known[in] {
				t.Errorf("node %s reads %q, which is not computed before", one(t, node, 3), in)
			}
		}
		for _, out := range texts(node, 2) {
			define(out)
		}
		if name := one(t, node, 3); names[name] {
			t.Errorf("two nodes are named %q", name)
		} else {
			names[name] = true
		}
	})
	each(graph, 12, func(m []byte) {
		if name := one(t, wireFields(t, m), 1); !known[name] {
			t.Errorf("the output %q is not computed", name)
		}
	})
}

func elementName(element int64) string {
	return map[int64]string{1: "float32", 7: "int64"}[element]
}

func readValue(t *testing.T, m []byte) string {
	t.Helper()
	v := wireFields(t, m)
	typ := wireFields(t, []byte(one(t, wireFields(t, []byte(one(t, v, 2))), 1)))
	var dims []string
	each(wireFields(t, []byte(one(t, typ, 2))), 1, func(m []byte) {
		dim := wireFields(t, m)
		if name := one(t, dim, 2); name != "" {
			dims = append(dims, name)
		} else {
			dims = append(dims, fmt.Sprint(values(dim, 1)[0]))
		}
	})
	return fmt.Sprintf("%s: %s [%s]", one(t, v, 1), elementName(values(typ, 1)[0]), strings.Join(dims, " "))
}

func readNode(t *testing.T, m []byte) string {
	t.Helper()
	n := wireFields(t, m)
	s := fmt.Sprintf("%s = %s(%s)", strings.Join(texts(n, 2), ", "), one(t, n, 4), strings.Join(texts(n, 1), ", "))
	each(n, 5, func(m []byte) {
		a := wireFields(t, m)
		s += " " + one(t, a, 1) + "="
		switch kind := values(a, 20)[0]; kind {
		case 1:
			s += fmt.Sprint(math.Float32frombits(binary.LittleEndian.Uint32([]byte(one(t, a, 2)))))
		case 2:
			s += fmt.Sprint(values(a, 3)[0])
		case 7:
			s += fmt.Sprint(values(a, 8))
		default:
			t.Errorf("attribute type %d", kind)
		}
	})
	return s
}

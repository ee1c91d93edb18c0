package export

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"reprise/fault"
	"reprise/tensor"
)

// An ONNX file is a message of Protocol Buffers, ModelProto of onnx.proto
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3). These are the numbers of
// the fields that are written, by message.
const (
	modelIRVersion, modelProducer, modelGraph, modelOpset, modelMetadata = 1, 2, 7, 8, 14

	opsetVersion = 2

	propertyKey, propertyValue = 1, 2

	graphNode, graphName, graphInitializer, graphInput, graphOutput = 1, 2, 5, 11, 12

	nodeInput, nodeOutput, nodeName, nodeOpType, nodeAttribute = 1, 2, 3, 4, 5

	attributeName, attributeFloat, attributeInt, attributeInts, attributeType = 1, 2, 3, 8, 20

	tensorDims, tensorType, tensorName, tensorRaw = 1, 2, 8, 9

	valueName, valueType                       = 1, 2
	typeTensor, tensorTypeElement, tensorShape = 1, 1, 2
	shapeDim, dimValue, dimParam               = 1, 1, 2
)

// Element types, types of attributes, and the versions that are written. Version 8 of
// the format is the first with operator set 17.
const (
	elementFloat, elementInt64 = 1, 7

	kindFloat, kindInt, kindInts = 1, 2, 7

	irVersion, opset = 8, 17
)

// maxONNX is the largest size of a message of Protocol Buffers.
const maxONNX = math.MaxInt32

// message is an encoded message, or a part of one.
type message []byte

func (m *message) int(field protowire.Number, v int64) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *message) ints(field protowire.Number, list []int) {
	for _, v := range list {
		m.int(field, int64(v))
	}
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

func (m *message) string(field protowire.Number, s string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) message(field protowire.Number, inner message) { m.string(field, string(inner)) }

// prefix begins a field whose content, of n bytes, follows elsewhere.
func (m *message) prefix(field protowire.Number, n int64) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendVarint(*m, uint64(n))
}

// attribute is an attribute of a node: a float32, an int or a list of int.
type attribute struct {
	name  string
	value any
}

func (a attribute) encode() message {
	var m message
	m.string(attributeName, a.name)
	switch v := a.value.(type) {
	case float32:
		m.float(attributeFloat, v)
		m.int(attributeType, kindFloat)
	case int:
		m.int(attributeInt, int64(v))
		m.int(attributeType, kindInt)
	case []int:
		m.ints(attributeInts, v)
		m.int(attributeType, kindInts)
	default:
		panic(fmt.Sprintf("export: attribute %s is a %T", a.name, a.value))
	}
	return m
}

// node is an operation with one output, which it is named for.
type node struct {
	op         string
	name       string
	inputs     []string
	outputs    []string
	attributes []attribute
}

func (n node) encode() message {
	var m message
	for _, in := range n.inputs {
		m.string(nodeInput, in)
	}
	for _, out := range n.outputs {
		m.string(nodeOutput, out)
	}
	m.string(nodeName, n.name)
	m.string(nodeOpType, n.op)
	for _, a := range n.attributes {
		m.message(nodeAttribute, a.encode())
	}
	return m
}

// value is an input or output of the graph. The first dimension, and each that is
// negative, is free.
type value struct {
	name    string
	element int64
	shape   tensor.Shape // of one sample
}

func (v value) encode() message {
	var batch, shape, kind, typ, m message
	batch.string(dimParam, "batch")
	shape.message(shapeDim, batch)
	for _, d := range v.shape {
		var dim message
		dim.int(dimValue, int64(d))
		shape.message(shapeDim, dim)
	}
	kind.int(tensorTypeElement, v.element)
	kind.message(tensorShape, shape)
	typ.message(typeTensor, kind)
	m.string(valueName, v.name)
	m.message(valueType, typ)
	return m
}

// initializer is a constant of the graph: float32 values, or whole numbers if ints is
// not nil.
type initializer struct {
	name   string
	shape  tensor.Shape
	floats []float32
	ints   []int
}

// rawSize returns the size of the values, in bytes.
func (i initializer) rawSize() int64 {
	if i.ints != nil {
		return int64(len(i.ints)) * 8
	}
	return int64(len(i.floats)) * 4
}

// head encodes everything but the values, which come last.
func (i initializer) head() message {
	var m message
	m.ints(tensorDims, i.shape)
	element := int64(elementFloat)
	if i.ints != nil {
		element = elementInt64
	}
	m.int(tensorType, element)
	m.string(tensorName, i.name)
	m.prefix(tensorRaw, i.rawSize())
	return m
}

// writeRaw writes the values, least significant byte first.
func (i initializer) writeRaw(w io.Writer) error {
	var word [8]byte
	for _, v := range i.ints {
		binary.LittleEndian.PutUint64(word[:], uint64(int64(v)))
		if _, err := w.Write(word[:]); err != nil {
			return err
		}
	}
	for _, v := range i.floats {
		binary.LittleEndian.PutUint32(word[:4], math.Float32bits(v))
		if _, err := w.Write(word[:4]); err != nil {
			return err
		}
	}
	return nil
}

// write writes the file. Only the values of the initializers are not held twice in
// memory.
func (g *graph) write(w io.Writer) error {
	head, tail, constants, err := g.encode()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.Write(head); err != nil {
		return err
	}
	for i, c := range constants {
		if _, err := out.Write(c); err != nil {
			return err
		}
		if err := g.initializers[i].writeRaw(out); err != nil {
			return err
		}
	}
	if _, err := out.Write(tail); err != nil {
		return err
	}
	return out.Flush()
}

// encode returns the file without the values of its initializers: what precedes the
// first, what precedes the values of each, and what follows the last. It fails with a
// *fault.FieldError if the file would be larger than the format allows.
func (g *graph) encode() (head, tail message, constants []message, err error) {
	var nodes, values message
	for _, n := range g.nodes {
		nodes.message(graphNode, n.encode())
	}
	nodes.string(graphName, "model")
	for _, v := range g.inputs {
		values.message(graphInput, v.encode())
	}
	for _, v := range g.outputs {
		values.message(graphOutput, v.encode())
	}
	size := int64(len(nodes) + len(values))
	for _, i := range g.initializers {
		inner := i.head()
		var m message
		m.prefix(graphInitializer, int64(len(inner))+i.rawSize())
		m = append(m, inner...)
		constants = append(constants, m)
		size += int64(len(m)) + i.rawSize()
	}
	head.int(modelIRVersion, irVersion)
	head.string(modelProducer, "reprise")
	var set message
	set.int(opsetVersion, opset)
	head.message(modelOpset, set)
	for _, p := range g.origin {
		var m message
		m.string(propertyKey, p.Key)
		m.string(propertyValue, p.Value)
		head.message(modelMetadata, m)
	}
	head.prefix(modelGraph, size)
	if total := int64(len(head)) + size; total > maxONNX {
		return nil, nil, nil, &fault.FieldError{Field: "format", Value: `"onnx"`,
			Problem: fmt.Sprintf("would need a file of %v, and holds at most %v", tensor.Bytes(total), tensor.Bytes(maxONNX)),
			Fix:     fmt.Sprintf("use %s", Safetensors)}
	}
	return append(head, nodes...), values, constants, nil
}

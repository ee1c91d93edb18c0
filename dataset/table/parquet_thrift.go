package table

import (
	"encoding/binary"
	"errors"
	"io"
)

// thriftSpan returns the length of the struct in Thrift's compact protocol that b begins
// with. It fails with io.ErrUnexpectedEOF if b ends within it.
//
// The decoder of the Parquet package takes memory for as many elements as a list claims,
// so nothing is given to it before this has found them: no list may claim more elements
// than there are bytes, nor all lists of structs more than a quarter of the bytes, which
// no metadata of Parquet reaches.
func thriftSpan(b []byte) (int, error) {
	w := &thriftWalk{b: b, structs: len(b)/4 + 16}
	err := w.structure(0)
	return w.at, err
}

var errThrift = errors.New("is not in Thrift's compact protocol")

type thriftWalk struct {
	b       []byte
	at      int
	structs int // how many structs may still come in lists
}

// The types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		w.at = len(w.b)
		return io.ErrUnexpectedEOF
	}
	w.at += int(n)
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if w.at == len(w.b) {
		return 0, io.ErrUnexpectedEOF
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	switch {
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	case n < 0:
		return 0, errThrift
	}
	w.at += n
	return v, nil
}

func (w *thriftWalk) structure(depth int) error {
	for {
		field, err := w.byte()
		if err != nil || field == 0 {
			return err
		}
		if field>>4 == 0 { // the number of the field follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		kind := field & 0xf
		if kind == thriftTrue || kind == thriftFalse { // the value is in the type
			continue
		}
		if err := w.value(kind, depth+1); err != nil {
			return err
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	if depth > MaxDepth {
		return errThrift
	}
	switch kind {
	case thriftTrue, thriftFalse, thriftByte: // a boolean takes a byte in a list
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftUUID:
		return w.skip(16)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		head, err := w.byte()
		if err != nil {
			return err
		}
		n := uint64(head >> 4)
		if n == 15 {
			if n, err = w.varint(); err != nil {
				return err
			}
		}
		return w.elements(n, depth, head&0xf)
	case thriftMap:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := w.byte()
		if err != nil {
			return err
		}
		return w.elements(n, depth, kinds>>4, kinds&0xf)
	case thriftStruct:
		return w.structure(depth)
	}
	return errThrift
}

func (w *thriftWalk) elements(n uint64, depth int, kinds ...byte) error {
	if n > uint64(len(w.b)-w.at) {
		return io.ErrUnexpectedEOF
	}
	for range n {
		for _, kind := range kinds {
			if kind == thriftStruct {
				if w.structs--; w.structs < 0 {
					return errThrift
				}
			}
			if err := w.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

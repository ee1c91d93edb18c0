package sqlite

import (
	"encoding/binary"
	"time"

	"reprise/eventstore"
)

// The layout of a row in a leaf of a table, https://sqlite.org/fileformat2.html: the
// length of the record and the rowid as varints, then the record: the length of its
// header, a type for each column, and the columns. What does not fit on the page
// follows in a chain of overflow pages, each with the number of the next before it.
const (
	eventColumns = 12
	// hashType is the type of a blob of 32 bytes. An event ends with two, the head
	// of the log with one.
	hashType = 12 + 2*32
	// tableLeaf is the kind of a page that holds rows.
	tableLeaf = 13
)

// cell is what may be the row of an event; the hash decides.
type cell struct {
	position eventstore.Position
	types    [eventColumns]uint64
	header   int // length of the record's header
	total    int // length of the record
	local    int // of it on the page
	at       int // where on the page the record begins
}

// cells visits everything on a page that may be the row of an event, whether or not the
// page's table of cells lists it.
func cells(page []byte, usable int, visit func(cell)) {
	for at := 2; at+eventColumns < usable; at++ {
		header := int(page[at])
		// The first column is the rowid and has no value of its own.
		if page[at+1] != 0 || header <= eventColumns || header > 64 || at+header > usable ||
			page[at+header-1] != hashType || page[at+header-2] != hashType {
			continue
		}
		if c, ok := parseCell(page, at, header, usable); ok {
			visit(c)
		}
	}
}

func parseCell(page []byte, at, header, usable int) (cell, bool) {
	c := cell{header: header, at: at}
	types := page[at+1 : at+header]
	body := 0
	for i := range c.types {
		t, n := varint(types)
		size, ok := columnSize(t)
		if n == 0 || !ok {
			return c, false
		}
		c.types[i], types, body = t, types[n:], body+size
	}
	if len(types) != 0 || body > eventstore.MaxPayload+8*eventstore.MaxName {
		return c, false
	}
	c.total = header + body
	c.local = localSize(c.total, usable)
	if at+c.local > usable {
		return c, false
	}
	// The rowid ends before the record. Its bytes but the last have the top bit set,
	// and so it begins after one that has not: the end of the length.
	first := at - 1
	for first > 0 && at-first < 9 && page[first-1] >= 0x80 {
		first--
	}
	rowid, n := varint(page[first:at])
	c.position = eventstore.Position(rowid)
	return c, first+n == at && rowid != 0 && rowid < 1<<62
}

// localSize is the part of a record of that length that a page keeps.
func localSize(total, usable int) int {
	most := usable - 35
	if total <= most {
		return total
	}
	least := (usable-12)*32/255 - 23
	if n := least + (total-least)%(usable-4); n <= most {
		return n
	}
	return least
}

// event returns the event of a record, having checked its hash.
func (c *cell) event(record []byte) (eventstore.Event, error) {
	e := eventstore.Event{Position: c.position}
	columns := record[c.header:]
	next := func(i int) []byte {
		size, _ := columnSize(c.types[i])
		b := columns[:size:size]
		columns = columns[size:]
		return b
	}
	number := func(i int) int64 { return integer(c.types[i], next(i)) }
	next(0)
	e.ID = eventstore.EventID(next(1))
	e.Aggregate = eventstore.AggregateID(next(2))
	e.Version = eventstore.Version(number(3))
	e.Type = string(next(4))
	seconds, nanoseconds := number(5), number(6)
	e.Time = time.Unix(seconds, nanoseconds).UTC()
	e.Correlation = eventstore.EventID(next(7))
	e.Causation = eventstore.EventID(next(8))
	if payload := next(9); len(payload) > 0 {
		e.Payload = append([]byte(nil), payload...)
	}
	copy(e.PrevHash[:], next(10))
	copy(e.Hash[:], next(11))
	if nanoseconds < 0 || nanoseconds > 999_999_999 { // it would be carried into seconds, with the same hash
		return e, damaged(&e, "its time is damaged")
	}
	return e, e.Check()
}

// heads visits everything on a page that may be the record of the end of the log. It is
// live if the page has it as its first row.
func heads(page []byte, usable int, visit func(head eventstore.Head, live bool)) {
	for at := 2; at+4 < usable; at++ {
		// The row has the rowid 1, and three columns: that, a number and a hash.
		if page[at] != 4 || page[at-1] != 1 || page[at+1] != 0 || page[at+3] != hashType {
			continue
		}
		t := uint64(page[at+2])
		size, ok := columnSize(t)
		if !ok || t >= 12 || int(page[at-2]) != 4+size+32 || at+4+size+32 > usable {
			continue
		}
		var h eventstore.Head
		h.Position = eventstore.Position(integer(t, page[at+4:at+4+size]))
		copy(h.Hash[:], page[at+4+size:])
		// The page's header may be damaged; if it is there, it has the number of rows.
		empty := page[0] == tableLeaf && page[3] == 0 && page[4] == 0
		visit(h, !empty && int(binary.BigEndian.Uint16(page[8:])) == at-2)
	}
}

// varint reads a number of up to 9 bytes; n is 0 where it is cut off.
func varint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && n < len(b) {
		return v<<8 | uint64(b[n]), 9
	}
	return 0, 0
}

// columnSize is the length of a column of that type; events have no floats.
func columnSize(t uint64) (size int, ok bool) {
	switch {
	case t <= 4:
		return int(t), true
	case t == 5:
		return 6, true
	case t == 6:
		return 8, true
	case t == 8, t == 9:
		return 0, true
	case t >= 12 && t < 1<<32:
		return int(t-12) / 2, true
	}
	return 0, false
}

// integer is the number in a column of that type.
func integer(t uint64, b []byte) int64 {
	if len(b) == 0 || len(b) > 8 {
		return int64(t) - 8 // 8 and 9 stand for 0 and 1
	}
	var room [8]byte
	if b[0] >= 0x80 {
		room = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	copy(room[8-len(b):], b)
	return int64(binary.BigEndian.Uint64(room[:]))
}

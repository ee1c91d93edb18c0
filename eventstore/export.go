package eventstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// The format of an export, one JSON value per line: a header, every event in
// order, and the head. An export without the head was cut off.
const (
	exportFormat  = "reprise.events"
	exportVersion = 1
	// maxExportLine fits the largest event with every byte escaped.
	maxExportLine = 6*(MaxPayload+5*MaxName) + 1024
)

type exportHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type exportedEvent struct {
	Position  Position    `json:"position"`
	Aggregate AggregateID `json:"aggregate"`
	Version   Version     `json:"version"`
	ID        EventID     `json:"id"`
	Type      string      `json:"type"`
	// Seconds since 1970 UTC and Nanoseconds are the time: RFC 3339 ends with the
	// year 9999.
	Seconds     int64   `json:"seconds"`
	Nanoseconds int64   `json:"nanoseconds"`
	Correlation EventID `json:"correlation,omitempty"`
	Causation   EventID `json:"causation,omitempty"`
	// Payload is the stored text; if that is not UTF-8, Bytes holds it.
	Payload  string `json:"payload,omitempty"`
	Bytes    []byte `json:"payload_base64,omitempty"`
	PrevHash string `json:"prev_hash"`
	Hash     string `json:"hash"`
}

type exportFooter struct {
	Head exportedHead `json:"head"`
}

type exportedHead struct {
	Position Position `json:"position"`
	Hash     string   `json:"hash"`
}

// Export writes the log as lines of JSON, with the hashes, up to its end at the
// time of the call, and returns that end. docs/event-format.md specifies the
// format. Snapshots and consumers are not part of it.
func Export(ctx context.Context, store Store, to io.Writer) (Head, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return Head{}, err
	}
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(exportHeader{exportFormat, exportVersion}); err != nil {
		return Head{}, err
	}
	chain := NewChain()
	for chain.Head().Position < head.Position {
		after := chain.Head().Position
		page, err := store.Read(ctx, after, int(min(head.Position-after, 1000)))
		if err != nil {
			return Head{}, err
		}
		if len(page) == 0 {
			return Head{}, &CorruptionError{Position: after + 1, What: "missing"}
		}
		for _, e := range page {
			if err := errors.Join(chain.Add(e), encoder.Encode(exported(e))); err != nil {
				return Head{}, err
			}
		}
	}
	if chain.Head() != head {
		return Head{}, &CorruptionError{Position: head.Position, What: fmt.Sprintf("its hash is %s, and %s was appended", chain.Head().Hash, head.Hash)}
	}
	return head, errors.Join(encoder.Encode(exportFooter{exportedHead{head.Position, head.Hash.String()}}), out.Flush())
}

func exported(e Event) exportedEvent {
	out := exportedEvent{
		Position: e.Position, Aggregate: e.Aggregate, Version: e.Version, ID: e.ID, Type: e.Type,
		Seconds: e.Time.Unix(), Nanoseconds: int64(e.Time.Nanosecond()), Correlation: e.Correlation, Causation: e.Causation,
		PrevHash: e.PrevHash.String(), Hash: e.Hash.String(),
	}
	if utf8.Valid(e.Payload) {
		out.Payload = string(e.Payload)
	} else {
		out.Bytes = e.Payload
	}
	return out
}

// Import appends an export to an empty store and returns its head. The whole
// export is read and its chain verified before the first event is appended: one
// that was changed or cut off gives *CorruptionError and changes nothing. It
// fails with ErrNotEmpty if the store has events. An interrupted Import leaves
// a store that holds part of the log; delete that store.
func Import(ctx context.Context, store Store, from io.ReadSeeker) (Head, error) {
	if head, err := store.Head(ctx); err != nil || head.Position != 0 {
		return Head{}, errors.Join(err, notEmpty(head))
	}
	start, err := from.Seek(0, io.SeekCurrent)
	if err != nil {
		return Head{}, err
	}
	want, err := readExport(ctx, from, func(Event) error { return nil })
	if err != nil {
		return Head{}, err
	}
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		return Head{}, err
	}
	appender := importer{store: store}
	if _, err := readExport(ctx, from, func(e Event) error { return appender.add(ctx, e) }); err != nil {
		return Head{}, err
	}
	if err := appender.flush(ctx); err != nil {
		return Head{}, err
	}
	got, err := store.Head(ctx)
	if err == nil && got != want {
		err = fmt.Errorf("the imported log ends at position %d with hash %s, and the export at %d with %s", got.Position, got.Hash, want.Position, want.Hash)
	}
	return got, err
}

func notEmpty(head Head) error {
	if head.Position == 0 {
		return nil
	}
	return fmt.Errorf("%w: it ends at position %d", ErrNotEmpty, head.Position)
}

// readExport verifies an export and visits its events.
func readExport(ctx context.Context, from io.Reader, visit func(Event) error) (Head, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxExportLine)
	var header exportHeader
	if !lines.Scan() || strictJSON(lines.Bytes(), &header) != nil || header.Format != exportFormat {
		return Head{}, errors.Join(lines.Err(), fmt.Errorf("this is not an export of an event log: its first line is not {\"format\":%q,...}", exportFormat))
	}
	if header.Version != exportVersion {
		return Head{}, fmt.Errorf("the export has version %d, and this version of reprise reads %d", header.Version, exportVersion)
	}
	chain := NewChain()
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return Head{}, err
		}
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"head":`)) {
			return readFooter(lines, chain.Head())
		}
		e, err := parseEvent(lines.Bytes())
		if err == nil {
			err = chain.Add(e)
		}
		if err == nil {
			err = visit(e)
		}
		if err != nil {
			return Head{}, fmt.Errorf("line %d of the export: %w", chain.Head().Position+1, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Head{}, err
	}
	return Head{}, &CorruptionError{Position: chain.Head().Position + 1, What: "the export ends before this event and has no last line"}
}

func readFooter(lines *bufio.Scanner, head Head) (Head, error) {
	var footer exportFooter
	if err := strictJSON(lines.Bytes(), &footer); err != nil {
		return Head{}, err
	}
	if footer.Head != (exportedHead{head.Position, head.Hash.String()}) {
		return Head{}, &CorruptionError{Position: head.Position, What: fmt.Sprintf("the export's last line says position %d, hash %s", footer.Head.Position, footer.Head.Hash)}
	}
	if lines.Scan() {
		return Head{}, &CorruptionError{What: "the export continues after its last line"}
	}
	return head, lines.Err()
}

// parseEvent returns the event of a line; adding it to the chain checks its
// content against its hash.
func parseEvent(line []byte) (Event, error) {
	var in exportedEvent
	if err := strictJSON(line, &in); err != nil {
		return Event{}, err
	}
	e := Event{
		NewEvent:  NewEvent{ID: in.ID, Type: in.Type, Time: time.Unix(in.Seconds, in.Nanoseconds).UTC(), Correlation: in.Correlation, Causation: in.Causation},
		Aggregate: in.Aggregate, Version: in.Version, Position: in.Position,
	}
	switch {
	case in.Nanoseconds < 0 || in.Nanoseconds > 999_999_999:
		return Event{}, fmt.Errorf("nanoseconds %d, want 0 to 999999999", in.Nanoseconds)
	case len(in.Bytes) > 0 && in.Payload != "":
		return Event{}, errors.New("it has both payload and payload_base64")
	case len(in.Bytes) > 0:
		e.Payload = in.Bytes
	case in.Payload != "":
		e.Payload = []byte(in.Payload)
	}
	if err := errors.Join(parseHash(&e.PrevHash, in.PrevHash), parseHash(&e.Hash, in.Hash)); err != nil {
		return Event{}, err
	}
	return e, e.validate()
}

func parseHash(h *Hash, text string) error {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("hash %q is not 64 hexadecimal digits", text)
	}
	copy(h[:], raw)
	return nil
}

func strictJSON(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text after the JSON value")
	}
	return nil
}

// importer appends events in batches.
type importer struct {
	store  Store
	writes []Write
	events int
}

func (i *importer) add(ctx context.Context, e Event) error {
	last := len(i.writes) - 1
	if last < 0 || i.writes[last].Aggregate != e.Aggregate {
		i.writes = append(i.writes, Write{Aggregate: e.Aggregate, Expected: Exactly(e.Version - 1)})
		last++
	}
	i.writes[last].Events = append(i.writes[last].Events, e.NewEvent)
	if i.events++; i.events == MaxBatch {
		return i.flush(ctx)
	}
	return nil
}

func (i *importer) flush(ctx context.Context) error {
	if i.events == 0 {
		return nil
	}
	_, err := i.store.Append(ctx, i.writes...)
	i.writes, i.events = nil, 0
	return err
}

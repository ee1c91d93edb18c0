package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"reprise/eventstore"
	"reprise/internal/disk"
)

// Wreck is a store that may be damaged, as a source of the whole events in it. It is
// only read, and without SQLite: page checksums and b-trees are ignored, and only the
// hash of each event counts. Old copies of pages in the write-ahead log and in free
// space are read too. A Wreck is used by one goroutine.
type Wreck struct {
	files  []disk.File
	closed bool
	images
	whole   map[eventstore.Position][]*piece
	heads   []recordedAt
	doubted map[eventstore.Position][]doubtful
	prefix  []*piece
	rest    []*piece
	summary eventstore.Salvaged
}

// piece is a whole event and where it is.
type piece struct {
	position   eventstore.Position
	prev, hash eventstore.Hash
	from       image
	cell       cell
	sealed     bool // it was committed, or a commit was written after it
	// length is the number of events in the chain that starts with this one.
	length int
	next   *piece
}

// doubtful is the row of an event whose hash does not match its content. One of the two
// may be whole, which its neighbours in the chain can prove.
type doubtful struct {
	piece
	content eventstore.Hash // of the content; piece.hash is the recorded one
	what    string
}

// recordedAt is a record of the end of the log.
type recordedAt struct {
	head eventstore.Head
	// live is whether it is a row of its page, rather than an old one left in the space
	// between rows.
	live, current, late bool
}

// OpenWreck reads all of the store at path, whatever its state. It fails with
// fs.ErrNotExist if there is neither a file nor a write-ahead log. The caller ensures
// that nobody writes to the store, and closes the wreck.
func OpenWreck(ctx context.Context, path string) (*Wreck, error) {
	w := &Wreck{}
	err := w.open(disk.OS{}, path)
	if err == nil && !w.closed {
		w.end, err = (&wal{file: w.log}).findEnd()
	}
	if err == nil {
		err = w.readAll(ctx, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("salvage event store %s: %w", path, explain(path, false, 0, err, nil)), w.Close())
	}
	return w, nil
}

func (w *Wreck) open(d disk.FS, path string) error {
	for _, source := range []struct {
		suffix string
		file   *io.ReaderAt
	}{{"", &w.db}, {"-wal", &w.log}} {
		f, err := disk.Open(d, path+source.suffix)
		if errors.Is(err, fs.ErrNotExist) {
			*source.file = bytes.NewReader(nil)
			w.closed = source.file == &w.log
			continue
		}
		if err != nil {
			return err
		}
		w.files = append(w.files, f)
		*source.file = f
	}
	if len(w.files) == 0 {
		return fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return nil
}

// readAll finds the events. It tries every layout of pages that is recorded somewhere,
// and that of new stores, and keeps the one with the most events.
func (w *Wreck) readAll(ctx context.Context, path string) error {
	damage, err := walDamage(disk.OS{}, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	best := -1
	source := w.images
	for _, layout := range source.layouts() {
		attempt := &Wreck{images: source}
		attempt.layout = layout
		if err := attempt.index(err == nil && damage == ""); err != nil {
			return err
		}
		if err := attempt.find(ctx); err != nil {
			return err
		}
		if n := len(attempt.whole); n > best {
			best = n
			attempt.files, attempt.closed = w.files, w.closed
			*w = *attempt
		}
	}
	w.resolve()
	w.arrange()
	return nil
}

// find looks at every copy of every page.
func (w *Wreck) find(ctx context.Context) error {
	w.whole, w.doubted = map[eventstore.Position][]*piece{}, map[eventstore.Position][]doubtful{}
	for from := range w.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := w.read(from)
		if err != nil {
			return err
		}
		cells(page, w.usable(), func(c cell) { w.add(from, page, c) })
		heads(page, w.usable(), func(h eventstore.Head, live bool) {
			w.heads = append(w.heads, recordedAt{h, live, from.current, from.late})
		})
	}
	return nil
}

// add notes the event of a cell, if it is whole.
func (w *Wreck) add(from image, page []byte, c cell) {
	if c.local == c.total { // most copies of an event are recognised by their hash alone
		hash := page[c.at+c.total-len(eventstore.Hash{}):][:len(eventstore.Hash{})]
		for _, p := range w.whole[c.position] {
			if bytes.Equal(p.hash[:], hash) {
				p.sealed = p.sealed || from.sealed
				if from.current && !p.from.current {
					p.from, p.cell = from, c
				}
				return
			}
		}
	}
	e, err := w.event(page, c)
	found := piece{position: c.position, prev: e.PrevHash, hash: e.Hash, from: from, cell: c, sealed: from.sealed}
	switch {
	case err == nil:
		w.keep(found)
	case looksRight(e) && len(w.doubted[c.position]) < maxDoubtful:
		w.doubted[c.position] = append(w.doubted[c.position], doubtful{found, hashOf(e, e.PrevHash),
			fmt.Sprintf("%s, version %d of %s: %s", e.Type, e.Version, e.Aggregate, whatOf(err))})
	}
}

// maxDoubtful bounds the copies of a damaged row that are examined.
const maxDoubtful = 16

func (w *Wreck) keep(p piece) {
	for _, known := range w.whole[p.position] {
		if known.hash == p.hash {
			known.sealed = known.sealed || p.sealed
			return
		}
	}
	w.whole[p.position] = append(w.whole[p.position], &p)
}

// resolve keeps the doubtful rows whose content is proven whole: hashed with the event
// before it, the content has the recorded hash, or it has the hash that the event after
// it follows.
func (w *Wreck) resolve() {
	positions := slices.Sorted(maps.Keys(w.doubted))
	for _, at := range positions {
		for _, d := range w.doubted[at] {
			for _, before := range w.whole[at-1] {
				e, err := w.loaded(&d.piece)
				if err == nil && hashOf(e, before.hash) == d.hash {
					d.prev = before.hash
					w.keep(d.piece)
				}
			}
		}
	}
	slices.Reverse(positions)
	for _, at := range positions {
		for _, d := range w.doubted[at] {
			end := eventstore.Head{Position: at, Hash: d.content}
			follows := func(p *piece) bool { return p.prev == d.content }
			recorded := func(h recordedAt) bool { return h.head == end }
			if slices.ContainsFunc(w.whole[at+1], follows) || slices.ContainsFunc(w.heads, recorded) {
				d.hash = d.content
				w.keep(d.piece)
			}
		}
	}
}

// hashOf returns the hash of an event that follows one with the hash prev.
func hashOf(e eventstore.Event, prev eventstore.Hash) eventstore.Hash {
	return eventstore.Seal(e.NewEvent, e.Aggregate, e.Version, e.Position, prev).Hash
}

// looksRight reports whether a damaged event looks like an event: bytes that happen to
// look like a row are not worth mentioning.
func looksRight(e eventstore.Event) bool {
	return eventstore.CheckWrites([]eventstore.Write{{Aggregate: e.Aggregate, Events: []eventstore.NewEvent{e.NewEvent}}}) == nil
}

func whatOf(err error) string {
	var damaged *eventstore.CorruptionError
	if errors.As(err, &damaged) {
		return damaged.What
	}
	return err.Error()
}

// arrange finds the longest log and what is left over.
func (w *Wreck) arrange() {
	positions := slices.Sorted(maps.Keys(w.whole))
	for _, at := range slices.Backward(positions) {
		for _, p := range w.whole[at] {
			p.length = 1
			if p.next = better(w.whole[at+1], p.hash); p.next != nil {
				p.length += p.next.length
			}
		}
	}
	for p := better(w.whole[1], eventstore.Hash{}); p != nil; p = p.next {
		w.prefix = append(w.prefix, p)
	}
	w.prefix = w.prefix[:w.ended()]
	s := &w.summary
	if n := len(w.prefix); n > 0 {
		s.Head = eventstore.Head{Position: w.prefix[n-1].position, Hash: w.prefix[n-1].hash}
	}
	if n := len(positions); n > 0 {
		s.LastSeen = positions[n-1]
	}
	s.Closed = w.closed
	s.Recorded, s.Doubt = w.recordedEnd(s.LastSeen)
	if s.Doubt == "" {
		s.Doubt = w.logDoubt()
	}
	w.beyond(positions)
}

// ended returns how many events of the chain belong to the log. Those of an append that
// may be incomplete do not: the log must not end within an append. An append is complete
// if a commit follows it, or if there is a record of the end that it leads to.
func (w *Wreck) ended() int {
	ends := map[eventstore.Head]bool{}
	for _, h := range w.heads {
		ends[h.head] = true
	}
	n := len(w.prefix)
	for n > 0 {
		if p := w.prefix[n-1]; p.sealed || ends[eventstore.Head{Position: p.position, Hash: p.hash}] {
			break
		}
		n--
	}
	return n
}

// recordedEnd returns the recorded end of the log, and what speaks against it being its
// end: "" if the record is current, and no event was found after it. last is the position
// of the last event that was found. A damaged record may say anything, and older copies of
// a page hold earlier ends.
func (w *Wreck) recordedEnd(last eventstore.Position) (end eventstore.Head, doubt string) {
	var after eventstore.Head
	current := slices.ContainsFunc(w.heads, func(h recordedAt) bool { return h.live && h.current })
	currentKnown := false
	for _, h := range w.heads {
		switch {
		case !h.live:
		case w.has(h.head):
			currentKnown = currentKnown || h.current
			if h.head.Position > end.Position {
				end = h.head
			}
		case (h.current || !current) && h.head.Position > max(last, after.Position):
			after = h.head
		}
	}
	if after.Position > 0 {
		return after, "" // events are missing at the end
	}
	// An older copy proves nothing by itself: the newest may be lost.
	if !currentKnown || end.Position != last {
		return end, "the record of the end of the log is missing or damaged"
	}
	return end, ""
}

// logDoubt says why the write-ahead log may have had more events; "" if it had not. A
// commit at its end that is damaged is whole nevertheless if the end of the log that it
// records is there, and no later one is recorded.
func (w *Wreck) logDoubt() string {
	if w.closed || w.end.doubt != "" {
		return w.end.doubt
	}
	end := w.summary.Last()
	whole := !slices.ContainsFunc(w.frames, func(f image) bool { return f.late })
	for _, h := range w.heads {
		switch {
		case !h.late || !h.live:
		case h.head.Position == end && (w.has(h.head) || h.head == w.summary.Recorded):
			whole = true
		case h.head.Position > end:
			return lastCommitDamaged
		}
	}
	if !whole {
		return lastCommitDamaged
	}
	return ""
}

const lastCommitDamaged = "the last commit in the write-ahead log is damaged, or was never finished"

// has reports whether the log has ever had that end.
func (w *Wreck) has(h eventstore.Head) bool {
	return h == eventstore.Head{} ||
		slices.ContainsFunc(w.whole[h.Position], func(p *piece) bool { return p.hash == h.Hash })
}

// beyond lists what is left beside the log, given the positions of whole events in
// order.
func (w *Wreck) beyond(positions []eventstore.Position) {
	s := &w.summary
	next := s.Head.Position + 1
	before := s.Head.Hash
	for _, at := range positions {
		if at < next {
			w.leave(at, w.prefix[at-1])
			continue
		}
		if at > next {
			w.missing(next, at-1)
		}
		first := better(w.whole[at], before)
		if first == nil {
			if at == s.Head.Position+1 {
				s.Gaps = append(s.Gaps, eventstore.Gap{First: at, Last: at, What: "the event in its place is whole, but does not follow the one before it"})
			}
			first = w.whole[at][0]
		}
		if !first.sealed {
			s.Unacknowledged++
		}
		w.rest = append(w.rest, first)
		w.leave(at, first)
		before, next = first.hash, at+1
	}
	if s.Recorded.Position >= next {
		w.missing(next, s.Recorded.Position)
		if end := &s.Gaps[len(s.Gaps)-1]; end.What == "" {
			end.What = fmt.Sprintf("nothing is left; position %d is recorded as the end of the log", s.Recorded.Position)
		}
	}
	w.doubtedAfter(max(next-1, s.Recorded.Position))
	s.Rest = len(w.rest)
}

// doubtedAfter records the damaged events after a position. Their positions may be
// damaged too, so that those between them need not be missing.
func (w *Wreck) doubtedAfter(position eventstore.Position) {
	for _, at := range slices.Sorted(maps.Keys(w.doubted)) {
		if at <= position {
			continue
		}
		w.summary.Gaps = append(w.summary.Gaps, eventstore.Gap{First: at, Last: at, What: w.doubted[at][0].what})
		if at == w.summary.Last()+1 {
			w.summary.LastSeen = at
		}
	}
}

// leave adds to the rest all events of a position except the chosen one.
func (w *Wreck) leave(at eventstore.Position, chosen *piece) {
	for _, p := range w.whole[at] {
		if p != chosen {
			w.rest = append(w.rest, p)
			w.summary.Other++
		}
	}
}

// missing records that there are no whole events from one position to another.
func (w *Wreck) missing(first, last eventstore.Position) {
	var seen []eventstore.Position
	for at := range w.doubted {
		if first <= at && at <= last {
			seen = append(seen, at)
		}
	}
	slices.Sort(seen)
	for _, at := range seen {
		if first < at {
			w.summary.Gaps = append(w.summary.Gaps, eventstore.Gap{First: first, Last: at - 1})
		}
		w.summary.Gaps = append(w.summary.Gaps, eventstore.Gap{First: at, Last: at, What: w.doubted[at][0].what})
		first = at + 1
	}
	if first <= last {
		w.summary.Gaps = append(w.summary.Gaps, eventstore.Gap{First: first, Last: last})
	}
}

// better returns the event that follows the one with that hash, nil if there is none. It
// prefers one of the current pages to one of an older copy, and then the one with the
// longer chain.
func better(candidates []*piece, after eventstore.Hash) *piece {
	var best *piece
	for _, p := range candidates {
		if p.prev != after {
			continue
		}
		if best == nil || p.from.current && !best.from.current ||
			p.from.current == best.from.current && p.length > best.length {
			best = p
		}
	}
	return best
}

// Salvaged describes what was found.
func (w *Wreck) Salvaged() eventstore.Salvaged { return w.summary }

// Events returns the events of the log that is whole from its first event.
func (w *Wreck) Events() iter.Seq2[eventstore.Event, error] { return w.load(w.prefix) }

// Rest returns the whole events that are not among those, by position.
func (w *Wreck) Rest() iter.Seq2[eventstore.Event, error] { return w.load(w.rest) }

func (w *Wreck) load(pieces []*piece) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for _, p := range pieces {
			e, err := w.loaded(p)
			e.PrevHash, e.Hash = p.prev, p.hash
			if err == nil && e.Check() != nil {
				err = damaged(&e, "the store changed while it was salvaged")
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// loaded reads an event again, whatever its hash.
func (w *Wreck) loaded(p *piece) (eventstore.Event, error) {
	page, err := w.read(p.from)
	if err != nil {
		return eventstore.Event{}, err
	}
	e, err := w.event(page, p.cell)
	if errors.Is(err, eventstore.ErrCorrupt) {
		err = nil
	}
	return e, err
}

// Close closes the files.
func (w *Wreck) Close() error {
	var err error
	for _, f := range w.files {
		err = errors.Join(err, f.Close())
	}
	w.files = nil
	return err
}

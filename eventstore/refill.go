package eventstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Refill appends events of another log, from its first one on, to an empty store
// and returns its head. They keep their hashes: it fails with *CorruptionError at
// the first one that does not follow the one before it, and with ErrNotEmpty where
// the store has events. A store that it failed on holds a part; delete it.
func Refill(ctx context.Context, store Store, events iter.Seq2[Event, error]) (Head, error) {
	if head, err := store.Head(ctx); err != nil || head.Position != 0 {
		return Head{}, errors.Join(err, notEmpty(head))
	}
	chain, appender := NewChain(), importer{store: store}
	for e, err := range events {
		if err == nil {
			err = chain.Add(e)
		}
		if err == nil {
			err = appender.add(ctx, e)
		}
		if err != nil {
			return Head{}, err
		}
	}
	if err := appender.flush(ctx); err != nil {
		return Head{}, err
	}
	got, err := store.Head(ctx)
	if err == nil && got != chain.Head() {
		err = fmt.Errorf("the log ends at position %d with hash %s, what it was made of at %d with %s",
			got.Position, got.Hash, chain.Head().Position, chain.Head().Hash)
	}
	return got, err
}

// fragmentFormat marks lines of events that are no whole log.
const fragmentFormat = "reprise.events.fragment"

// ExportFragment writes events that need not follow each other, as the lines of an
// export under a header of their own, so that Import refuses them. It returns their
// number.
func ExportFragment(to io.Writer, events iter.Seq2[Event, error]) (int, error) {
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(exportHeader{fragmentFormat, exportVersion}); err != nil {
		return 0, err
	}
	n := 0
	for e, err := range events {
		if err == nil {
			err = encoder.Encode(exported(e))
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, out.Flush()
}

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

// Refill appends the events of another log, starting with its first one, to an empty
// store and returns the store's head. The events keep their hashes: Refill fails with
// *CorruptionError at the first one that does not follow the one before it. It fails
// with ErrNotEmpty if the store has events. After any other error the store holds
// part of the log; delete that store.
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
		err = fmt.Errorf("the log ends at position %d with hash %s, the events it was made from end at %d with %s",
			got.Position, got.Hash, chain.Head().Position, chain.Head().Hash)
	}
	return got, err
}

// fragmentFormat marks lines of events that are not a whole log.
const fragmentFormat = "reprise.events.fragment"

// ExportFragment writes events that need not follow each other, as lines of an export
// under a different header, so that Import refuses them. It returns the number of
// events.
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

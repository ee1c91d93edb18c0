package integration

import "reprise/eventstore"

// Span is where the events of a run or a device begin and end in the log.
type Span struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last"`
}

// listAt returns what a list held at a position of the log, which it has seen. It is
// in the order of first events; then returns an item that has later events as it was.
func listAt[T any](items []T, spans []Span, at eventstore.Position, then func(T) (T, error)) ([]T, error) {
	var list []T
	for i, item := range items {
		if spans[i].First > at {
			break
		}
		if spans[i].Last > at {
			var err error
			if item, err = then(item); err != nil {
				return nil, err
			}
		}
		list = append(list, item)
	}
	return list, nil
}

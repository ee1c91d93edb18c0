package journal

import "reprise/eventstore"

// PositionRange is the range of positions in the log that holds the events of a run or a
// device.
type PositionRange struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last"`
}

// listAt returns what a list held at a position of the log that it has reached. The
// items are in the order of their first events. For an item with later events,
// then returns the item as it was at the position.
func listAt[T any](items []T, spans []PositionRange, at eventstore.Position, then func(T) (T, error)) ([]T, error) {
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

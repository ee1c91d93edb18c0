package eventstore

import (
	"fmt"
	"strconv"
	"strings"
)

// Upcast turns the payload of one version of an event type into that of the
// next: "x.happened.v1" into "x.happened.v2". Payload is a pure function and
// must not change its argument.
type Upcast struct {
	From, To string
	Payload  func(payload []byte) ([]byte, error)
}

// Upcasters is a set of upcasts, which lets a reader that knows only the newest
// version of every type read older events too. Stored events and their hashes
// stay as they are: verification applies to the stored event, before upcasting.
// The zero value changes nothing. It is safe for concurrent use.
type Upcasters struct{ from map[string]Upcast }

// NewUpcasters fails unless each upcast leads from one version of a type to the
// next, and no two start at the same version.
func NewUpcasters(steps ...Upcast) (Upcasters, error) {
	from := map[string]Upcast{}
	for _, s := range steps {
		name, version, ok := cutVersion(s.From)
		if want := fmt.Sprintf("%s.v%d", name, version+1); !ok || s.To != want || s.Payload == nil {
			return Upcasters{}, fmt.Errorf("upcast from %q to %q: want a function from NAME.vN to NAME.v(N+1)", s.From, s.To)
		}
		if _, ok := from[s.From]; ok {
			return Upcasters{}, fmt.Errorf("upcast from %q: given twice", s.From)
		}
		from[s.From] = s
	}
	return Upcasters{from: from}, nil
}

// Newest returns the type and payload of an event in the newest version that
// the upcasts lead to.
func (u Upcasters) Newest(e Event) (eventType string, payload []byte, err error) {
	eventType, payload = e.Type, e.Payload
	for {
		step, ok := u.from[eventType]
		if !ok {
			return eventType, payload, nil
		}
		if payload, err = step.Payload(payload); err != nil {
			return "", nil, fmt.Errorf("event %d of %s: upcast from %s: %w", e.Version, e.Aggregate, step.From, err)
		}
		eventType = step.To
	}
}

func cutVersion(eventType string) (name string, version uint64, ok bool) {
	dot := strings.LastIndex(eventType, ".v")
	if dot <= 0 {
		return "", 0, false
	}
	version, err := strconv.ParseUint(eventType[dot+2:], 10, 32)
	return eventType[:dot], version, err == nil && version > 0 && eventType == fmt.Sprintf("%s.v%d", eventType[:dot], version)
}

// Package queue has a closed set of events, and forgets some of them.
package queue

import "errors"

// Event is closed.
type Event interface {
	EventType() string
	queueEvent()
}

// Quiet groups events.
type Quiet interface {
	Event
	Quiet()
}

// Lonely is closed, but nothing lists it.
type Lonely interface { // want events "no function returns one event of each type of Lonely"
	EventType() string
	lonely()
}

// Typed is every event.
type Typed interface{ EventType() string }

type (
	// Added is an event.
	Added struct{ base }
	// Removed is one, too.
	Removed struct{ base }
	// Noted is a quiet one.
	Noted struct{ base }
	// Alone is of another set.
	Alone struct{}

	base struct{}
)

// EventType is promoted to the events.
func (base) EventType() string { return "" }

func (Added) queueEvent()   {}
func (Removed) queueEvent() {}
func (Noted) queueEvent()   {}

// Quiet makes it one of a group.
func (Noted) Quiet() {}

// EventType makes it an event.
func (Alone) EventType() string { return "" }
func (Alone) lonely()           {}

func someEvents() []Event { // want events "someEvents does not list Noted"
	return []Event{Added{}, Removed{}}
}

func silent(e Event) int {
	switch e.(type) { // want events "the switch does not name Noted, Removed"
	case Added:
		return 1
	default:
		return 0
	}
}

func ends(e Event) {
	switch e := e.(type) { // want events "the switch does not name Removed"
	case Added, Quiet:
		_ = e
	}
}

func whole(e Event) int {
	switch e.(type) {
	case Added, Removed, Quiet:
	}
	switch e.(type) {
	case Event:
	}
	return 0
}

func refuses(e Event) error {
	switch e.(type) {
	case Added:
		return nil
	default:
		return errRefused
	}
}

func returnsTwo(e Event) (int, error) {
	switch e.(type) {
	case Added:
		return 1, nil
	default:
		return fail()
	}
}

func panics(e Event) {
	switch e.(type) {
	case Added:
	default:
		panic("unknown event")
	}
}

func accepts(e Event) error {
	switch e.(type) { // want events "the switch does not name Noted, Removed"
	case Added:
		return errRefused
	default:
		return nil
	}
}

func everything(e Typed) {
	switch e.(type) { // want events "the switch does not name Alone"
	case Event:
	}
	switch e.(type) {
	case Event, Lonely:
	}
	switch any(e).(type) { // says nothing of events
	case string:
	}
}

var errRefused = errors.New("refused")

func fail() (int, error) { return 0, errRefused }

// advice names a flag; that a hyphen or two stand in a text is no flag.
func advice(separator string) string {
	if separator == "-- none --" {
		return "----BEGIN"
	}
	return "choose another folder with --data-dir" // want flags "speaks of a flag"
}

// Command reprise reaches for what is behind its service.
package main

import (
	"reprise/eventstore" // want layers "a display knows what a service answers"
	"reprise/journal"    // want layers "cmd/reprise may not import journal"
)

func main() {
	_ = eventstore.X
	_ = journal.X
}

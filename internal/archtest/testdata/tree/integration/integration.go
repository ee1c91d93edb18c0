// Package integration reaches for an implementation.
package integration

import (
	"reprise/eventstore"
	"reprise/eventstore/sqlite" // want layers "integration joins contexts, not their implementations"
)

var _ = eventstore.X
var _ = sqlite.X

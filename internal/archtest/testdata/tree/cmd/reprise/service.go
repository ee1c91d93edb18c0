package main

import (
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/queue" // want layers "cmd/reprise may not import queue"
)

var wired = [...]int{eventstore.X, sqlite.X}

var _ queue.Event

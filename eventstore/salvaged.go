package eventstore

// Salvaged describes what was found of a log.
type Salvaged struct {
	// Head is the end of the longest log that is whole from its first event.
	Head Head
	// Recorded is the recorded end of the log; zero if that record is damaged.
	Recorded Head
	// Doubt says why the log may have had more events than Gaps tell of; "" if nothing
	// shows that it had.
	Doubt string
	// Closed is whether there is no write-ahead log, as after the store was closed.
	// Otherwise the process that wrote it was killed, or still runs.
	Closed bool
	// Rest counts events that are whole but not part of that log.
	Rest int
	// Unacknowledged counts those of the rest that come after that log and are not known
	// to have been committed. They may have been acknowledged nevertheless.
	Unacknowledged int
	// Other counts those of the rest whose position is that of another event.
	Other int
	// Gaps are the positions for which no whole event was found.
	Gaps []Gap

	// LastSeen is the last position of an event, whole or not, without a gap before it
	// that is not listed.
	LastSeen Position
}

// Complete reports whether the log has every event up to its end as the files show it,
// and every whole event that was found is in it. Files that were replaced by older copies,
// or by zeros, do not show that there was more.
func (s Salvaged) Complete() bool { return s.Doubt == "" && s.Rest == 0 && len(s.Gaps) == 0 }

// Last is the last position of which anything is known: those up to it are saved, or are
// in Gaps. A damaged row may lie after it, since its position may be what is damaged.
func (s Salvaged) Last() Position {
	return max(s.Head.Position, s.Recorded.Position, s.LastSeen)
}

// Gap is a run of positions without a whole event.
type Gap struct {
	First, Last Position
	// What describes what was found in their place, if anything.
	What string
}

// Package eventstore owns the log of what happened: immutable events, appended
// to aggregates under optimistic concurrency, in one global order, linked by a
// hash chain. It does not know what the events mean.
//
// Store is the contract; eventstore/sqlite is the durable implementation,
// eventstore/memory its plain twin, and eventstore/storetest the tests that
// both pass. docs/event-format.md specifies the bytes that are hashed. An
// Attestation, signed and kept elsewhere, shows later that a log still contains
// what it contained then.
//
// It refuses: events out of order (ErrConcurrencyConflict), an event id used
// twice for different content (ErrEventIDReused), anything beyond the limits
// below (*fault.FieldError), and to return an event whose hash does not match
// (*CorruptionError).
//
// A Store is safe for concurrent use by any number of goroutines.
package eventstore

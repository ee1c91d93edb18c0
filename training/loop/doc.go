// Package loop trains a session step by step. What it computes is a function of the
// session and its data alone, in one fixed order: a run, its resumption and its
// verification share it, and a checkpoint holds all of its state.
//
// It knows nothing of actors, leases or the event log: whoever holds a device hands in
// its backend. An Execution is used by one goroutine at a time.
package loop

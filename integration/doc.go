// Package integration is the anti-corruption layer between the contexts: it
// hosts training's pure rules in actors, carries out what the saga commands on
// devices, data sets and checkpoints, and records what came of it in the event
// store. It owns no rule of its own.
//
// Host runs training runs; Verify trains a recorded run again and compares;
// RunLog and DeviceLog translate between events of a context and envelopes of
// the store, and fold them into records.
//
// The rule of every actor here is: decide, persist, then act on what was
// persisted. A process that dies between any two of these steps is mended by
// Host.Recover when the next one starts.
package integration

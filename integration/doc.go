// Package integration is the anti-corruption layer between the contexts: it
// hosts training's pure rules in actors, carries out the saga's commands on
// devices, data sets and checkpoints, and records the outcome in the event log.
// It has no rules of its own.
//
// Host runs training runs. Verifier trains a recorded run again and compares.
//
// Every actor here follows one rule: decide, persist, then act on what was
// persisted. If a process dies between any two of these steps, Recover cleans up
// after it when the next one starts.
package integration

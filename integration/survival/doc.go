// Package survival tests what survives: whole runs, on the real event store and
// real checkpoints, whose disk fails at any operation, whose power is cut or
// whose process is killed, and a process that hosts run after run.
// docs/durability.md says what they show.
//
// It has no code but tests.
package survival

// Package journal says what the event log means. An Aggregate declares a kind of
// aggregate: its events and what they add up to. A Log appends and folds the aggregates of
// one kind (RunLog, DeviceLog, ActorLog and QueueLog are such logs), and EventOf reads the
// events of every kind. The package keeps read models of many aggregates (Projection,
// Read), gives the state at any position (StateAt), and checks that a log follows from
// itself (VerifyLog).
//
// It reads and writes the store and nothing else: no files, devices, or actors. Logs
// and projections are safe for concurrent use.
package journal

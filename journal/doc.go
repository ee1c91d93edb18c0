// Package journal says what the event log means. It translates between the events of
// the contexts and the envelopes of the store (Codec), appends and folds them by
// aggregate (RunLog, DeviceLog, QueueLog), keeps read models of many aggregates
// (Projection), gives the state at any position (StateAt), and checks that a log
// follows from itself (VerifyLog).
//
// It reads and writes the store and nothing else: no files, devices, or actors. Logs
// and projections are safe for concurrent use.
package journal

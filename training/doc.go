// Package training holds the rules of a training run: what may start, what may
// follow what, and what must be undone. It owns the TrainingSession, the
// TrainingRun aggregate, the LearningRate with its schedules and the
// TrainingSaga that leads a run from its first device to its last checkpoint.
//
// Everything here is a pure function of its inputs. Decisions return events,
// Apply folds an event into a new state, and nothing reads a clock, draws a
// random number, opens a file or sends a message: times and identities are
// arguments. Replaying a run's events therefore gives the state that the
// live run had, and a test can walk through every crash without a disk.
//
// Package integration is the host of these rules: it does what the saga commands
// and records the outcome.
//
// Values may be copied; none of the types is safe for concurrent mutation.
package training

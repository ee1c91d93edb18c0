// Package queue knows the life of a job, decides which jobs run where, and says why the
// others wait.
//
// Plan is a pure function: it reads a Snapshot of the devices and jobs and returns
// a Decision. It reads no clock, no randomness and no files, so that a decision
// can be made again from a recorded snapshot. It reserves nothing: whoever carries
// a decision out takes leases, and asks again where one was refused.
//
// The default policy runs the jobs that have used the least so far (least attained
// service; Gu et al., Tiresias, NSDI 2019), which favours short jobs without
// knowing durations, and promotes a job that has waited longer than Policy.Patience.
// From then on it waits only for the jobs that were promoted before it. Jobs that give
// way are checkpointed first, so they lose no step.
//
// Job is the aggregate of one job, from its submission to its end: Decide turns a
// Command into events, and Apply folds them. Admit refuses what can never be placed,
// and Limits bounds how many jobs wait. RetryGroup and Follow are about
// several jobs.
//
// All values are plain data. Everything here is safe for concurrent use.
package queue

package integration

import (
	"time"

	"reprise/actor"
	"reprise/dataset"
	"reprise/device"
	"reprise/kernel"
	"reprise/training"
	"reprise/training/loop"
)

// RunMessage is what the actor of a run understands.
type RunMessage interface{ runMessage() }

type (
	// Interrupt asks the run to checkpoint, to release what it holds and to
	// stop. It can be resumed afterwards.
	Interrupt struct{ Cause string }

	// pauseRun is Interrupt for somebody who waits for an answer.
	pauseRun struct {
		Message
		Cause string
		Reply actor.Reply[Answer]
	}

	// giveWay asks the run to leave the device that it has under a lease to another
	// run, and to wait for a device again.
	giveWay struct {
		To    device.Holder
		Lease device.LeaseID
	}

	// trainStep asks for the next optimiser step; the run sends it to itself,
	// so that other messages are handled between any two steps. It is meant for
	// the execution that it was sent for and no other.
	trainStep struct{ of *loop.Execution }
	// leaseGranted and the messages below answer what the run asked for.
	// Request distinguishes a late answer from the awaited one.
	leaseGranted struct {
		Request uint64
		Lease   device.Lease
		Backend kernel.Backend
	}
	// leaseDeferred says that who asked has to wait, and why: it will be granted a
	// lease, or be refused one, however long that takes.
	leaseDeferred struct {
		Request uint64
		Why     string
	}
	leaseRefused struct {
		Request uint64
		Err     error
	}
	leaseReleased struct {
		Request    uint64
		Allocation training.Allocation
	}
	// datasetDeferred says that the data set is being opened: the run will be lent it,
	// or be refused it, however long that takes.
	datasetDeferred struct{ Request uint64 }
	datasetLoaded   struct {
		Request uint64
		Data    *dataset.Dataset
	}
	datasetRefused struct {
		Request uint64
		Err     error
	}
	datasetUnloaded struct {
		Request uint64
		Dataset training.DatasetID
	}
	// unanswered says that a peer did not answer in time.
	unanswered struct {
		Request uint64
		What    string
	}
)

func (Interrupt) runMessage()       {}
func (pauseRun) runMessage()        {}
func (giveWay) runMessage()         {}
func (trainStep) runMessage()       {}
func (leaseGranted) runMessage()    {}
func (leaseDeferred) runMessage()   {}
func (leaseRefused) runMessage()    {}
func (leaseReleased) runMessage()   {}
func (datasetDeferred) runMessage() {}
func (datasetLoaded) runMessage()   {}
func (datasetRefused) runMessage()  {}
func (datasetUnloaded) runMessage() {}
func (unanswered) runMessage()      {}

// leaseAnswer is what the device pool says to a holder, which may be a run: one of
// the messages below.
type leaseAnswer interface {
	RunMessage
	leaseAnswer()
}

func (giveWay) leaseAnswer()       {}
func (leaseGranted) leaseAnswer()  {}
func (leaseDeferred) leaseAnswer() {}
func (leaseRefused) leaseAnswer()  {}
func (leaseReleased) leaseAnswer() {}
func (unanswered) leaseAnswer()    {}

// answerLease hands an answer to the holder that it is for. It must not block.
type answerLease func(from actor.Sender, answer leaseAnswer) error

// toRun returns what answers the actor of a run.
func toRun(run actor.Ref[RunMessage]) answerLease {
	return func(from actor.Sender, answer leaseAnswer) error { return reply(from, run, answer) }
}

// nobody waits for the answer.
func nobody(actor.Sender, leaseAnswer) error { return nil }

// runHolder returns the run as the holder of a lease.
func runHolder(id training.RunID) device.Holder {
	return device.Holder{Kind: device.HolderRun, Subject: string(id)}
}

// deviceMessage is what the device pool understands.
type deviceMessage interface{ deviceMessage() }

type (
	acquireDevice struct {
		Request uint64
		Holder  device.Holder
		// Submitted is when the holder came, a run when it was started or resumed: the
		// first come is the first served, whichever actor asks first.
		Submitted time.Time
		// Times is what the log says that the holder was served and waited before.
		Times    queueTimes
		Workload device.Workload
		Progress *runProgress // nil for whoever is not a run
		Job      *jobBook     // nil for whoever is not the run of a job
		Answer   answerLease
	}
	releaseDevice struct {
		Request    uint64
		Holder     device.Holder
		Allocation training.Allocation
		Answer     answerLease
	}
	// forgetHolder takes from a holder that is gone what it may hold without knowing:
	// the answer came when it had stopped waiting.
	forgetHolder struct{ Holder device.Holder }
	// deliverLate does nothing but what each message does: the late ones are delivered.
	deliverLate struct{}
	// replan says that what a decision depends on has changed.
	replan struct{}
	// planQueue asks for a decision about those that wait; the pool sends it to
	// itself. It is meant for one incarnation.
	planQueue struct {
		of  *devicePool
		due planDue
	}
)

// planDue is why a decision is due.
type planDue int

const (
	planNow      planDue = iota // something has happened
	planGathered                // something may have happened while others gathered
	planLater                   // nothing has happened for long
	planOpened                  // those who were to be placed first have had their time
)

func (acquireDevice) deviceMessage() {}
func (releaseDevice) deviceMessage() {}
func (forgetHolder) deviceMessage()  {}
func (deliverLate) deviceMessage()   {}
func (replan) deviceMessage()        {}
func (planQueue) deviceMessage()     {}

// datasetMessage is what the data set cache understands.
type datasetMessage interface{ datasetMessage() }

type (
	loadDataset struct {
		Request uint64
		Run     training.RunID
		Dataset training.Dataset
		ReplyTo actor.Ref[RunMessage]
	}
	unloadDataset struct {
		Request uint64
		Run     training.RunID
		Dataset training.DatasetID
		ReplyTo actor.Ref[RunMessage]
	}
)

func (loadDataset) datasetMessage()   {}
func (unloadDataset) datasetMessage() {}

// forgetRun is forgetHolder for the data of a run that is at rest.
type forgetRun struct{ Run training.RunID }

func (forgetRun) datasetMessage()   {}
func (deliverLate) datasetMessage() {}

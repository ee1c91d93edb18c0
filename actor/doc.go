// Package actor owns the actor system: actors with typed messages and bounded
// mailboxes, and the supervisors that restart them. It knows nothing of what
// the actors do.
//
// An Actor handles one message at a time and is reached through a Ref, which
// stays valid over restarts. Spawn starts one under a Supervisor. An error or a
// panic ends an actor's incarnation and never leaves it: the supervisor makes a
// new incarnation, restarts the siblings too, or, if that happens too often,
// gives up and leaves the decision to the supervisor above. System is the whole
// tree; Shutdown stops it in order. An actor can become another Behaviour, Stash
// messages for later, have messages sent to itself After a time, and Watch others.
// A Registry finds actors by name, a Router by key, and a RouterPool shares
// messages out among equals. Events of all of this go to Config.OnEvent.
//
// It refuses: a message to an actor that has ended (ErrStopped) or whose
// mailbox is full (ErrMailboxFull, or the mailbox's policy), a question without
// a deadline (ErrNoDeadline), a name that is in use (ErrNameTaken), and settings
// outside of their limits (*FieldError).
//
// # What is delivered
//
// Messages from one goroutine to one actor arrive in the order they were sent,
// each at most once. The mailbox survives a restart, and so does the stash, which
// goes to its front; the message whose handling failed does not. A stop or a
// restart goes before all messages; then come, in this order, the messages of
// timers, the news of watches, what was unstashed, and the mailbox. What is left
// of an actor that ends becomes dead letters.
//
// # Limits
//
// A mailbox has room for Mailbox.Capacity messages, at most MaxCapacity; a stash
// for as many beside it. Timers and watches have no limit but memory. An idle
// actor takes 160 bytes, plus the size of a message above 8 bytes and what New
// made; a name, a StopTimeout, a timer, a watch, a stash and a first restart
// each add to that. Names have at most MaxName bytes, a supervisor remembers at
// most MaxRestarts restarts, Config.Workers is at most MaxWorkers, and
// MaxPendingEvents events wait for Config.OnEvent. Nothing is sent between
// processes, and nothing survives one.
//
// # Goroutines
//
// An idle actor owns no goroutine. A pool of Config.Workers goroutines runs the
// actors that have messages, a batch of each in turn. An actor that computes for
// long, or waits, sets Spec.Blocking and gets a goroutine while it has messages.
// All methods of an actor are called by one goroutine at a time, and what one
// call wrote the next one sees.
//
// Ref, Supervisor, System, Registry, Router, RouterPool, Reply, Timer and Watching
// are safe for
// concurrent use; a Context belongs to its actor. Tell never waits and may be
// called from everywhere; so may Forward. Ask, TellContext, Supervisor.Stop and System.Shutdown
// wait, and are for callers that are no actors.
package actor

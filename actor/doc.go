// Package actor owns the actor system: actors with typed messages and bounded
// mailboxes, and the supervisors that restart them. It knows nothing of what
// the actors do.
//
// An Actor handles one message at a time and is reached through a Ref, which
// stays valid over restarts. Spawn starts one under a Supervisor. An error or a
// panic ends an actor's incarnation and never leaves it: the supervisor makes a
// new incarnation, restarts the siblings too, or, if that happens too often,
// gives up and leaves the decision to the supervisor above. System is the whole
// tree; Shutdown stops it in order. A Registry finds actors by name, a Router by
// key, and a RouterPool shares messages out among equals. Events of all of this go to Config.OnEvent.
//
// It refuses: a message to an actor that has ended (ErrStopped) or whose
// mailbox is full (ErrMailboxFull, or the mailbox's policy), a question without
// a deadline (ErrNoDeadline), a name that is in use (ErrNameTaken), and settings
// outside of their limits (*FieldError).
//
// # What is delivered
//
// Messages from one goroutine to one actor arrive in the order they were sent,
// each at most once. The mailbox survives a restart; the message whose handling
// failed does not. A stop or a restart goes before the messages that wait, and
// so do the messages of timers. What is left in the mailbox of an actor that
// ends becomes dead letters.
//
// # Goroutines
//
// An idle actor owns no goroutine. A pool of Config.Workers goroutines runs the
// actors that have messages, a batch of each in turn. An actor that computes for
// long, or waits, sets Spec.Blocking and gets a goroutine while it has messages.
// All methods of an actor are called by one goroutine at a time, and what one
// call wrote the next one sees.
//
// Ref, Supervisor, System, Registry, Router, RouterPool, Reply and Timer are safe for
// concurrent use; a Context belongs to its actor. Tell never waits and may be
// called from everywhere. Ask, TellContext, Supervisor.Stop and System.Shutdown
// wait, and are for callers that are no actors.
package actor

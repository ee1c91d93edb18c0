// Package actor owns the actor system: actors with typed messages and bounded
// mailboxes, and the supervisors that restart them. It knows nothing about what the
// actors do.
//
// An Actor handles one message at a time and is reached through a Ref, which stays
// valid across restarts. Spawn starts one under a Supervisor. An error or a panic
// ends an actor's incarnation and never leaves it: the supervisor makes a new
// incarnation, restarts the siblings too, or, if that happens too often, gives up
// and leaves the decision to the supervisor above. System is the whole tree;
// Shutdown stops it in order. An actor can become another Behaviour, Stash messages
// for later, have messages sent to itself After a time, and Watch others. A
// Registry finds actors by name, a Router by key, and a RouterPool distributes
// messages among equal actors. All of this is reported as events to Config.OnEvent.
//
// It refuses: a message to an actor that has ended (ErrStopped) or whose
// mailbox is full (ErrMailboxFull, or the mailbox's policy), a question without
// a deadline (ErrNoDeadline), a name that is in use (ErrNameTaken), and settings
// outside their limits (*fault.FieldError).
//
// # What is delivered
//
// Messages from one goroutine to one actor arrive in the order they were sent,
// each at most once. The mailbox survives a restart, and so does the stash, which
// goes to its front; the message whose handling failed does not. A stop or a
// restart goes before all messages; then come, in this order, the messages of
// timers, the news of watches, unstashed messages, and the mailbox. Messages left
// when an actor ends become dead letters.
//
// # Limits
//
// A mailbox has room for Mailbox.Capacity messages, at most MaxCapacity; the stash
// has room for as many again. Timers and watches are limited only by memory. An
// idle actor takes 160 bytes, plus the size of a message above 8 bytes and what New
// made; a name, a StopTimeout, a timer, a watch, a stash and a first restart each
// add to that. Names have at most MaxName bytes, a supervisor remembers at most
// MaxRestarts restarts, Config.Workers is at most MaxWorkers, and MaxPendingEvents
// events wait for Config.OnEvent. No message is sent between processes, and none
// survives its process.
//
// # Goroutines
//
// An idle actor owns no goroutine. A pool of Config.Workers goroutines runs the
// actors that have messages, a batch of each in turn. An actor that computes or
// waits for a long time sets Spec.Blocking and gets a goroutine while it has
// messages. The methods of an actor are called by one goroutine at a time, and each
// call sees what the previous one wrote.
//
// Ref, Supervisor, System, Registry, Router, RouterPool, Reply, Timer and Watching
// are safe for concurrent use; a Context belongs to its actor. Tell and Forward
// never wait and may be called from anywhere. Ask, TellContext, Supervisor.Stop and
// System.Shutdown wait; actors must not call them.
package actor

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// echoWindow is how long after the signal that began the end of a command further
// ones count as its echo: `timeout` signals both its child and the process group,
// and a wrapper passes on a Ctrl-C that the terminal has delivered already.
const echoWindow = time.Second

// ending decides what a signal does to a command. The first one begins its
// orderly end, in which a run writes a checkpoint. From then on nothing that the
// system sends by itself can cut that short: after a dropped connection, kernel and
// shell each send a SIGHUP, and the terminal or pipe can no longer be written. Another
// SIGINT or SIGTERM that is not an echo of the first was sent on purpose, and ends the
// process at once.
type ending struct {
	now   func() time.Time
	begin func(os.Signal)
	abort func()
	// heard reports whether the output still has a reader: SIGPIPE also comes from a
	// socket of which the other side is gone, such as that of `reprise actors`.
	heard func() bool

	began time.Time // zero until a signal came
}

// receive takes one signal. It is not safe for concurrent use.
func (e *ending) receive(s os.Signal) {
	switch {
	case e.began.IsZero() && s == syscall.SIGPIPE && e.heard():
	case e.began.IsZero():
		e.began = e.now()
		e.begin(s)
	case s == syscall.SIGHUP || s == syscall.SIGPIPE:
	case e.now().Sub(e.began) >= echoWindow:
		e.abort()
	}
}

// signals delivers the signals of the process to the ending of its command.
type signals struct{ received chan os.Signal }

// endOnSignals returns a context that the first signal cancels, with that signal
// as its cause. stop returns the process to the default handling, unless its end
// has begun. SIGINT and SIGHUP stay ignored where they were ignored when the process
// began: nohup ignores SIGHUP, and a shell ignores SIGINT for what a script starts in
// the background.
func endOnSignals(now func() time.Time) (ctx context.Context, s signals, stop func()) {
	s = signals{make(chan os.Signal, 8)} // room for every kind twice: none is lost
	ctx, cancel := context.WithCancelCause(context.Background())
	e := ending{
		now: now,
		begin: func(received os.Signal) {
			s.include(syscall.SIGPIPE)
			cancel(signalError{received})
		},
		abort: func() { os.Exit(exitInterrupted) },
		heard: outputHeard,
	}
	s.include(syscall.SIGTERM)
	for _, kind := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(kind) {
			s.include(kind)
		}
	}
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case received := <-s.received:
				e.receive(received)
			case <-stopped:
				return
			}
		}
	}()
	return ctx, s, func() {
		if ctx.Err() == nil {
			signal.Stop(s.received)
			close(stopped)
			<-done
		}
		cancel(nil)
	}
}

// include has the given signals end the command, too.
func (s signals) include(more ...os.Signal) { signal.Notify(s.received, more...) }

// signalError is the signal that ended a command.
type signalError struct{ signal os.Signal }

// Error says what happened, as the cause of a run's interruption.
func (e signalError) Error() string {
	switch e.signal {
	case os.Interrupt:
		return "interrupted by the user"
	case syscall.SIGHUP:
		return "the terminal or connection was closed (SIGHUP)"
	case syscall.SIGPIPE:
		return "nobody reads the output any more (SIGPIPE)"
	case syscall.SIGTERM:
		return "asked to terminate (SIGTERM)"
	}
	return "signal: " + e.signal.String()
}

// isSignal reports whether the recorded cause of an interruption is that of a signal.
func isSignal(cause string) bool {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTERM} {
		if cause == (signalError{s}).Error() {
			return true
		}
	}
	return false
}

// Unwrap makes it the cancellation that it is.
func (e signalError) Unwrap() error { return context.Canceled }

// unlessEnded returns what read does, or the context's error as soon as that is
// done, since nothing interrupts the reading of a terminal or pipe. What read returns
// after that is dropped.
func unlessEnded[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := read()
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// unheard reports whether an error is that of writing to a terminal or pipe that
// is gone.
func unheard(err error) bool {
	var path *fs.PathError
	return errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &path) && (path.Path == os.Stdout.Name() || path.Path == os.Stderr.Name())
}

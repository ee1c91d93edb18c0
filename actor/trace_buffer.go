package actor

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Step is a message of a trace and what it caused.
type Step struct {
	Trace
	// From is the actor that sent it, "" if unknown. To is the actor it was sent
	// to, "" for the answer to a question of Ask, which ends the trace there.
	From, To string
	// Type is the message's, or the answer's.
	Type string
	Sent time.Time
	// Handled says that the actor has handled it. Waited is its time in the mailbox
	// and the stash, Took the time to handle it. Err is the actor's failure, or the
	// answer of Reply.Fail.
	Handled      bool
	Waited, Took time.Duration
	Err          error
	Caused       []Step
}

// MaxTraceSteps is how many messages a TraceBuffer keeps; older ones make room.
const MaxTraceSteps = 4096

// TraceBuffer keeps the most recently traced messages. Its zero value is ready to
// use; it is safe for concurrent use.
type TraceBuffer struct {
	mu    sync.Mutex // guards what follows
	steps []Step     // in the order in which they were sent; Caused is empty
}

// Observe records events; it is meant for Config.OnEvent.
func (b *TraceBuffer) Observe(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := e.(type) {
	case MessageSent:
		b.keep(Step{Trace: e.Trace, From: e.From, To: e.To, Type: fmt.Sprintf("%T", e.Message), Sent: e.At})
	case MessageAnswered:
		s := Step{Trace: e.Trace, From: e.By, Type: fmt.Sprintf("%T", e.Answer), Sent: e.At, Err: e.Err}
		if e.Err != nil {
			s.Type = fmt.Sprintf("%T", e.Err)
		}
		b.keep(s)
	case MessageHandled:
		for i := len(b.steps) - 1; i >= 0; i-- {
			if s := &b.steps[i]; s.Trace == e.Trace {
				s.Handled, s.Waited, s.Took, s.Err = true, e.Waited, e.Took, e.Err
				return
			}
		}
	default: // not part of a trace
	}
}

func (b *TraceBuffer) keep(s Step) {
	if len(b.steps) == MaxTraceSteps {
		b.steps = append(b.steps[:0], b.steps[MaxTraceSteps/4:]...) // a quarter at once, so that this is rare
	}
	b.steps = append(b.steps, s)
}

// Last returns the newest trace that began with a message to the actor of that
// path, or to any actor for ""; false if there is none. A trace whose first message
// had to make room is gone.
func (b *TraceBuffer) Last(path string) (Step, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.steps) - 1; i >= 0; i-- {
		if s := b.steps[i]; s.Causation == 0 && (path == "" || s.To == path) {
			return b.assemble(s, b.steps[i+1:]), true
		}
	}
	return Step{}, false
}

// assemble returns the step with everything it caused, all of which was sent after
// it.
func (b *TraceBuffer) assemble(s Step, after []Step) Step {
	for i, next := range after {
		if next.Correlation == s.Correlation && next.Causation == s.Message {
			s.Caused = append(s.Caused, b.assemble(next, after[i+1:]))
		}
	}
	return s
}

// String draws the trace, one line per message: its receiver, when it was sent
// after the first one, how long it waited and how long handling it took.
func (s Step) String() string {
	var out strings.Builder
	s.draw(&out, s.Sent, "", "")
	return out.String()
}

func (s Step) draw(out *strings.Builder, start time.Time, first, rest string) {
	to, what := s.To, ", not handled"
	switch {
	case to == "" && s.Err != nil:
		to, what = "answer", fmt.Sprintf(": %v", s.Err)
	case to == "":
		to, what = "answer", ""
	case s.Handled && s.Err != nil:
		what = fmt.Sprintf(", waited %v, failed after %v: %v", s.Waited, s.Took, s.Err)
	case s.Handled:
		what = fmt.Sprintf(", waited %v, took %v", s.Waited, s.Took)
	}
	fmt.Fprintf(out, "%s%s  %s  at %v%s\n", first, to, s.Type, s.Sent.Sub(start), what)
	for i, next := range s.Caused {
		if i == len(s.Caused)-1 {
			next.draw(out, start, rest+"└─ ", rest+"   ")
		} else {
			next.draw(out, start, rest+"├─ ", rest+"│  ")
		}
	}
}

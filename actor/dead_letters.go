package actor

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// MaxDeadLetters is how many dead letters a DeadLetterBuffer keeps; older ones are only
// counted.
const MaxDeadLetters = 100

// maxLetterText bounds each text of a Letter, in bytes.
const maxLetterText = 500

// Letter is what a DeadLetterBuffer keeps of a dead letter. It does not keep the message
// itself, which may be large.
type Letter struct {
	To string
	// Type is the message's Go type, or what its method MessageType returns.
	Type   string
	Reason LetterReason
	At     time.Time
}

// DeadLetterBuffer counts dead letters and keeps the newest. Its zero value is ready to
// use; it is safe for concurrent use.
type DeadLetterBuffer struct {
	mu    sync.Mutex // guards what follows
	count uint64
	kept  []Letter // a ring once it is full
}

// Observe records events; it is meant for Config.OnEvent.
func (b *DeadLetterBuffer) Observe(e Event) {
	dead, ok := e.(DeadLetter)
	if !ok {
		return
	}
	letter := Letter{To: shorten(dead.To), Type: shorten(messageType(dead.Message)), Reason: LetterReason(shorten(string(dead.Reason))), At: dead.At}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) < MaxDeadLetters {
		b.kept = append(b.kept, letter)
	} else {
		b.kept[b.count%MaxDeadLetters] = letter
	}
	b.count++
}

// Count returns how many dead letters there were.
func (b *DeadLetterBuffer) Count() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// Letters returns the newest dead letters, at most MaxDeadLetters, oldest first.
func (b *DeadLetterBuffer) Letters() []Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	oldest := int(b.count % MaxDeadLetters)
	if len(b.kept) < MaxDeadLetters {
		oldest = 0
	}
	return append(append([]Letter{}, b.kept[oldest:]...), b.kept[:oldest]...)
}

func messageType(message any) string {
	if named, ok := message.(interface{ MessageType() string }); ok {
		return named.MessageType()
	}
	return fmt.Sprintf("%T", message)
}

// shorten bounds a text that may come from outside, in memory of its own.
func shorten(text string) string {
	if len(text) > maxLetterText {
		return strings.ToValidUTF8(text[:maxLetterText-len("…")], "") + "…"
	}
	return text
}

// Refuse reports a message as a dead letter that came from outside and never reached an
// actor, since nobody there understands it. The name is that of the actor it was for.
func (s *System) Refuse(name string, message any, reason LetterReason) {
	if !s.events.wanted() {
		return
	}
	s.events.add(DeadLetter{To: name, Message: message, Reason: reason, At: s.now()})
	s.events.deliver()
}

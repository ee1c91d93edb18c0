package actor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"reprise/actor"
)

type namedMessage struct{ name string }

func (m namedMessage) MessageType() string { return m.name }

func TestDeadLettersAreCountedAndTheNewestKept(t *testing.T) {
	var b actor.DeadLetterBuffer
	if len(b.Letters()) != 0 || b.Count() != 0 {
		t.Errorf("an empty buffer has %v", b.Letters())
	}
	const sent = 2*actor.MaxDeadLetters + 7
	for i := range sent {
		b.Observe(actor.DeadLetter{To: fmt.Sprint(i), Message: i, Reason: actor.LetterStopped, At: time.Unix(int64(i), 0)})
		b.Observe(actor.EventsLost{Count: 1}) // not a letter
		kept := b.Letters()
		if want := min(i+1, actor.MaxDeadLetters); len(kept) != want {
			t.Fatalf("after %d letters, %d are kept", i+1, len(kept))
		}
		for j, l := range kept {
			if want := fmt.Sprint(i + 1 - len(kept) + j); l.To != want || l.Type != "int" || l.Reason != actor.LetterStopped {
				t.Fatalf("letter %d after %d is %+v, want one to %s", j, i+1, l, want)
			}
		}
	}
	if b.Count() != sent {
		t.Errorf("%d counted, want %d", b.Count(), sent)
	}
}

func TestADeadLetterIsKeptWithoutWhatMayBeLarge(t *testing.T) {
	var b actor.DeadLetterBuffer
	long := strings.Repeat("ä", 1<<20)
	b.Observe(actor.DeadLetter{To: long, Message: namedMessage{long}, Reason: actor.LetterReason(long)})
	l := b.Letters()[0]
	for _, text := range []string{l.To, l.Type, string(l.Reason)} {
		if len(text) > 500 || !utf8.ValidString(text) || !strings.HasSuffix(text, "ä…") {
			t.Errorf("%d bytes: %q", len(text), text[max(0, len(text)-20):])
		}
	}
}

func TestARefusedMessageIsADeadLetterWithItsReason(t *testing.T) {
	var b actor.DeadLetterBuffer
	s, err := actor.NewSystem(actor.Config{Now: time.Now, OnEvent: b.Observe})
	if err != nil {
		t.Fatal(err)
	}
	s.Refuse("model/m", namedMessage{"dance"}, "it does not understand dance")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := b.Letters(); len(l) != 1 || l[0].To != "model/m" || l[0].Type != "dance" || l[0].Reason != "it does not understand dance" {
		t.Errorf("%+v", l)
	}
}

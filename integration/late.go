package integration

import (
	"errors"
	"sync"

	"reprise/actor"
)

// lateMessages are those to an actor that must not be lost and found its mailbox full. The
// actor sends them to itself as soon as there is room: behind what is in the mailbox
// already, as if they had waited. They outlive its incarnations.
type lateMessages[M any] struct {
	mu   sync.Mutex
	list []M
}

// tell is to.Tell, but for a full mailbox, in which each message leads to deliver. nudge is
// a message that does nothing else.
func (l *lateMessages[M]) tell(to actor.Ref[M], message, nudge M) error {
	err := to.Tell(message)
	if !errors.Is(err, actor.ErrMailboxFull) {
		return err
	}
	l.mu.Lock()
	l.list = append(l.list, message)
	l.mu.Unlock()
	// All that filled the mailbox may have been handled meanwhile.
	if err := to.Tell(nudge); !errors.Is(err, actor.ErrMailboxFull) {
		return err
	}
	return nil
}

// deliver sends the late messages. The actor calls it before it handles a message.
func (l *lateMessages[M]) deliver(self *actor.Context[M]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.list) > 0 {
		err := actor.Send(self, self.Self(), l.list[0])
		if errors.Is(err, actor.ErrMailboxFull) {
			return nil // another message follows
		}
		if err != nil {
			return err
		}
		l.list = l.list[1:]
	}
	return nil
}

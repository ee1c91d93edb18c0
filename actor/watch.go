package actor

import (
	"fmt"
	"sync/atomic"
)

// Watching is a watch of one actor for another.
type Watching struct {
	state   atomic.Uint32
	target  watchSide
	watcher watchSide
	// notify hands the news to the watcher and reports whether it was accepted.
	notify func(cause error) bool
}

// watchSide is an actor that watches or is watched.
type watchSide interface{ forgetWatch(w *Watching) }

const (
	watchActive = iota
	watchFired  // the watcher has the news and has not handled it
	watchOver
)

// Watch tells the watcher once when the target has ended for good, or at once if it
// has ended already: the watcher handles the message that ended returns. The
// message is made when it is handled, goes before those in the mailbox, and needs
// no room there. The cause is as in ActorTerminated: nil for a normal stop. A
// restart of the target is not an end, and restarts of the watcher do not affect
// the watch. If the watcher ends first, it is told nothing and the watch ends.
//
// It fails with ErrZeroRef and, if the watcher has ended, with ErrStopped.
func Watch[W, M any](watcher Ref[W], target Ref[M], ended func(cause error) W) (*Watching, error) {
	if watcher.cell == nil || target.cell == nil {
		return nil, fmt.Errorf("watch %s for %s: %w", target, watcher, ErrZeroRef)
	}
	w := &Watching{watcher: watcher.cell, target: target.cell}
	w.notify = func(cause error) bool { return watcher.cell.notice(notice[W]{w, ended, cause}) }
	if !watcher.cell.addWatching(w) {
		return nil, fmt.Errorf("watch %s for %s: %w", target, watcher, ErrStopped)
	}
	if over, cause := target.cell.addWatcher(w); over {
		w.fire(cause)
	} else if w.state.Load() == watchOver { // the watcher has just ended
		target.cell.forgetWatch(w)
	}
	return w, nil
}

// Stop ends the watch. It returns false if the watcher has handled the news, or is
// about to, or has ended.
func (w *Watching) Stop() bool {
	if w.state.CompareAndSwap(watchActive, watchOver) {
		w.target.forgetWatch(w)
		w.watcher.forgetWatch(w)
		return true
	}
	return w.state.CompareAndSwap(watchFired, watchOver)
}

// fire tells the watcher that the target has ended.
func (w *Watching) fire(cause error) {
	if w.state.CompareAndSwap(watchActive, watchFired) && !w.notify(cause) {
		w.state.Store(watchOver)
	}
}

// notice is news of a watch.
type notice[M any] struct {
	of    *Watching
	build func(cause error) M
	cause error
}

func (q *queue[M]) addWatching(w *Watching) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	extra := q.more()
	if extra.watching == nil {
		extra.watching = map[*Watching]struct{}{}
	}
	extra.watching[w] = struct{}{}
	return true
}

// addWatcher adds a watch of this actor, or reports that it has ended and why.
func (q *queue[M]) addWatcher(w *Watching) (over bool, cause error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	extra := q.more()
	if q.closed {
		return true, extra.cause
	}
	if extra.watchers == nil {
		extra.watchers = map[*Watching]struct{}{}
	}
	extra.watchers[w] = struct{}{}
	return false, nil
}

func (q *queue[M]) forgetWatch(w *Watching) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.extra != nil {
		delete(q.extra.watchers, w)
		delete(q.extra.watching, w)
	}
}

// notice keeps the news for the runner. It returns false if the actor has ended.
func (c *cell[M]) notice(n notice[M]) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	extra := c.queue.more()
	delete(extra.watching, n.of)
	extra.notices = append(extra.notices, n)
	c.flags.Or(flagNotice)
	c.mu.Unlock()
	c.schedule()
	return true
}

// nextNotice returns the oldest news whose watch has not been stopped since.
func (c *cell[M]) nextNotice() (n notice[M], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.extra != nil && len(c.extra.notices) > 0 {
		n, c.extra.notices[0] = c.extra.notices[0], n
		c.extra.notices = c.extra.notices[1:]
		if n.of.state.CompareAndSwap(watchFired, watchOver) {
			return n, true
		}
	}
	if c.extra != nil {
		c.extra.notices = nil
	}
	c.flags.And(^uint32(flagNotice))
	return notice[M]{}, false
}

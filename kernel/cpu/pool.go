package cpu

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"reprise/fault"
)

// Pool runs the independent parts of one kernel call on a fixed set of
// goroutines, the caller's among them. Each has a share of adjacent parts and
// begins with the first; a worker that is done takes parts from the end of
// another's share. So in consecutive calls the same rows tend to be processed
// by the same core, which has them in its caches. A part must not depend on
// another part or on which worker runs it; that keeps results independent of
// the number of threads.
//
// A Pool is safe for concurrent use: concurrent calls of Run take turns. Run
// must not be called from within a part, which would wait for itself.
//
// An idle worker yields for some microseconds in case there is more work and
// then sleeps until it is woken. A call allocates nothing once the Pool exists;
// but a method value or closure that the caller makes for each call does
// allocate.
type Pool struct {
	turn    sync.Mutex // one Run at a time
	workers []poolWorker
	done    sync.WaitGroup
	closed  atomic.Bool

	// The current call. Written by the caller before the shares are, and read
	// only by workers that have claimed a part, which keeps the call from
	// ending.
	part  func(worker, i int)
	plain func(i int) // Run's argument, called by runPlain
	adapt func(worker, i int)

	shares []share // of each worker, the caller first

	_    [64]byte
	open atomic.Int64 // parts not yet finished
	_    [56]byte

	callerWaits atomic.Bool
	finished    chan struct{} // wakes the caller; capacity 1
	failure     atomic.Pointer[TaskPanicError]

	gemmTurn sync.Mutex // guards gemm; taken before turn
	gemm     *gemmRun   // scratch of the matrix product, made by the first one
}

// share is the parts [first, end) that a worker has not yet claimed; the owner
// takes the first and others take the last.
type share struct {
	bounds atomic.Uint64 // first in the lower half, end in the upper
	_      [56]byte
}

// maxParts bounds the parts of a call: they are counted in half a word.
const maxParts = 1<<32 - 1

func (s *share) set(first, end int) { s.bounds.Store(uint64(end)<<32 | uint64(first)) }

func (s *share) empty() bool {
	b := s.bounds.Load()
	return b>>32 == b&maxParts
}

// claim takes a part, the last one for a thief; ok is false if there is none.
func (s *share) claim(thief bool) (part int, ok bool) {
	for {
		b := s.bounds.Load()
		first, end := b&maxParts, b>>32
		if first == end {
			return 0, false
		}
		rest, part := b+1, first
		if thief {
			rest, part = b-1<<32, end-1
		}
		if s.bounds.CompareAndSwap(b, rest) {
			return int(part), true
		}
	}
}

// drop claims all parts and returns how many there were.
func (s *share) drop() int64 {
	b := s.bounds.Swap(0)
	return int64(b>>32 - b&maxParts)
}

type poolWorker struct {
	asleep atomic.Bool
	wake   chan struct{} // capacity 1; a token is sent by the goroutine that clears asleep
	_      [48]byte
}

// poolYields bounds how often an idle worker, or a caller whose last parts are
// with other workers, yields the processor before it sleeps: some 50 µs, about a
// part of a product or the gap between two kernel calls of a small model. Waking
// up takes as long.
const poolYields = 400

// TaskPanicError is what Run panics with when a part panicked: the value and the
// stack of the first panic.
type TaskPanicError struct {
	Value any
	Stack []byte
}

// Error describes the panic, with the stack of the goroutine it happened on.
func (p *TaskPanicError) Error() string {
	return fmt.Sprintf("panic in a kernel task: %v\n\n%s", p.Value, p.Stack)
}

// Kind returns Internal.
func (p *TaskPanicError) Kind() fault.Kind { return fault.Internal }

// Unwrap returns the panic's value if it is an error.
func (p *TaskPanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// NewPool returns a pool that runs up to threads parts at a time; less than 1
// means GOMAXPROCS. It starts threads-1 goroutines, which Close ends.
func NewPool(threads int) *Pool {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{
		workers:  make([]poolWorker, threads-1),
		shares:   make([]share, threads),
		finished: make(chan struct{}, 1),
	}
	p.adapt = func(_, i int) { p.plain(i) }
	for w := range p.workers {
		p.workers[w].wake = make(chan struct{}, 1)
		p.done.Add(1)
		go p.serve(w)
	}
	return p
}

// Threads returns how many parts can run at a time.
func (p *Pool) Threads() int { return len(p.workers) + 1 }

// Run calls f(0), ..., f(n-1), each once, in any order and on any of the
// pool's goroutines, and returns when all have returned. If one panics, parts
// not yet begun are skipped and Run panics with a *TaskPanicError. Run panics
// on a closed pool.
func (p *Pool) Run(n int, f func(i int)) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.plain = f
	p.run(n, p.adapt)
	p.plain = nil
}

// RunWorkers is Run for parts that need scratch memory: worker, in
// [0, Threads()), is not shared by two parts that run at the same time.
func (p *Pool) RunWorkers(n int, f func(worker, i int)) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.run(n, f)
}

// run deals out the parts; the caller holds turn.
func (p *Pool) run(n int, f func(worker, i int)) {
	if p.closed.Load() {
		panic("cpu: Run on a closed Pool")
	}
	if n <= 0 {
		return
	}
	if n > maxParts {
		panic(fmt.Sprintf("cpu: Run of %d parts, the limit is %d", n, maxParts))
	}
	p.part = f
	p.open.Store(int64(n))
	for w := range p.shares {
		p.shares[w].set(n*w/len(p.shares), n*(w+1)/len(p.shares))
	}
	for w := range p.workers[:min(n-1, len(p.workers))] {
		p.workers[w].rouse()
	}
	p.help()
	p.part = nil
	if failure := p.failure.Swap(nil); failure != nil {
		panic(failure)
	}
}

// help makes the caller a worker until no part is open, even if a part makes it
// exit through runtime.Goexit, as a failing test does.
func (p *Pool) help() {
	defer p.await()
	for p.work(0) {
	}
}

// work runs parts until none is left to claim. It returns true if it must be
// called again because a part panicked.
func (p *Pool) work(worker int) (again bool) {
	claimed := false
	defer func() {
		if !claimed {
			return
		}
		// The part neither returned nor can be resumed: a panic, or an exit of
		// the goroutine, which recover does not report.
		value := recover()
		if value == nil {
			value = "runtime.Goexit called by a kernel task"
		}
		p.failure.CompareAndSwap(nil, &TaskPanicError{Value: value, Stack: debug.Stack()})
		p.finish(1 + p.drop())
		again = true
	}()
	for {
		i, ok := p.claim(worker)
		if !ok {
			return false
		}
		claimed = true
		p.part(worker, i)
		claimed = false
		p.finish(1)
	}
}

// claim takes the next part of the worker's share, or the last of another's.
func (p *Pool) claim(worker int) (part int, ok bool) {
	for w := range p.shares {
		at := (worker + w) % len(p.shares)
		if part, ok = p.shares[at].claim(w > 0); ok {
			return part, true
		}
	}
	return 0, false
}

// claimed reports whether no part is left to claim.
func (p *Pool) claimed() bool {
	for w := range p.shares {
		if !p.shares[w].empty() {
			return false
		}
	}
	return true
}

// drop claims all remaining parts and returns how many there were.
func (p *Pool) drop() int64 {
	var n int64
	for w := range p.shares {
		n += p.shares[w].drop()
	}
	return n
}

// finish counts n parts as done and wakes the caller after the last one.
func (p *Pool) finish(n int64) {
	if p.open.Add(-n) == 0 && p.callerWaits.CompareAndSwap(true, false) {
		p.finished <- struct{}{}
	}
}

// await returns when no part is open.
func (p *Pool) await() {
	for range poolYields {
		if p.open.Load() == 0 {
			return
		}
		runtime.Gosched()
	}
	// A worker may be late in clearing callerWaits for an earlier call and wake
	// this one early, hence the loop. The goroutine that clears the flag sends
	// one token.
	for p.open.Load() != 0 {
		p.callerWaits.Store(true)
		if p.open.Load() == 0 && p.callerWaits.CompareAndSwap(true, false) {
			return
		}
		<-p.finished
	}
}

// serve is the body of worker goroutine w, which is worker w+1 to the parts.
func (p *Pool) serve(w int) {
	defer p.done.Done()
	for {
		for p.work(w + 1) {
		}
		if !p.doze(&p.workers[w]) {
			return
		}
	}
}

// doze returns true when there may be work, and false when the pool is closed.
func (p *Pool) doze(self *poolWorker) bool {
	for range poolYields {
		if !p.claimed() {
			return true
		}
		runtime.Gosched()
	}
	self.asleep.Store(true)
	if (!p.claimed() || p.closed.Load()) && self.asleep.CompareAndSwap(true, false) {
		return !p.closed.Load()
	}
	<-self.wake
	return !p.closed.Load()
}

// rouse wakes the worker if it sleeps.
func (w *poolWorker) rouse() {
	if w.asleep.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// Close waits for a Run in progress, ends the workers and waits for them. It
// is idempotent.
func (p *Pool) Close() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.closed.Store(true)
	for w := range p.workers {
		p.workers[w].rouse()
	}
	p.done.Wait()
}

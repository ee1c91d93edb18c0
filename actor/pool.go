package actor

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// task is an actor as the pool sees it: something to run when it has work. It
// is in a queue or being run at most once at a time.
type task struct {
	next *task // in the run queue
	job  job
	// flags has flagScheduled; the other bits are the job's.
	flags atomic.Uint32
	// home is the run queue that it goes to if there is no better one.
	home     uint16
	blocking bool
	// crashed is the job's.
	crashed bool
}

// flagScheduled is set from when the task is queued until a run finds nothing to
// do.
const flagScheduled = uint32(1)

// claim sets flagScheduled and reports whether it was not set.
func (t *task) claim() bool { return t.flags.Or(flagScheduled)&flagScheduled == 0 }

// job is what a task runs.
type job interface {
	// run does some of the work. It returns false if it found nothing left to do.
	run() bool
	// hasWork reports whether a run would find something to do. It may be
	// called while another goroutine runs the job.
	hasWork() bool
}

// runQueue is a first-in, first-out list of tasks.
type runQueue struct {
	mu          sync.Mutex
	first, last *task
	// any is set while there is a task.
	any atomic.Bool
	_   [64]byte // keeps the queues of different workers apart
}

func (q *runQueue) push(t *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last == nil {
		q.first = t
		q.any.Store(true)
	} else {
		q.last.next = t
	}
	q.last = t
}

func (q *runQueue) pop() *task {
	if !q.any.Load() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.first
	if t == nil {
		return nil
	}
	if q.first = t.next; q.first == nil {
		q.last = nil
		q.any.Store(false)
	}
	t.next = nil
	return t
}

// pool runs tasks on a fixed number of workers, each with a run queue, which take
// from each other's queues when their own is empty. Blocking tasks get a goroutine
// each while they have work.
type pool struct {
	queues []runQueue
	driver Driver // nil where workers run the tasks
	// parked is len(sleeping). A worker lowers searching and raises parked before
	// it looks for work one last time; a goroutine that brings work reads both
	// afterwards.
	parked atomic.Int32
	closed atomic.Bool

	// searching counts the workers that have no work and look for some before they
	// sleep: while there are any, none needs to be woken.
	searching atomic.Int32

	// here holds, for each processor, the worker that was seen there last.
	here sync.Pool

	mu       sync.Mutex // guards what follows
	sleeping []*worker
	workers  map[*worker]struct{}
	// counted goroutines must end before drained is closed: all except those given
	// up as lost.
	counted int
	drained chan struct{}
}

// worker is a goroutine that runs tasks.
type worker struct {
	pool *pool
	home int // -1: runs one blocking task
	wake chan struct{}
	// lost is set if the task it runs was abandoned: another worker has taken its
	// place, and it ends when the task returns.
	lost    atomic.Bool
	counted bool // guarded by pool.mu
	ticks   int
	// on is the task that it is running.
	on atomic.Pointer[task]
}

// fairness is how many tasks a worker takes from its own queue before it looks
// at the others first, so that the queue of a stuck worker is served.
const fairness = 61

// searches is how often a worker looks for work, yielding its processor in
// between, before it sleeps. Being woken costs more than the few microseconds
// that this takes.
const searches = 4

// newPool starts the workers, unless a driver does their work.
func newPool(workers int, driver Driver) *pool {
	p := &pool{
		queues: make([]runQueue, workers), driver: driver,
		workers: map[*worker]struct{}{}, drained: make(chan struct{}),
	}
	if driver != nil {
		return p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for home := range workers {
		go p.hire(home, true).work()
	}
	return p
}

// hire makes a worker, whose goroutine the caller starts; p.mu is held.
func (p *pool) hire(home int, counted bool) *worker {
	w := &worker{pool: p, home: home, wake: make(chan struct{}, 1), counted: counted}
	p.workers[w] = struct{}{}
	if counted {
		p.counted++
	}
	return w
}

// schedule makes the task run: now, or once more if it is being run.
func (p *pool) schedule(t *task) {
	if t.flags.Load()&flagScheduled == 0 && t.claim() {
		p.push(t)
	}
}

// push hands a scheduled task to a free worker.
func (p *pool) push(t *task) {
	if p.driver != nil {
		p.driver.Run(func() { p.step(t) })
		return
	}
	if t.blocking {
		p.mu.Lock()
		defer p.mu.Unlock()
		// With the pool closed, only abandoned actors have something left to do.
		go p.hire(-1, !p.closed.Load()).workOn(t)
		return
	}
	p.near(t).push(t)
	switch {
	case p.searching.Load() > 0:
	case p.parked.Load() > 0:
		p.wakeOne()
	case p.closed.Load():
		p.replaceClosed(int(t.home))
	}
}

// near returns the run queue of the worker on this processor, if one is known:
// what an actor has sent is still in the caches there.
func (p *pool) near(t *task) *runQueue {
	w, ok := p.here.Get().(*worker)
	if !ok {
		return &p.queues[t.home]
	}
	p.here.Put(w)
	return &p.queues[w.home]
}

// step runs the task once, for the driver.
func (p *pool) step(t *task) {
	w := worker{pool: p, home: -1}
	if w.run(t) {
		p.push(t)
	}
}

// budget is how many messages an actor handles before others have their turn.
func (p *pool) budget() int {
	if p.driver != nil {
		return 1
	}
	return runBudget
}

// replaceClosed serves tasks that arrive after the workers have ended: an abandoned
// actor that has returned and whose Stopped must still run.
func (p *pool) replaceClosed(home int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	go p.hire(home, false).work()
}

func (p *pool) wakeOne() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.sleeping); n > 0 {
		w := p.sleeping[n-1]
		p.sleeping = p.sleeping[:n-1]
		p.parked.Store(int32(n - 1))
		w.wake <- struct{}{}
	}
}

// lose replaces the worker that runs the task, which does not return.
func (p *pool) lose(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.workers {
		if w.on.Load() != t || w.lost.Swap(true) {
			continue
		}
		if w.home >= 0 && w.counted {
			go p.hire(w.home, true).work()
		}
		p.discount(w)
		return
	}
}

// leave is called by a worker that ends; p.mu is held.
func (p *pool) leave(w *worker) {
	delete(p.workers, w)
	p.discount(w)
}

// discount stops waiting for a worker; p.mu is held.
func (p *pool) discount(w *worker) {
	if !w.counted {
		return
	}
	w.counted = false
	if p.counted--; p.counted == 0 && p.closed.Load() {
		close(p.drained)
	}
}

// close lets the workers end once nothing is queued; drained is closed when
// they have.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Swap(true) {
		return
	}
	for _, w := range p.sleeping {
		w.wake <- struct{}{}
	}
	p.sleeping = nil
	p.parked.Store(0)
	if p.counted == 0 { // there is no worker to wait for
		close(p.drained)
	}
}

// work runs tasks until the pool is closed and empty.
func (w *worker) work() {
	returned := false
	defer func() {
		w.on.Store(nil) // a task that ended the goroutine
		p := w.pool
		p.mu.Lock()
		defer p.mu.Unlock()
		if !returned && w.counted { // a task ended the goroutine
			go p.hire(w.home, true).work()
		}
		p.leave(w)
	}()
	for !w.lost.Load() {
		closed := w.pool.closed.Load() // before looking: nothing falls between
		t := w.find()
		if t == nil && !closed {
			t = w.search()
			w.ticks = 0 // it may have moved
		}
		if t != nil {
			w.pool.helpOut()
		}
		if w.ticks%8 == 0 {
			w.appear()
		}
		switch {
		case t == nil && closed:
			returned = true
			return
		case t == nil:
			w.park()
		case !w.run(t):
		case w.lost.Load():
			w.pool.push(t)
		default:
			w.pool.queues[t.home].push(t)
		}
	}
	returned = true
}

// workOn runs one blocking task while it has work.
func (w *worker) workOn(t *task) {
	defer func() {
		w.on.Store(nil)
		w.pool.mu.Lock()
		defer w.pool.mu.Unlock()
		w.pool.leave(w)
	}()
	for w.run(t) {
	}
}

// run runs the task once and reports whether it has more to do. If not, it is
// no longer scheduled and may be on another worker already.
func (w *worker) run(t *task) bool {
	w.on.Store(t)
	more := t.job.run()
	w.on.Store(nil)
	if more {
		return true
	}
	t.flags.And(^flagScheduled)
	// A goroutine that brought work before that saw the task scheduled and did
	// nothing.
	return t.job.hasWork() && t.claim()
}

// appear makes the worker known as the one on this processor.
func (w *worker) appear() {
	w.pool.here.Get()
	w.pool.here.Put(w)
}

// search looks for work a few times more.
func (w *worker) search() *task {
	p := w.pool
	p.searching.Add(1)
	var t *task
	for i := 0; i < searches && t == nil; i++ {
		runtime.Gosched()
		t = w.find()
	}
	p.searching.Add(-1)
	return t
}

// helpOut wakes a worker if there is more work than the caller has just taken: the
// goroutine that brought it may have relied on the caller, which was searching, to
// see it.
func (p *pool) helpOut() {
	if p.parked.Load() > 0 && p.searching.Load() == 0 && p.anyQueued() {
		p.wakeOne()
	}
}

func (p *pool) anyQueued() bool {
	for i := range p.queues {
		if p.queues[i].any.Load() {
			return true
		}
	}
	return false
}

// find takes a task from the worker's own queue, else from another's.
func (w *worker) find() *task {
	queues := w.pool.queues
	w.ticks++
	first := w.home
	if w.ticks%fairness == 0 {
		first = w.ticks / fairness % len(queues)
	}
	if t := queues[first].pop(); t != nil {
		return t
	}
	for i := range queues {
		if t := queues[(w.home+i)%len(queues)].pop(); t != nil {
			return t
		}
	}
	return nil
}

// park waits until there may be work.
func (w *worker) park() {
	p := w.pool
	p.mu.Lock()
	if p.closed.Load() {
		p.mu.Unlock()
		return
	}
	p.sleeping = append(p.sleeping, w)
	p.parked.Store(int32(len(p.sleeping)))
	if p.anyQueued() {
		p.sleeping = p.sleeping[:len(p.sleeping)-1]
		p.parked.Store(int32(len(p.sleeping)))
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	<-w.wake
}

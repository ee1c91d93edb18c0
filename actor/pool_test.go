package actor

import (
	"testing"
	"testing/synctest"
)

// stub is a job whose parts are functions.
type stub struct {
	onRun   func()
	onCheck func() bool
}

func (s *stub) run() bool     { s.onRun(); return s.onCheck() }
func (s *stub) hasWork() bool { return s.onCheck() }

// runner returns the worker that runs the task.
func runner(p *pool, t *task) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.workers {
		if w.on.Load() == t {
			return w
		}
	}
	return nil
}

// Work arrives after the worker has looked for it and before it has put the
// task down: the goroutine that brings it sees the task scheduled and does
// nothing, so the worker must look again.
func TestWorkThatArrivesAsATaskIsPutDownIsDone(t *testing.T) {
	for _, blocking := range []bool{false, true} {
		synctest.Test(t, func(*testing.T) {
			p := newPool(1, nil)
			task := &task{blocking: blocking}
			runs, checks := 0, 0
			task.job = &stub{func() { runs++ }, func() bool { checks++; return checks == 2 }}
			p.schedule(task)
			synctest.Wait()
			p.close()
			<-p.drained
			if runs != 2 || task.flags.Load() != 0 {
				t.Errorf("blocking %v: run %d times", blocking, runs)
			}
		})
	}
}

// The task whose worker was given up has more to do: another worker continues
// with it.
func TestTheTaskOfALostWorkerGoesToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, nil)
		task := &task{}
		begun, release := make(chan struct{}), make(chan struct{})
		var workers []*worker
		task.job = &stub{func() {
			if workers = append(workers, runner(p, task)); len(workers) == 1 {
				close(begun)
				<-release
			}
		}, func() bool { return len(workers) < 2 }}
		p.schedule(task)
		<-begun
		p.lose(task)
		p.lose(task)    // once is enough
		synctest.Wait() // the new worker has nothing to do and sleeps
		close(release)
		synctest.Wait()
		if len(workers) != 2 || workers[0] == workers[1] {
			t.Errorf("run %d times by %v", len(workers), workers)
		}
		if p.counted != 1 {
			t.Errorf("%d workers", p.counted)
		}
		p.close()
		<-p.drained
	})
}

func TestBusyWorkersServeTheQueueOfAStuckOne(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		p := newPool(2, nil)
		release, served := make(chan struct{}), make(chan struct{})
		never := func() bool { return false }
		stuck := &task{home: 0, job: &stub{func() { <-release }, never}}
		p.schedule(stuck)
		synctest.Wait()
		// The other worker is never without work of its own.
		stop := false
		busy := &task{home: uint16(1 - runner(p, stuck).home), job: &stub{func() {
			select {
			case <-served:
				stop = true
			default:
			}
		}, func() bool { return !stop }}}
		waiting := &task{home: uint16(runner(p, stuck).home), job: &stub{func() { close(served) }, never}}
		p.schedule(busy)
		p.schedule(waiting)
		<-served
		synctest.Wait()
		close(release)
		p.close()
		<-p.drained
	})
}

// Two tasks came while one worker searched, so that only one was woken.
func TestAWokenWorkerThatLeavesWorkBehindWakesAnother(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		p := newPool(2, nil)
		never := func() bool { return false }
		synctest.Wait() // all sleep
		second := make(chan struct{})
		p.queues[0].push(&task{job: &stub{func() { <-second }, never}})
		p.queues[0].push(&task{job: &stub{func() { close(second) }, never}})
		p.wakeOne()
		<-second
		p.close()
		<-p.drained
	})
}

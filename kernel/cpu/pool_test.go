package cpu

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestPoolRunsEveryPartOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, threads := range []int{1, 2, 3, 8} {
		p := NewPool(threads)
		if p.Threads() != threads {
			t.Fatalf("NewPool(%d) has %d threads", threads, p.Threads())
		}
		for n := range 40 {
			ran := make([]atomic.Int32, n)
			p.Run(n, func(i int) { ran[i].Add(1) })
			for i := range ran {
				if got := ran[i].Load(); got != 1 {
					t.Fatalf("%d threads, %d parts: part %d ran %d times", threads, n, i, got)
				}
			}
		}
		p.Close()
	}
}

func TestPoolGivesAWorkerOnePartAtATime(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	busy := make([]atomic.Bool, p.Threads())
	for range 200 {
		p.RunWorkers(16, func(worker, _ int) {
			if busy[worker].Swap(true) {
				t.Errorf("worker %d has two parts", worker)
			}
			runtime.Gosched()
			busy[worker].Store(false)
		})
	}
}

// TestPoolRunsPartsConcurrently would wait for ever if parts ran one by one,
// even after the workers have gone to sleep.
func TestPoolRunsPartsConcurrently(_ *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for range 20 {
		var meet sync.WaitGroup
		meet.Add(3)
		p.Run(3, func(int) {
			meet.Done()
			meet.Wait()
		})
		for w := range p.workers {
			for !p.workers[w].asleep.Load() {
				runtime.Gosched()
			}
		}
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	for _, threads := range []int{1, 3} {
		p := NewPool(threads)
		var sum atomic.Int64
		f := func(i int) { sum.Add(int64(i)) }
		if n := testing.AllocsPerRun(200, func() { p.Run(10, f) }); n != 0 {
			t.Errorf("%d threads: %v allocations per Run", threads, n)
		}
		p.Close()
	}
}

func TestPoolRethrowsAPanicAndStaysUsable(t *testing.T) {
	defer goleak.VerifyNone(t)
	cause := errors.New("part 7")
	for _, threads := range []int{1, 4} {
		p := NewPool(threads)
		for range 50 {
			func() {
				defer func() {
					failure, ok := recover().(*TaskPanicError)
					if !ok || !errors.Is(failure, cause) {
						t.Fatalf("recovered %v, want a TaskPanicError with the cause", failure)
					}
					if !strings.Contains(string(failure.Stack), "pool_test") {
						t.Errorf("stack does not lead to the part:\n%s", failure.Stack)
					}
				}()
				p.Run(20, func(i int) {
					if i == 7 {
						panic(cause)
					}
				})
				t.Fatal("Run returned")
			}()
			var ran atomic.Int32
			p.Run(20, func(int) { ran.Add(1) })
			if ran.Load() != 20 {
				t.Fatalf("after a panic, %d of 20 parts ran", ran.Load())
			}
		}
		p.Close()
	}
}

func TestPoolReportsAPartThatEndsItsGoroutine(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	var main atomic.Bool
	for round := 0; round < 20 && !main.Load(); round++ {
		ended := make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			p.RunWorkers(8, func(worker, i int) {
				if i == 3 {
					main.Store(worker == 0)
					runtime.Goexit()
				}
			})
		}()
		if r := <-ended; r == nil && !main.Load() {
			t.Fatal("Run returned as if all parts had finished")
		}
	}
}

func TestPoolTakesConcurrentCallsInTurn(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var callers sync.WaitGroup
	var total atomic.Int64
	for range 4 {
		callers.Go(func() {
			for range 100 {
				var ran atomic.Int64
				p.Run(9, func(int) { ran.Add(1) })
				total.Add(ran.Load())
			}
		})
	}
	callers.Wait()
	if total.Load() != 4*100*9 {
		t.Errorf("%d parts ran, want %d", total.Load(), 4*100*9)
	}
}

func TestPoolCloseIsIdempotentAndFinal(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := NewPool(3)
	p.Close()
	p.Close()
	defer func() {
		if recover() == nil {
			t.Error("Run on a closed pool did not panic")
		}
	}()
	p.Run(1, func(int) {})
}

func TestIdlePoolSleeps(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	p.Run(8, func(int) {})
	deadline := time.Now().Add(10 * time.Second)
	for w := range p.workers {
		for !p.workers[w].asleep.Load() {
			if time.Now().After(deadline) {
				t.Fatalf("worker %d is still awake", w+1)
			}
			runtime.Gosched()
		}
	}
}

func BenchmarkPoolRun(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	f := func(int) {}
	for b.Loop() {
		p.Run(p.Threads(), f)
	}
}

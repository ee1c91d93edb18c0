package survival

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"reprise/datadir"
	"reprise/eventstore/sqlite"
	"reprise/journal"
	"reprise/training"
)

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors int
	heap                    uint64 // bytes in use after a collection
}

func measure(t *testing.T) footprint {
	t.Helper()
	var m runtime.MemStats
	for range 3 { // the second one frees what finalizers of the first released
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f := footprint{goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.descriptors = len(entries)
	}
	return f
}

// heapSlack is how much the heap may differ: a host keeps the last runs, about
// 5 KiB each, so that callers can ask what became of them.
const heapSlack = 512 << 10

// TestAProcessThatHostsRunAfterRunDoesNotGrow trains REPRISE_RUNS tiny runs in one
// host, on one store, and compares what the process holds with what it held after
// a fifth of them.
func TestAProcessThatHostsRunAfterRunDoesNotGrow(t *testing.T) {
	n := count(t, "REPRISE_RUNS", 1000)
	j, err := newJob(t.Context(), t.TempDir(), 1, 1437)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	w := datadir.Workspace{Dir: diskDir(t)}
	store, err := sqlite.Open(w.EventsPath(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	host, err := j.host(t.Context(), store, w, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	log := journal.NewRunLog(store, clock(0))
	var early footprint
	for i := 1; i <= n; i++ {
		record, err := j.goOn(t.Context(), host, log, training.RunID(fmt.Sprint("run-", i)))
		if err != nil || record.Session.State != training.Completed {
			t.Fatalf("run %d is %s: %v", i, record.Session.State, err)
		}
		if i == n/5 {
			early = measure(t)
		}
	}
	// The host has forgotten it.
	if first, err := host.Wait(t.Context(), "run-1"); err != nil || first.Session.State != training.Completed {
		t.Errorf("the first run is %s: %v", first.Session.State, err)
	}
	late := measure(t)
	t.Logf("after %d runs: %+v; after %d: %+v", n/5, early, n, late)
	if late.goroutines > early.goroutines {
		t.Errorf("%d goroutines became %d", early.goroutines, late.goroutines)
	}
	if late.descriptors > early.descriptors {
		t.Errorf("%d open files became %d", early.descriptors, late.descriptors)
	}
	if most := early.heap + heapSlack; late.heap > most {
		t.Errorf("%d bytes of heap became %d, more than %d", early.heap, late.heap, most)
	}
}

package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"reprise/actor"
	"reprise/dataset"
	"reprise/queue"
	"reprise/training"
)

// fill tells an actor that has no turn something until its mailbox is full.
func fill[M any](t *testing.T, ref actor.Ref[M], m M) {
	t.Helper()
	for {
		if err := ref.Tell(m); errors.Is(err, actor.ErrMailboxFull) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// What a holder has or asks for ends with it, also if the pool's mailbox is full then.
func TestAHolderIsForgottenThoughTheMailboxIsFull(t *testing.T) {
	a := newAskers(t, queue.DefaultPolicy())
	a.ask("holds")
	a.ask("waits")
	if !a.granted("holds") {
		t.Fatal("it was not granted the device")
	}
	fill[deviceMessage](t, a.ref, replan{})
	for _, id := range []training.RunID{"holds", "waits"} {
		if err := a.pool.queue.forget(a.ref, runHolder(id)); err != nil {
			t.Fatal(err)
		}
	}
	a.settle()
	if n, claims := len(a.pool.instances), len(a.pool.queue.claims); n != 0 || claims != 0 {
		t.Errorf("%d leases and %d claims of holders that are gone are left", n, claims)
	}
	if a.granted("waits") {
		t.Error("a holder that is gone was granted a device")
	}
}

// A holder whose request is in the full mailbox is forgotten after that request.
func TestARequestInAFullMailboxIsForgottenWithItsHolder(t *testing.T) {
	a := newAskers(t, queue.DefaultPolicy())
	a.ask("asks")
	asked := a.pool.queue.claims["asks"].asked
	a.tell(forgetHolder{Holder: runHolder("asks")})
	for range 3 {
		if err := a.ref.Tell(replan{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.ref.Tell(asked); err != nil {
		t.Fatal(err)
	}
	fill[deviceMessage](t, a.ref, replan{})
	if err := a.pool.queue.forget(a.ref, runHolder("asks")); err != nil {
		t.Fatal(err)
	}
	a.settle()
	if n, claims := len(a.pool.instances), len(a.pool.queue.claims); n != 0 || claims != 0 {
		t.Errorf("%d leases and %d claims of a holder that is gone are left", n, claims)
	}
}

// Data that were lent to a run are dropped once it is at rest, also if the mailbox of the
// cache is full then.
func TestARunIsForgottenThoughTheMailboxOfTheDataIsFull(t *testing.T) {
	w := newWorld(t)
	driver := &handDriver{now: time.Unix(1e9, 0)}
	system, err := actor.NewSystem(actor.Config{Now: func() time.Time { return driver.now }, Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	var late lateMessages[datasetMessage]
	var cache *datasetCache
	open := func(context.Context, training.Dataset) (*dataset.Dataset, error) { return w.data, nil }
	ref, err := actor.Spawn(system.Root(), actor.Spec[datasetMessage]{Name: "datasets", New: func() actor.Actor[datasetMessage] {
		cache = newDatasetCache(open, func(work func()) { work() }, &late)
		return cache
	}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := actor.Spawn(system.Root(), actor.Spec[RunMessage]{Name: "run", New: func() actor.Actor[RunMessage] {
		return asker{"run", &askers{told: map[training.RunID][]RunMessage{}}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	started := w.requestOf("run", nil)[0].(training.TrainingStarted)
	if err := ref.Tell(loadDataset{Request: 1, Run: "run", Dataset: started.Dataset, ReplyTo: run}); err != nil {
		t.Fatal(err)
	}
	driver.settle()
	if len(cache.entries) != 1 {
		t.Fatalf("%d data sets are open, want 1", len(cache.entries))
	}
	fill[datasetMessage](t, ref, deliverLate{})
	if err := late.tell(ref, forgetRun{Run: "run"}, deliverLate{}); err != nil {
		t.Fatal(err)
	}
	driver.settle()
	if n := len(cache.entries); n != 0 {
		t.Errorf("%d data sets are kept for a run that is gone", n)
	}
}

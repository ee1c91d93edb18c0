package survival

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/integration"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/journal"
	"reprise/training"
)

// TestMain lets the test binary act as the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SURVIVAL_WORKER"); dir != "" {
		if err := work(context.Background(), dir, os.Getenv("SURVIVAL_PROCESS"), os.Getenv("SURVIVAL_FROM")); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// writers append their own events while the run trains.
const writers = 3

// appendsPerProcess bounds what a writer appends in one process.
const appendsPerProcess = 40

// workerEpochs is the length of the runs that workers train, one after another.
const (
	workerEpochs = 12
	workerBatch  = 256
)

// work is what a worker does: it trains run after run in a data directory while
// its writers append, each starting at the given number, and reports every
// acknowledgement on standard output. It ends by being killed.
func work(ctx context.Context, dir, process, from string) error {
	number, err := strconv.Atoi(process)
	if err != nil {
		return err
	}
	j, err := newJob(ctx, filepath.Join(os.TempDir(), "no-cache"), workerEpochs, workerBatch)
	if err != nil {
		return err
	}
	w := datadir.Workspace{Dir: dir}
	lock, err := flock.Acquire(w.LockPath(), flock.Info{PID: os.Getpid(), Command: "survival", StartedAt: clock(number)()})
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }()
	store, err := sqlite.Open(w.EventsPath(), sqlite.Config{CheckpointPages: 100})
	if err != nil {
		return err
	}
	if err := openFiles(ctx, store, w); err != nil {
		return err
	}
	told := &telling{Store: store}
	host, err := j.host(ctx, told, w, number)
	if err != nil {
		return err
	}
	failed := make(chan error, writers+1)
	for k, first := range strings.Split(from, ",") {
		n, err := strconv.Atoi(first)
		if err != nil {
			return err
		}
		go func() { failed <- appendFrom(ctx, told, k, n) }()
	}
	go func() { failed <- trainRuns(ctx, j, host, told, number) }()
	for {
		if err := <-failed; err != nil {
			return err
		}
	}
}

// appendFrom appends a writer's events from number n on, a few at a time. What
// an earlier process stored without acknowledging it is acknowledged now.
func appendFrom(ctx context.Context, store eventstore.Store, writer, n int) error {
	for range appendsPerProcess {
		batch := make([]eventstore.NewEvent, 1+n%3)
		for i := range batch {
			batch[i] = writerEvent(writer, n+i)
		}
		n += len(batch)
		_, err := store.Append(ctx, eventstore.Write{Aggregate: writerAggregate(writer), Expected: eventstore.AnyVersion(), Events: batch})
		if err != nil {
			return err
		}
	}
	return nil
}

func writerAggregate(writer int) eventstore.AggregateID {
	return eventstore.AggregateID(fmt.Sprintf("actors/writer-%d", writer))
}

// writerEvent is event number n of a writer, the same in every process: one
// that means nothing to a run, but is known to all readers of the whole log.
func writerEvent(writer, n int) eventstore.NewEvent {
	return eventstore.NewEvent{
		ID: eventstore.EventID(fmt.Sprintf("writer-%d-%d", writer, n)), Type: "actor.actor_spawned.v1",
		Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Payload: fmt.Appendf(nil, `{"path":"writer/%d/%d"}`, writer, n),
	}
}

// trainRuns trains the first run that is not complete, and then the next.
func trainRuns(ctx context.Context, j *job, host *integration.Host, store eventstore.Store, process int) error {
	log := journal.NewRunLog(store, clock(process))
	for n := 1; ; n++ {
		record, err := j.goOn(ctx, host, log, training.RunID(fmt.Sprintf("run-%d", n)))
		if err == nil && record.Session.State != training.Completed {
			err = fmt.Errorf("run %s is %s: %s", record.ID, record.Session.State, record.Reason)
		}
		if err != nil {
			return err
		}
	}
}

// telling is a store that reports its acknowledgements on standard output, one
// line per event.
type telling struct {
	eventstore.Store
	mu sync.Mutex
}

func (s *telling) Append(ctx context.Context, writes ...eventstore.Write) ([]eventstore.Event, error) {
	events, err := s.Store.Append(ctx, writes...)
	var lines strings.Builder
	for _, e := range events {
		_, _ = fmt.Fprintf(&lines, "ack %d %s %s\n", e.Position, e.ID, e.Hash)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(os.Stdout, lines.String())
	return events, err
}

// ack is what a worker reported about one event.
type ack struct {
	position eventstore.Position
	id       eventstore.EventID
	hash     string
}

// client starts workers on a data directory, ends them, and keeps a journal of
// what they acknowledged.
type client struct {
	t      *testing.T
	dir    string
	want   outcome // of every run that is complete
	random *rand.Rand

	process int
	// cutting is set while the power is being cut: what a process reports from
	// then on, it would not have lived to report. A sync under way at that
	// point may even succeed in vain.
	cutting atomic.Bool
	acks    map[eventstore.EventID]ack
	// next is what each writer has to append next: the number after the last
	// acknowledged one.
	next [writers]int
	// checked is the last position that was read back.
	checked eventstore.Position
	hash    eventstore.Hash
	// completed counts the runs that ended with the same outcome.
	completed int
}

func newClient(t *testing.T, dir string, want outcome, random *rand.Rand) *client {
	return &client{t: t, dir: dir, want: want, random: random, acks: map[eventstore.EventID]ack{}}
}

// prepare makes the data directory and its store, durable.
func (c *client) prepare() {
	c.t.Helper()
	if err := disk.MkdirAll(disk.OS{}, c.dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	store, err := sqlite.Open(datadir.Workspace{Dir: c.dir}.EventsPath(), sqlite.Config{})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// cycle lets a worker work for a random time and then calls end to end it. One
// worker in four is ended while it starts and puts right what its predecessor
// left, the others after their first output.
func (c *client) cycle(end func(*exec.Cmd)) {
	c.t.Helper()
	c.process++
	early := c.random.IntN(4) == 0
	delay := time.Duration(c.random.Float64() * float64(longestUptime))
	from := make([]string, writers)
	for k, n := range c.next {
		from[k] = strconv.Itoa(n)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SURVIVAL_WORKER="+c.dir, "SURVIVAL_PROCESS="+strconv.Itoa(c.process), "SURVIVAL_FROM="+strings.Join(from, ","))
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.cutting.Store(false)
	ended := make(chan struct{})
	timer := time.AfterFunc(delay, func() { end(cmd); close(ended) })
	defer timer.Stop()
	if !early && timer.Stop() { // until its first output
		timer.Reset(time.Minute)
	}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first && !early && timer.Stop() {
			timer.Reset(delay)
		}
		c.note(lines.Text())
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		// It ended on its own, too early: what it says is a finding, unless the
		// power was cut first.
		select {
		case <-ended:
		default:
			if c.cutting.Load() {
				break
			}
			c.t.Fatalf("process %d: %v\n%s", c.process, err, complaint.String())
		}
	}
	<-ended
}

// note keeps an acknowledgement.
func (c *client) note(line string) {
	var a ack
	if c.cutting.Load() {
		return
	}
	if n, err := fmt.Sscanf(line, "ack %d %s %s", &a.position, &a.id, &a.hash); n != 3 || err != nil || len(a.hash) != 64 {
		return // cut off by the kill
	}
	if known, ok := c.acks[a.id]; ok && known != a {
		c.t.Errorf("process %d: %s was acknowledged as %v and as %v", c.process, a.id, known, a)
	}
	c.acks[a.id] = a
	var writer, n int
	if _, err := fmt.Sscanf(string(a.id), "writer-%d-%d", &writer, &n); err == nil && n >= c.next[writer] {
		c.next[writer] = n + 1
	}
}

// check reads what was appended since the last check and fails unless the
// acknowledged events of the last process are there, unchanged and in their
// places.
func (c *client) check() {
	c.t.Helper()
	store, err := sqlite.OpenReadOnly(datadir.Workspace{Dir: c.dir}.EventsPath())
	if errors.Is(err, os.ErrNotExist) && len(c.acks) == 0 {
		return
	}
	if err != nil {
		c.t.Fatalf("process %d: %v", c.process, err)
	}
	defer func() { _ = store.Close() }()
	for {
		page, err := store.Read(c.t.Context(), c.checked, 1000)
		if err != nil {
			c.t.Fatalf("process %d: %v", c.process, err)
		}
		for _, e := range page {
			if e.PrevHash != c.hash {
				c.t.Fatalf("process %d: event %d does not follow what was read before", c.process, e.Position)
			}
			c.checked, c.hash = e.Position, e.Hash
		}
		if len(page) < 1000 {
			break
		}
	}
	lost := 0
	for _, a := range c.acks {
		if a.position > c.checked {
			lost++
		}
	}
	if err := datadir.CheckFiles(c.t.Context(), store, datadir.Workspace{Dir: c.dir}); err != nil {
		c.t.Fatalf("process %d: %v", c.process, err)
	}
	if lost > 0 {
		c.t.Fatalf("LOST in process %d: %d acknowledged events; the log ends at %d", c.process, lost, c.checked)
	}
}

// finish lets the runs that are under way continue to their ends.
func (c *client) finish() {
	c.t.Helper()
	j, err := newJob(c.t.Context(), c.t.TempDir(), workerEpochs, workerBatch)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	w := datadir.Workspace{Dir: c.dir}
	store, err := sqlite.Open(w.EventsPath(), sqlite.Config{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	host, err := j.host(c.t.Context(), store, w, c.process+1)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	log := journal.NewRunLog(store, clock(c.process+1))
	state, err := journal.StateAt(c.t.Context(), store, eventstore.End)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range state.Runs {
		if _, err := j.goOn(c.t.Context(), host, log, r.ID); err != nil {
			c.t.Fatalf("run %s does not continue: %v", r.ID, err)
		}
	}
}

// conclude lets the runs end and reads everything: every acknowledged event is
// in the log once, every writer's events are there in order and without gaps,
// and every complete run has the same outcome.
func (c *client) conclude() {
	c.t.Helper()
	c.finish()
	w := datadir.Workspace{Dir: c.dir}
	store, err := sqlite.OpenReadOnly(w.EventsPath())
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Verify(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	found := map[eventstore.EventID]int{}
	var numbers [writers]int
	for after := eventstore.Position(0); ; {
		page, err := store.Read(c.t.Context(), after, 1000)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range page {
			after = e.Position
			found[e.ID]++
			if a, ok := c.acks[e.ID]; ok && (a.position != e.Position || a.hash != e.Hash.String()) {
				c.t.Errorf("%s was acknowledged at %d and is at %d, or another", e.ID, a.position, e.Position)
			}
			var writer, n int
			if _, err := fmt.Sscanf(string(e.Payload), `{"path":"writer/%d/%d"}`, &writer, &n); err == nil {
				if n != numbers[writer] {
					c.t.Errorf("writer %d: number %d follows %d", writer, n, numbers[writer]-1)
				}
				numbers[writer]++
			}
		}
		if len(page) < 1000 {
			break
		}
	}
	for id := range c.acks {
		if found[id] != 1 {
			c.t.Errorf("%s was acknowledged and is in the log %d times", id, found[id])
		}
	}
	if err := checkFiles(c.t.Context(), store, w); err != nil {
		c.t.Error(err)
	}
	state, err := journal.StateAt(c.t.Context(), store, eventstore.End)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range state.Runs {
		if got := outcomeOf(r); got != c.want {
			c.t.Errorf("run %s ended with %+v, undisturbed with %+v", r.ID, got, c.want)
		}
		c.completed++
	}
}

// undisturbed is the outcome of a worker's run to which nothing happens.
func undisturbed(t *testing.T) outcome {
	t.Helper()
	j, err := newJob(t.Context(), t.TempDir(), workerEpochs, workerBatch)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	record, err := j.live(t.Context(), disk.OS{}, "", dataDir(diskDir(t)), 0, newWitness())
	if err != nil || record.Session.State != training.Completed {
		t.Fatalf("%s, %v", record.Session.State, err)
	}
	return outcomeOf(record)
}

// seeded returns random numbers whose seed is printed; REPRISE_SEED sets it.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("REPRISE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("REPRISE_SEED=%s: %v", s, err)
		}
	}
	t.Logf("REPRISE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// count returns a number of cycles, which an environment variable can set; with
// -short it is a fifth of the usual number.
func count(t *testing.T, variable string, usual int) int {
	t.Helper()
	s := os.Getenv(variable)
	switch {
	case s == "" && testing.Short():
		return max(1, usual/5)
	case s == "":
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is not a number of cycles", variable, s)
	}
	return n
}

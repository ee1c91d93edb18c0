package survival

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/internal/disk/disktest"
	"reprise/journal"
	"reprise/training"
)

// trial fails one operation of a short run, in one way, and inspects what is
// left for every way in which its process can end.
type trial struct {
	t    *testing.T
	job  *job
	want outcome
	// dir is the trial's own folder.
	dir   string
	at    int
	fault disktest.Fault
	// seeds is how many random outcomes of a power cut are tried for what was
	// not synced.
	seeds uint64
	seen  *sync.Map // of the disks checked so far
	stats *stats
	disks int
}

// stats counts what a test did.
type stats struct {
	faults, ends, checked atomic.Int64
}

// TestAFaultAtEveryOperationOfARunLosesNothingAcknowledged trains one short run
// again and again, each time with a fault at the next operation on its disk, in
// each way, until the run ends before the fault.
func TestAFaultAtEveryOperationOfARunLosesNothingAcknowledged(t *testing.T) {
	j, err := newJob(t.Context(), t.TempDir(), 2, 700)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	reference := &trial{t: t, job: j, dir: diskDir(t), at: -1}
	record, _, d, err := reference.firstProcess()
	if err != nil || record.Session.State != training.Completed || len(record.Removed) == 0 {
		t.Fatalf("without a fault: %s, %v, %d removed", record.Session.State, err, record.Removed)
	}
	seeds := uint64(count(t, "REPRISE_SEEDS", 1))
	log := d.Log()
	kinds := map[disktest.Kind]int{}
	for _, op := range log {
		kinds[op.Kind]++
	}
	t.Logf("a run of %d steps and %d checkpoints makes %d operations: %d that read, %d that grow, %d that change, %d that sync",
		outcomeOf(record).step, len(record.Checkpoints), len(log), kinds[disktest.Reads], kinds[disktest.Grows], kinds[disktest.Changes], kinds[disktest.Syncs])
	every := stride
	if testing.Short() {
		every = max(every, 8)
	}
	for _, fault := range []disktest.Fault{disktest.Cut, disktest.Fail, disktest.Tear, disktest.Full} {
		var seen sync.Map
		var s stats
		t.Run(fault.String(), func(t *testing.T) {
			for shard := range shards {
				t.Run(fmt.Sprint(shard), func(t *testing.T) {
					t.Parallel()
					dir := diskDir(t)
					for at := shard * every; ; at += shards * every {
						r := &trial{t: t, seeds: seeds, job: j, want: outcomeOf(record), dir: filepath.Join(dir, fmt.Sprint(at)), at: at, fault: fault, seen: &seen, stats: &s}
						if !r.run() {
							return
						}
					}
				})
			}
		})
		t.Logf("%s: %d faults, %d ends of a process, the run continued from %d different disks", fault, s.faults.Load(), s.ends.Load(), s.checked.Load())
	}
}

// TestAConditionThatHoldsOverRestartsNeverEndsARun trains one short run again
// and again, each time with something that goes wrong from the next operation
// on, lasts for two processes, and is put right before the third, until the run
// ends before the condition begins.
func TestAConditionThatHoldsOverRestartsNeverEndsARun(t *testing.T) {
	j, err := newJob(t.Context(), t.TempDir(), 2, 700)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.driver.Close() }()
	reference := &trial{t: t, job: j, dir: diskDir(t), at: -1}
	record, _, _, err := reference.firstProcess()
	if err != nil || record.Session.State != training.Completed {
		t.Fatalf("without a fault: %s, %v", record.Session.State, err)
	}
	step := 4 * stride
	if testing.Short() {
		step *= 3
	}
	if count(t, "REPRISE_SEEDS", 1) > 1 {
		step = 1
	}
	for _, condition := range conditions() {
		var s stats
		t.Run(condition.Name, func(t *testing.T) {
			for shard := range shards {
				t.Run(fmt.Sprint(shard), func(t *testing.T) {
					t.Parallel()
					dir := diskDir(t)
					for at := shard * step; ; at += shards * step {
						r := &trial{t: t, job: j, want: outcomeOf(record), dir: filepath.Join(dir, fmt.Sprint(at)), at: at, stats: &s}
						if !r.endure(condition) {
							return
						}
					}
				})
			}
		})
		t.Logf("%s: from %d operations on; %d processes ended, %d runs were interrupted", condition.Name, s.faults.Load(), s.ends.Load(), s.checked.Load())
		if !t.Failed() && s.faults.Load() == 0 {
			t.Errorf("%s: nothing happened", condition.Name)
		}
		if strings.HasSuffix(condition.Name, ownDisk) && s.checked.Load() == 0 {
			t.Errorf("%s: no run was interrupted on record", condition.Name)
		}
	}
}

// ownDisk ends the names of conditions that do not affect the event log.
const ownDisk = ", of the runs' files only"

// conditions returns the conditions of the whole disk, and again of a disk that
// holds only the runs' files.
func conditions() []disktest.Condition {
	all := disktest.Conditions()
	for _, c := range disktest.Conditions() {
		fails := c.Fails
		c.Name += ownDisk
		c.Fails = func(o disktest.Op) bool { return strings.HasPrefix(o.Path, "data/runs/") && fails(o) }
		all = append(all, c)
	}
	return all
}

// endure reports whether the condition began before the run ended.
func (r *trial) endure(c disktest.Condition) bool {
	defer func() { _ = os.RemoveAll(r.dir) }()
	d := disktest.New(r.newRoot())
	d.Hold(r.at, c)
	acks := newWitness()
	for process := 1; process <= 2; process++ {
		record, _, err := r.process(d, process, acks)
		if !d.Struck() {
			if err != nil {
				r.t.Errorf("%s from operation %d on, which is too late: %v", c.Name, r.at, err)
			}
			return false
		}
		r.stats.ends.Add(1)
		state := record.Session.State
		switch {
		case state == training.Failed:
			r.t.Errorf("%s from operation %d on ended the run: %s", c.Name, r.at, record.Reason)
			return true
		case state == training.Interrupted:
			r.stats.checked.Add(1)
			said := strings.Contains(record.Reason, c.Errno.Error()) && strings.Contains(record.Reason, datadir.Remedy(c.Errno))
			if err == nil && !said {
				r.t.Errorf("%s from operation %d on: the reason is %q", c.Name, r.at, record.Reason)
			}
		case state == "" && errors.Is(err, c.Errno): // the process could not start
		case state != training.Completed && strings.HasSuffix(c.Name, ownDisk):
			r.t.Errorf("%s from operation %d on: the run is %q on record (%v)", c.Name, r.at, state, err)
		}
	}
	r.stats.faults.Add(1)
	d.Lift()
	record, _, err := r.process(d, 3, acks)
	if err != nil {
		r.t.Errorf("%s from operation %d on, and then lifted: %v", c.Name, r.at, err)
		return true
	}
	if got := outcomeOf(record); got != r.want {
		r.t.Errorf("%s from operation %d on, and then lifted: the run ended with %+v, undisturbed with %+v (%s)", c.Name, r.at, got, r.want, record.Reason)
	}
	// A restart within a process would have met the same condition.
	if record.Interruptions > 2 {
		r.t.Errorf("%s from operation %d on: two processes interrupted the run %d times", c.Name, r.at, record.Interruptions)
	}
	if err := r.inspect(d, acks); err != nil {
		r.t.Errorf("%s from operation %d on, and then lifted: %v", c.Name, r.at, err)
	}
	return true
}

// shards are the parts of a test that run in parallel.
const shards = 4

// diskDir returns a folder for disks, in memory if possible: the disks
// themselves simulate what is durable.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "reprise-survival-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newRoot makes a folder for a disk.
func (r *trial) newRoot() string {
	r.disks++
	root := filepath.Join(r.dir, fmt.Sprint(r.disks))
	if err := os.MkdirAll(root, 0o755); err != nil {
		r.t.Fatal(err)
	}
	return root
}

// firstProcess runs the process that the fault strikes.
func (r *trial) firstProcess() (journal.RunRecord, *witness, *disktest.Disk, error) {
	d := disktest.New(r.newRoot())
	d.Inject(r.at, r.fault)
	record, acks, err := r.process(d, 1, newWitness())
	return record, acks, d, err
}

func (r *trial) process(d *disktest.Disk, process int, acks *witness) (journal.RunRecord, *witness, error) {
	vfs, unregister := d.Register()
	defer unregister()
	record, err := r.job.live(context.Background(), d, vfs, dataDir(d.Root()), process, acks)
	return record, acks, err
}

// run reports whether the fault struck, or could have.
func (r *trial) run() bool {
	defer func() { _ = os.RemoveAll(r.dir) }()
	_, acks, d, err := r.firstProcess()
	log := d.Log()
	if !d.Struck() {
		if len(log) > r.at {
			return true // there is no operation that can fail in this way
		}
		if err != nil {
			r.t.Errorf("without a fault: %v", err)
		}
		return false
	}
	r.stats.faults.Add(1)
	ends := []disktest.Survival{disktest.Killed(), disktest.Strict()}
	if r.fault == disktest.Cut {
		for seed := range r.seeds {
			ends = append(ends, disktest.Random(uint64(r.at)<<32|seed))
		}
	}
	for _, end := range ends {
		if err := r.goesOn(d, acks, end); err != nil {
			r.t.Errorf("%s at operation %d (%s), then %s: %v", r.fault, r.at, log[r.at], end, err)
		}
	}
	return true
}

// goesOn checks what is left of a disk, lets the run continue from it to its
// end, cuts the power and checks again.
func (r *trial) goesOn(d *disktest.Disk, acks *witness, end disktest.Survival) error {
	left, err := d.After(end, r.newRoot())
	if err != nil {
		return err
	}
	r.stats.ends.Add(1)
	print, err := left.Fingerprint()
	if err != nil {
		return err
	}
	if _, known := r.seen.LoadOrStore(fmt.Sprint(print, acks.count(), end == disktest.Killed()), true); known {
		return nil
	}
	r.stats.checked.Add(1)
	acks = acks.clone()
	record, _, err := r.process(left, 2, acks)
	if err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	if got := outcomeOf(record); got != r.want {
		return fmt.Errorf("resumed, the run ended with %+v, undisturbed with %+v (%s)", got, r.want, record.Reason)
	}
	// Where the power fails before its removal is synced, a checkpoint is back, and removed
	// by the next process.
	w := datadir.Workspace{Dir: dataDir(left.Root()), Disk: left}
	for _, step := range record.Removed {
		if w.Checkpoints(record.ID).Has(step) {
			return fmt.Errorf("the checkpoint at step %d was not removed", step)
		}
	}
	after, err := left.After(disktest.Strict(), r.newRoot())
	if err != nil {
		return err
	}
	if err := r.inspect(after, acks); err != nil {
		return fmt.Errorf("after it was resumed and the power was cut: %w", err)
	}
	return nil
}

// inspect reads what is on a disk, as a reader does, and compares it with the
// witness.
func (r *trial) inspect(d *disktest.Disk, acks *witness) error {
	vfs, unregister := d.Register()
	defer unregister()
	w := datadir.Workspace{Dir: dataDir(d.Root()), Disk: d}
	store, err := sqlite.OpenReadOnlyOn(w.EventsPath(), sqlite.Config{Disk: d, VFS: vfs})
	if errors.Is(err, os.ErrNotExist) && acks.count() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	return errors.Join(acks.check(context.Background(), store), checkFiles(context.Background(), store, w))
}

// clone returns a witness that continues this one.
func (j *witness) clone() *witness {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := newWitness()
	for id, events := range j.submitted {
		c.submitted[id] = append([]eventstore.NewEvent(nil), events...)
	}
	for p, e := range j.acked {
		c.acked[p] = e
	}
	return c
}

package main

import (
	"bytes"
	"crypto/sha256"
	littleendian "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"reprise/datadir"
	"reprise/eventstore"
	"reprise/eventstore/sqlite"
	"reprise/journal"
)

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// read returns a file of the copy.
func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// verifyForged lets forge change the files of a copy of the data directory, puts
// the hashes that it returns in place of old ones into every event, and verifies.
func (f *forgery) verifyForged(forge func(dir string) map[string]string) error {
	f.t.Helper()
	dir := f.t.TempDir()
	f.must(os.CopyFS(dir, os.DirFS(f.dir)))
	events := slices.Clone(f.events)
	for old, now := range forge(dir) {
		for i := range events {
			events[i].Payload = bytes.ReplaceAll(events[i].Payload, []byte(old), []byte(now))
		}
	}
	return f.verify(events, dir)
}

// forgeManifest changes a manifest and returns what its hash becomes.
func forgeManifest(t *testing.T, folder string, change func(string) string) map[string]string {
	t.Helper()
	path := filepath.Join(folder, "manifest.json")
	was := read(t, path)
	is := []byte(change(string(was)))
	if err := os.WriteFile(path, is, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{hexSum(was): hexSum(is)}
}

// forgeTensor changes the last bit of a value of a file of tensors, and the
// manifest accordingly.
func forgeTensor(t *testing.T, folder, file string, value int) map[string]string {
	t.Helper()
	path := filepath.Join(folder, file)
	was := read(t, path)
	is := bytes.Clone(was)
	header := 8 + int(littleendian.LittleEndian.Uint64(is))
	is[header+4*value] ^= 1
	if err := os.WriteFile(path, is, 0o600); err != nil {
		t.Fatal(err)
	}
	hashes := forgeManifest(t, folder, func(m string) string { return strings.Replace(m, hexSum(was), hexSum(is), 1) })
	hashes[hexSum(was)] = hexSum(is)
	return hashes
}

// nextFigure changes a number in JSON by as little as it can be.
func nextFigure(figure string) string {
	if n, err := strconv.ParseInt(figure, 10, 64); err == nil {
		return strconv.FormatInt(n+1, 10)
	}
	var x float64
	_ = json.Unmarshal([]byte(figure), &x) // it came from JSON
	raw, _ := json.Marshal(math.Nextafter(x, math.MaxFloat64))
	return string(raw)
}

func TestVerifyFindsWhatIsForgedInACheckpoint(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: make test-full runs it")
	}
	f := newForgery(t)
	folders, err := filepath.Glob(filepath.Join(f.dir, "runs", "*", "checkpoints", "step-*"))
	if err != nil || len(folders) < 5 {
		t.Fatalf("%d checkpoints, %v", len(folders), err)
	}
	expect := func(folder, what string, err error, words ...string) {
		t.Helper()
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %s is forged, found is %v; want %s", folder, what, err, word)
			}
		}
	}
	number := regexp.MustCompile(`"([a-z_]+)": (-?[0-9][0-9.e+-]*)`)
	figures := 0
	for _, folder := range folders {
		inside, err := filepath.Rel(f.dir, folder)
		f.must(err)
		for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
			for _, value := range []int{0, 7} {
				err := f.verifyForged(func(dir string) map[string]string { return forgeTensor(t, filepath.Join(dir, inside), file, value) })
				expect(inside, file, err, file, "element")
			}
		}
		manifest := string(read(t, filepath.Join(folder, "manifest.json")))
		for _, m := range number.FindAllStringSubmatchIndex(manifest, -1) {
			key, figure := manifest[m[2]:m[3]], manifest[m[4]:m[5]]
			if key == "version" || key == "bytes" {
				continue // the file is not read then
			}
			figures++
			err := f.verifyForged(func(dir string) map[string]string {
				return forgeManifest(t, filepath.Join(dir, inside), func(s string) string { return s[:m[4]] + nextFigure(figure) + s[m[5]:] })
			})
			expect(inside, key, err, key)
		}
		for key, change := range map[string]func(string) string{
			"run_id": func(s string) string {
				return regexp.MustCompile(`"run_id": "[^"]*"`).ReplaceAllString(s, `"run_id": "x"`)
			},
			"session_id": func(s string) string {
				return regexp.MustCompile(`"session_id": "[^"]*"`).ReplaceAllString(s, `"session_id": "x"`)
			},
			"progress_best": func(s string) string {
				return regexp.MustCompile(`(?s),\s*"progress_[^}]*`).ReplaceAllString(s, "\n  ")
			},
		} {
			err := f.verifyForged(func(dir string) map[string]string { return forgeManifest(t, filepath.Join(dir, inside), change) })
			expect(inside, key, err, strings.Split(key, "_")[0])
		}
	}
	if figures < 40 {
		t.Errorf("only %d figures of manifests were forged", figures)
	}
}

// forgeRecord changes a record of a series, and returns the hashes up to every
// committed step, which a forger recomputes, too.
func forgeRecord(t *testing.T, path string, record int, steps []int, change func([]byte)) map[string]string {
	t.Helper()
	const magic, size = 8, 24
	was := read(t, path)
	is := bytes.Clone(was)
	r := is[magic+size*record:][:size]
	change(r)
	littleendian.LittleEndian.PutUint32(r[20:], crc32.Checksum(r[:20], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(path, is, 0o600); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]string{}
	for _, step := range steps {
		if end := magic + size*step; end <= len(was) {
			hashes[hexSum(was[magic:end])] = hexSum(is[magic:end])
		}
	}
	return hashes
}

func TestVerifyFindsWhatIsForgedInASeries(t *testing.T) {
	f := newForgery(t)
	var steps []int
	for step := 1; step <= 40; step++ {
		steps = append(steps, step)
	}
	fields := map[string]func([]byte){
		"loss":  func(r []byte) { littleendian.LittleEndian.PutUint32(r[12:], math.Float32bits(0.5)) },
		"rate":  func(r []byte) { littleendian.LittleEndian.PutUint32(r[16:], math.Float32bits(0.5)) },
		"epoch": func(r []byte) { r[8]++ },
	}
	for _, run := range f.runs[:2] {
		// The first record, and the last one that both runs have.
		for _, record := range []int{0, 15} {
			for field, change := range fields {
				err := f.verifyForged(func(dir string) map[string]string {
					return forgeRecord(t, filepath.Join(dir, "runs", string(run), "steps.series"), record, steps, change)
				})
				if !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), "step metrics") {
					t.Errorf("%s of step %d of %s is forged, found is %v", field, record+1, run, err)
				}
			}
		}
	}
}

// A read model in the store is a cache, which anybody who can write the store can
// write, without touching an event.
func TestVerifyFindsAForgedReadModel(t *testing.T) {
	f := newForgery(t)
	for _, test := range []struct{ name, part, old, new string }{
		{"accuracy", "projection/runs/part-0", `"val_accuracy":`, `"val_accuracy":1`},
		{"state", "projection/runs/part-0", `"state":"completed"`, `"state":"failed"`},
		{"lease epoch", "projection/devices/part-0", `"lease_epoch":`, `"lease_epoch":1`},
	} {
		store := logOf(t, f.events)
		f.must(journal.CatchUpProjections(t.Context(), store))
		if _, err := journal.VerifyLog(t.Context(), store); err != nil {
			t.Fatalf("nothing is forged: %v", err)
		}
		forgeConsumer(t, store, test.part, func(state string) string { return strings.Replace(state, test.old, test.new, 1) })
		_, err := journal.VerifyLog(t.Context(), store)
		if !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), "read model") ||
			!strings.Contains(err.Error(), "the events are intact") {
			t.Errorf("%s is forged, found is %v", test.name, err)
		}
		// The log is short: listings do not look at what is kept.
		listing, err := journal.Listing(t.Context(), store)
		f.must(err)
		for _, store := range []eventstore.Store{listing, logOf(t, f.events)} {
			runs, err := journal.ReadRuns(t.Context(), store)
			f.must(err)
			if r := runs.Runs[0]; r.State != "completed" || r.Metrics.ValAccuracy > 1 {
				t.Errorf("%s is forged, and listed as %+v", test.name, r)
			}
		}
	}
}

// The same by the commands, on a store on disk.
func TestEventsVerifyNamesAForgedReadModelAndRebuildMendsIt(t *testing.T) {
	dir := dataDirOf(t, importedEvents(t, "../../integration/testdata/golden/digits.jsonl"))
	store, err := sqlite.Open(datadir.Workspace{Dir: dir}.EventsPath(), sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	forgeConsumer(t, store, "projection/runs/part-0", func(state string) string {
		return regexp.MustCompile(`"val_accuracy":[0-9.]+`).ReplaceAllString(state, `"val_accuracy":1`)
	})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := command(t, dir, "runs", "list"); code != 0 || strings.Contains(stdout, "1.0000") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := command(t, dir, "events", "verify"); code != 1 ||
		!strings.Contains(stdout, `NOT VERIFIED: the stored read model "runs"`) ||
		!strings.Contains(stdout, "val_accuracy: recorded 1, the events give 0.6") || !strings.Contains(stdout, "reprise projections rebuild") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := command(t, dir, "projections", "rebuild"); code != 0 || !strings.Contains(stdout, "DIFFERS") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := command(t, dir, "events", "verify"); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// forgeConsumer changes a part of a kept projection and its hash in the table.
func forgeConsumer(t *testing.T, store eventstore.Store, prefix string, change func(string) string) {
	t.Helper()
	ctx := t.Context()
	all, err := store.Consumers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	save := func(c eventstore.Consumer, state string) {
		if state == string(c.State) {
			t.Fatalf("%s has nothing to forge: %s", c.Name, state)
		}
		c.State = []byte(state)
		if err := store.SaveConsumer(ctx, c, c.Position); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range all {
		if !strings.HasPrefix(c.Name, prefix+".") {
			continue
		}
		forged := change(string(c.State))
		table, err := store.Consumer(ctx, prefix[:strings.LastIndex(prefix, "/")])
		if err != nil {
			t.Fatal(err)
		}
		state := strings.Replace(string(table.State), hexSum(c.State), hexSum([]byte(forged)), 1)
		state = strings.Replace(state, fmt.Sprintf(`"bytes":%d`, len(c.State)), fmt.Sprintf(`"bytes":%d`, len(forged)), 1)
		save(c, forged)
		save(table, state)
	}
}

// So is the snapshot of a device, which a process begins with.
func TestVerifyFindsAForgedSnapshot(t *testing.T) {
	f := newForgery(t)
	store := logOf(t, f.events)
	id := f.backend.Describe().ID()
	state, err := journal.StateAt(t.Context(), store, eventstore.End)
	f.must(err)
	i := slices.IndexFunc(state.Devices, func(d journal.DeviceRecord) bool { return d.ID == id })
	record, err := json.Marshal(state.Devices[i].Ledger)
	f.must(err)
	table, err := catchUp(t, f.events)
	f.must(err)
	var last eventstore.Store
	snapshot := func(record string) error {
		store := logOf(t, f.events)
		last = store
		f.must(store.SaveSnapshot(t.Context(), eventstore.Snapshot{
			Aggregate: eventstore.AggregateID("device/" + string(id)), Version: state.Devices[i].Version, Schema: 2,
			Payload: fmt.Appendf(nil, `{"events":%q,"name":%q,"state":%s,"version":%d}`, table.Events, id, record, state.Devices[i].Version),
		}))
		_, err := journal.VerifyLog(t.Context(), store)
		return err
	}
	if err := snapshot(string(record)); err != nil {
		t.Fatalf("nothing is forged: %v", err)
	}
	forged := strings.Replace(string(record), `"lease_epoch":`, `"lease_epoch":1`, 1)
	if err := snapshot(forged); !errors.Is(err, journal.ErrNotVerified) || !strings.Contains(err.Error(), "snapshot of device/") {
		t.Errorf("the snapshot is forged, found is %v", err)
	}
	f.must(journal.RebuildSnapshots(t.Context(), last))
	if _, err := journal.VerifyLog(t.Context(), last); err != nil {
		t.Errorf("the snapshot was rebuilt: %v", err)
	}
}

// catchUp returns the table of contents of a projection of the events.
func catchUp(t *testing.T, events []eventstore.Event) (table struct {
	Events string `json:"events"`
}, err error) {
	t.Helper()
	store := logOf(t, events)
	if err := journal.CatchUpProjections(t.Context(), store); err != nil {
		return table, err
	}
	c, err := store.Consumer(t.Context(), "projection/runs")
	if err != nil {
		return table, err
	}
	return table, json.Unmarshal(c.State, &table)
}

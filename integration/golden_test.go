package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/journal"
	"reprise/training"
)

// goldenFiles pins every golden log and the state that it leads to. They are
// exports of real logs, written when their events were released, and are never
// written again: a new event, or a new version of one, comes with a new log.
func goldenFiles() map[string]string {
	return map[string]string{
		"actors.jsonl":          "8778d115c9a2b75bc52eb75b8e9bf9a79ea3649ec4529444415559568fedd17d",
		"actors.state.json":     "96487bfd38d06afdbdf83ec3a319958114e0e6c1f0504ca23db5862902b81a32",
		"changes.jsonl":         "3279eab8fd3d7ecd255f41fa025a93433172c455bd8e1b2aeeb904785f9b24ef",
		"changes.state.json":    "7f9352c0100bcbeda9d4988435fe0bf516c203b2f9a57f0d67f4270dde15ff04",
		"digits.jsonl":          "2537e35ccf6abb65baacc242c67895a61c752a952680361e86deca9c14c95081",
		"digits.state.json":     "db7eda5bff0b186cdf69eacc4fa5761b0e72d5dabbfcf1d018e1ea0776d571ae",
		"failures.jsonl":        "f0f7c436ac4f7a919830a6af3bb7b1dc04ac0ca34482492a4aeae59422ffb1af",
		"failures.state.json":   "fec072b0c529d8e3aefffb1dd6b46976465f432a43da3614700ab81cd828a485",
		"figures.jsonl":         "5335292518bd1492307b612d60011c64eac23db0f663b09f5ebd19b436caabf7",
		"figures.state.json":    "11ec28253e2e53a5365c3e16ce1c1e6fab0033ef4623fcb0fc346431190e666f",
		"jobs.jsonl":            "1b074a72c82a9eb3bf9b100179334ac7c8106aa5303540766532a6946488ddcd",
		"jobs.state.json":       "ec8b1b0e27885519cb2db0e3daadba9736819dc0182b2dde6eefbbcbe98a0ae5",
		"kept.jsonl":            "2f2dd454db0eb99fbbbfcdbbeaadae6fca5e730f219a9698d2ec20d4f6923d99",
		"kept.state.json":       "e2e5d3dc2bf16ea8ea3d6fa738af37c35b7ea3c549181820d9f47c2f177b808f",
		"life.jsonl":            "b9eb883a29da858bc8c0656980094297a106cc67a95be226eae4fe2c3d10b29c",
		"life.state.json":       "f2f973742434db0af3637b32f96e03aaffc1dce8d44a8661850ef6cc8d212de3",
		"notes.jsonl":           "8fc802dcc5d4ba36dcf00c395d753a1f1f6c49d20acfb8a97d437732b0b77c84",
		"notes.state.json":      "0db20aa6453b5647a2ac22bd2530e37d74a35b9416f3e2da140681d444006e00",
		"queue.jsonl":           "efdd52b6c23b2e4834f62b3e6b33579fabd4a73835a3a9021f00948ebe5e8f42",
		"queue.state.json":      "96e238f3a96f7445def9d7bd97b241ef35eb9fd55471d24380eaeadded6548e2",
		"regression.jsonl":      "0b8bfea61435728c672606939b48b54c06b48b2e521bf9bf09a0fb4618138c7b",
		"regression.state.json": "c5740d9eaf732646ae847f73d33a89c574b47b5ee4f9221aa3b344732ec779f9",
		"settings.jsonl":        "ef4ea2fa7f6023113361070f059470a34f44b2e61b50e1126d45bf68c05185ca",
		"settings.state.json":   "b6a91c2c38ce2c3823e4847a5e6887b190dd81ce5fd99144b40c0ae63ab21c4f",
		"text.jsonl":            "2fd5a2f2b9ef0af9e5703aa5b52e72fd7e58323c2ce6e45b1cc2d61be74083e3",
		"text.state.json":       "89a0c3c33185c737c1c34bed4d0e1204ab4f5527c655a280701cb358d903c5dc",
	}
}

const goldenFolder = "testdata/golden"

// goldenState is what a golden log must replay to. It is a separate format, so
// that these files need not change when a read model does.
type goldenState struct {
	Position eventstore.Position `json:"position"`
	Head     string              `json:"head_hash"`
	Runs     []goldenRun         `json:"runs"`
	Devices  []goldenDevice      `json:"devices"`
}

type goldenRun struct {
	ID            training.RunID     `json:"run_id"`
	State         training.State     `json:"state"`
	Saga          training.SagaState `json:"saga"`
	Reason        string             `json:"reason"`
	Parent        training.RunID     `json:"parent"`
	ParentStep    uint64             `json:"parent_step"`
	Epochs        []goldenEpoch      `json:"epochs"`
	Evaluations   int                `json:"evaluations"`
	StoppedEarly  uint64             `json:"stopped_early"`
	Interruptions int                `json:"interruptions"`
	Reproduced    int                `json:"reproduced_epochs"`
	Checkpoints   []goldenCheckpoint `json:"checkpoints"`
	Rates         map[string]float32 `json:"rate_at_step"`
	Held          int                `json:"held_devices"`
	Version       eventstore.Version `json:"version"`
	Targets       []string           `json:"targets"`
	Layers        int                `json:"layers"`
	Figures       *goldenFigures     `json:"figures,omitempty"`
}

type goldenEpoch struct {
	Epoch       uint64  `json:"epoch"`
	Step        uint64  `json:"step"`
	TrainLoss   float64 `json:"train_loss"`
	ValLoss     float64 `json:"val_loss"`
	ValAccuracy float64 `json:"val_accuracy"`
}

type goldenFigures struct {
	Step     uint64  `json:"step"`
	Accuracy float64 `json:"accuracy"`
	Matthews float64 `json:"matthews"`
	Majority string  `json:"majority_class"`
}

type goldenCheckpoint struct {
	Step     uint64 `json:"step"`
	Epoch    uint64 `json:"epoch"`
	Manifest string `json:"manifest_sha256"`
	Weights  string `json:"weights_sha256"`
	Series   string `json:"series_sha256"`
}

type goldenDevice struct {
	ID     device.ID           `json:"id"`
	Health device.HealthStatus `json:"health"`
	Epoch  device.Epoch        `json:"lease_epoch"`
	Leases int                 `json:"leases"`
	Slots  int                 `json:"slots"`
}

func goldenStateOf(s journal.SystemState, head eventstore.Head) goldenState {
	out := goldenState{Position: head.Position, Head: head.Hash.String()}
	for _, r := range s.Runs {
		out.Runs = append(out.Runs, goldenRunOf(r))
	}
	for _, d := range s.Devices {
		health, _ := d.Ledger.Device().Health()
		out.Devices = append(out.Devices, goldenDevice{
			ID: d.ID, Health: health, Epoch: d.Ledger.Epoch(), Leases: len(d.Ledger.Leases()), Slots: d.Ledger.Device().Slots(),
		})
	}
	return out
}

func goldenRunOf(r journal.RunRecord) goldenRun {
	h := r.Session.Hyperparameters
	g := goldenRun{
		ID: r.ID, State: r.Session.State, Saga: r.Saga.State, Reason: r.Reason, ParentStep: r.Session.Parent.Step(),
		Evaluations: len(r.Evaluations), Interruptions: r.Interruptions, Reproduced: r.Reproduced,
		Held: len(r.Saga.Context.AllocatedDevices), Version: r.Version, Layers: len(r.Session.Architecture.Layers),
		Rates: map[string]float32{},
	}
	if p := r.Session.Parent; p != nil {
		g.Parent = p.RunID
	}
	if f := r.Figures; f != nil {
		g.Figures = &goldenFigures{f.Step, *f.Classification.Accuracy, *f.Classification.Matthews, f.MajorityClass.Name}
	}
	if r.Stopped != nil {
		g.StoppedEarly = r.Stopped.Epoch
	}
	for _, t := range r.Session.Dataset.Targets {
		g.Targets = append(g.Targets, t.Name)
	}
	for _, m := range r.Metrics {
		g.Epochs = append(g.Epochs, goldenEpoch{m.Epoch, m.Step, m.TrainLoss, m.ValLoss, m.ValAccuracy})
	}
	for _, cp := range r.Checkpoints {
		g.Checkpoints = append(g.Checkpoints, goldenCheckpoint{cp.Step, cp.Epoch, cp.ManifestSHA256, cp.WeightsSHA256, cp.SeriesSHA256})
	}
	for _, step := range []uint64{0, 1, 7, 100} {
		g.Rates[fmt.Sprint(step)] = h.LearningRate.At(step)
	}
	return g
}

// golden imports a golden log, which checks its hash chain.
func golden(t *testing.T, name string) (eventstore.Store, eventstore.Head) {
	t.Helper()
	f, err := os.Open(filepath.Join(goldenFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	store := memory.New()
	head, err := eventstore.Import(context.Background(), store, f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return store, head
}

func goldenLogs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldenFolder, "*.jsonl"))
	if err != nil || len(files) < 5 {
		t.Fatalf("golden logs %v, %v", files, err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

func TestGoldenFilesAreNeverWrittenAgain(t *testing.T) {
	pinned := goldenFiles()
	entries, err := os.ReadDir(goldenFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(goldenFolder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch want, ok := pinned[e.Name()]; {
		case !ok:
			t.Errorf("%q: %q, // is not pinned yet", e.Name(), fmt.Sprintf("%x", sha256.Sum256(raw)))
		case want != fmt.Sprintf("%x", sha256.Sum256(raw)):
			t.Errorf("%s was changed: restore it, and add another file for what is new", e.Name())
		}
		delete(pinned, e.Name())
	}
	for name := range pinned {
		t.Errorf("%s is gone: restore it", name)
	}
}

func TestGoldenLogsReplayForEver(t *testing.T) {
	for _, name := range goldenLogs(t) {
		store, head := golden(t, name)
		state, err := journal.StateAt(context.Background(), store, eventstore.End)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		raw, err := os.ReadFile(filepath.Join(goldenFolder, strings.TrimSuffix(name, ".jsonl")+".state.json"))
		if err != nil {
			t.Fatal(err)
		}
		if got := indented(t, goldenStateOf(state, head)); !bytes.Equal(got, raw) {
			t.Errorf("%s replays to\n%s\nit used to be\n%s", name, got, raw)
		}
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(raw, '\n')
}

// What was written then is what would be written now: decoding an event and
// encoding it again gives exactly its bytes.
func TestGoldenEventsKeepTheirBytes(t *testing.T) {
	for _, name := range goldenLogs(t) {
		store, _ := golden(t, name)
		if _, err := eventstore.Walk(context.Background(), store, 0, eventstore.End, func(e eventstore.Event) error {
			event, err := journal.EventOf(e)
			if err != nil {
				return err
			}
			kind, payload, err := journal.Encode(event)
			if err != nil {
				return err
			}
			if kind != e.Type {
				return nil // an older version: it is not written any more
			}
			if !bytes.Equal(payload, e.Payload) {
				t.Errorf("%s: event %d, %s, was written as\n%s\nand would be written as\n%s", name, e.Position, e.Type, e.Payload, payload)
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A remark changes nothing, so reading it back is all that must last: the test that
// records it compares its bytes.
func TestEveryEventTypeHasAGoldenLog(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range goldenLogs(t) {
		store, _ := golden(t, name)
		if _, err := eventstore.Walk(context.Background(), store, 0, eventstore.End, func(e eventstore.Event) error {
			seen[e.Type] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range training.Events() {
		if _, remark := e.(training.Remark); remark {
			seen[e.EventType()] = true
		}
	}
	for _, kind := range journal.EventTypes() {
		if !seen[kind] {
			t.Errorf("no golden log has %s: export a small log that does (see golden_write_test.go)", kind)
		}
	}
}

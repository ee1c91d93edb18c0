package integration

import (
	"slices"
	"strings"
	"testing"

	"reprise/checkpoint"
	"reprise/nn"
	"reprise/tensor"
	"reprise/training"
)

// transfer freezes the first layers, whose weights and batch statistics the run takes from
// elsewhere; the last layer is drawn.
func transfer(h *training.Hyperparameters) {
	everything(h)
	h.Freeze = nn.NewFreeze([]string{"layers.1.*", "layers.2.*"})
	h.Optimizer = nn.Optimizer{Name: nn.AdamW, WeightDecay: 0.1}
}

// initialised gives the run, which has begun nowhere yet, other initial weights in its
// first layers than its seed does.
func (w *world) initialised(id training.RunID, arch nn.Architecture, events []training.Event) []training.Event {
	w.t.Helper()
	other, err := nn.NewModel("other", arch, 77)
	if err != nil {
		w.t.Fatal(err)
	}
	specs, err := arch.Parameters()
	if err != nil {
		w.t.Fatal(err)
	}
	kept := other.Parameters[:len(specs)-2]
	offered := make([]training.Offered, len(kept))
	for i, p := range kept {
		offered[i] = training.Offered{Name: p.Name, Shape: p.Shape}
	}
	_, init, err := training.Match(specs, offered)
	if err != nil {
		w.t.Fatal(err)
	}
	if init.WeightsSHA256, err = checkpoint.WeightsSHA256(kept); err != nil {
		w.t.Fatal(err)
	}
	init.Path, init.SourceSHA256 = "/elsewhere/model.safetensors", init.WeightsSHA256
	if err := w.workspace.KeepInitial(id, kept); err != nil {
		w.t.Fatal(err)
	}
	started := events[0].(training.TrainingStarted)
	_, events, err = training.StartFrom(init, training.TrainingSession{Architecture: started.Architecture}, events)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

// The weights that a run takes from elsewhere are those that it begins with, and what is
// frozen of them ends as it began.
func TestARunBeginsWithTheWeightsThatAreKept(t *testing.T) {
	w := newWorld(t)
	r, _ := w.train(w.request(transfer), nil)
	last, ok := r.LastCheckpoint()
	if !ok || r.Session.State != training.Completed {
		t.Fatalf("the run is %s: %s", r.Session.State, r.Reason)
	}
	kept, err := w.workspace.Initial(r.ID).Read(r.Session.Init.WeightsSHA256)
	if err != nil {
		t.Fatal(err)
	}
	content, err := w.workspace.Checkpoints(r.ID).Read(last.Ref())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		i := slices.IndexFunc(content.Weights, func(c tensor.Tensor) bool { return c.Name == k.Name })
		if !slices.Equal(content.Weights[i].Data, k.Data) {
			t.Errorf("%s, which is frozen, has changed", k.Name)
		}
	}
	verify(t, w, r)

	// Another file in its place is found, and the run does not begin with it.
	kept[0].Data[0]++
	if err := w.workspace.KeepInitial(r.ID, kept); err != nil {
		t.Fatal(err)
	}
	report, err := Verifier{Store: w.store, Workspace: w.workspace, Devices: w.devices()}.Verify(t.Context(), Verification{Run: r}, w.data)
	if err == nil || report.Verified || !strings.Contains(report.Problem, "initial weights: ") {
		t.Errorf("verified with other initial weights: %v, %q, %v", report.Verified, report.Problem, err)
	}
}

package archtest

import (
	"slices"
	"strings"
)

// layer says which of the project's packages the packages of a folder may import. Each
// package follows the row with the longest matching From. Everyone may import fault and
// internal packages.
type layer struct {
	From    string
	May     []string // patterns
	Because string
}

// layerTable is the direction of the data: request -> api -> integration ->
// training -> nn and device -> kernel -> tensor, never back.
func layerTable() []layer {
	contexts := []string{
		"actor", "eventstore", "tensor", "kernel", "device", "queue", "nn", "dataset", "checkpoint", "metrics", "training", "inference", "export",
	}
	learning := []string{"nn", "dataset/...", "checkpoint", "metrics", "device", "kernel", "tensor"}
	return []layer{
		{"fault", nil, "what went wrong is said in one vocabulary, which every context may use and which knows none"},
		{"tensor/...", nil, "tensor is what every numeric context shares: it can depend on none of them"},
		{"actor/...", []string{"actor/..."}, "actor knows nothing of machine learning; integration adapts"},
		{"eventstore/...", []string{"eventstore"}, "the store keeps bytes; integration knows what they mean"},
		{"kernel", []string{"tensor"}, "kernel is the shared vocabulary of models and devices"},
		{"kernel/cpu", []string{"kernel", "tensor"}, "kernels compute; leases and models are above them"},
		{"device", []string{"kernel", "tensor"}, "the rules about devices know no hardware; drivers do"},
		{"device/devicetest", []string{"device", "kernel", "tensor"}, "a contract suite knows only its contract"},
		{"device/cpu", []string{"device", "kernel", "kernel/cpu", "tensor"}, "a driver joins one kind of device to its kernels"},
		{"device/opencl", []string{"device", "kernel", "kernel/opencl", "tensor"}, "a driver joins one kind of device to its kernels"},
		{"queue", []string{"device", "tensor"}, "decisions are about devices and jobs, not about what a job does"},
		{"nn/...", []string{"nn/...", "kernel", "tensor"}, "a model runs on any backend, under any training"},
		{"dataset/...", []string{"dataset/...", "tensor"}, "data does not depend on what is learnt from it"},
		{"checkpoint/...", []string{"checkpoint/...", "tensor"}, "files of tensors outlive the code that trains"},
		{"metrics", nil, "how good predictions are does not depend on who made them, nor on what is done about it"},
		{"training/...", append([]string{"training/..."}, learning...), "the rules of training are hosted by integration, and host nobody"},
		{"inference/...", append([]string{"inference/...", "kernel/cpu", "export/bundle"}, learning...), "a model that is used elsewhere has its bundle and the processor, and no host"},
		{"export/...", []string{"export/...", "nn", "checkpoint", "kernel", "tensor", "dataset/preprocess"}, "a model is written from its architecture and weights, wherever these come from"},
		{"journal/...", append([]string{"journal/..."}, contexts...), "the journal says what the events of every context mean; hosts, files and stores are handed in or above it"},
		{"datadir/...", append([]string{"datadir/...", "journal"}, contexts...), "the folders of a data directory are judged by its log; who trains in them is above"},
		{"integration/...", append([]string{"integration/...", "journal", "datadir", "training/loop"}, contexts...), "integration joins contexts, not their implementations: cmd hands those in"},
		{"api/...", append([]string{"api/..."}, contexts...), "the published language speaks to services, not to stores and drivers"},
		{"api/describe", append([]string{"journal"}, contexts...), "what an event means is the journal's to say; this says it in a line"},
		{"service", append([]string{"api/...", "integration", "journal", "datadir", "training/loop", "dataset/preprocess", "export/bundle"}, contexts...), "use cases join contexts, not their implementations: cmd hands those in"},
		{"plot", nil, "a picture does not know what its numbers are of"},
		{"server", []string{"api/..."}, "a server hands on what a service says: it knows only the published language"},
		{"client/...", []string{"client/...", "api/..."}, "a client knows only the published language"},
		{"web/...", []string{"web/...", "api/...", "client/..."}, "the dashboard sees what any client sees"},
		{"cmd/...", []string{"..."}, "cmd wires everything"},
		{"cmd/reprise", []string{"api", "api/describe", "client", "server", "service", "training", "dataset", "nn", "tensor", "export", "metrics", "plot"},
			"a display knows what a service answers, in the words of the published language; what is wired stays in a few files"},
		{"internal/...", nil, "a mechanism that has no meaning of its own cannot know a context"},
	}
}

// wiringFiles may import what the row of their folder does not name: they wire what the
// rest of the folder uses.
func wiringFiles() map[string][]string {
	return map[string][]string{
		"cmd/reprise/service.go":      {"datadir", "eventstore", "eventstore/memory", "eventstore/sqlite", "inference"},
		"cmd/reprise/open_devices.go": {"device", "device/cpu", "kernel/cpu"},
		// The folder that the flags name, and the process that holds it.
		"cmd/reprise/datadir.go": {"datadir"},
		"cmd/reprise/holder.go":  {"datadir"},
		"cmd/reprise/control.go": {"datadir"},
		// What a command makes at a path of the user's.
		"cmd/reprise/create.go": {"datadir"},
		// What helps against errors of the system.
		"cmd/reprise/exit.go": {"datadir"},
	}
}

// layers enforces layerTable. Tests may import what they like: the tree under
// test is built without them.
func layers(t *Tree) []Finding {
	var findings []Finding
	table, wiring := layerTable(), wiringFiles()
	for _, f := range t.Files {
		row, ok := rowFor(table, f.Package)
		if !ok {
			findings = append(findings, t.finding("layers", f, f.AST.Package,
				"folder %s has no row in the table of layers: add one, with its reason", f.Package))
			continue
		}
		if f.Test {
			continue
		}
		for _, spec := range f.AST.Imports {
			target, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), t.Module+"/")
			if !ok || target == "fault" || matches("internal/...", target) || matchesAny(row.May, target) || slices.Contains(wiring[f.Path], target) {
				continue
			}
			findings = append(findings, t.finding("layers", f, spec.Pos(),
				"%s may not import %s: %s; it may import %s", f.Package, target, row.Because, mayList(row.May)))
		}
	}
	return findings
}

func rowFor(table []layer, folder string) (layer, bool) {
	var best layer
	found := false
	for _, row := range table {
		if matches(row.From, folder) && (!found || len(row.From) > len(best.From)) {
			best, found = row, true
		}
	}
	return best, found
}

func mayList(may []string) string {
	if len(may) == 0 {
		return "only fault and internal packages"
	}
	return strings.Join(slices.Sorted(slices.Values(may)), ", ") + ", fault and internal packages"
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reprise/datadir"
)

// complete returns what a shell would offer for the last word of a command line.
func complete(t *testing.T, dataDir string, line ...string) []string {
	t.Helper()
	o := inProcess(dataDir, append([]string{"__complete"}, line...)...)
	if o.code != 0 {
		t.Fatalf("completing %q: %+v", line, o)
	}
	offered := strings.Split(strings.TrimSpace(o.stdout), "\n")
	return offered[:len(offered)-1] // the last is for the shell's script
}

func TestCompletionOffersWhatIsThere(t *testing.T) {
	data := t.TempDir()
	job := mlpJob(t, "batch_size: 64, learning_rate: 0.002, epochs: 4, checkpoint_interval: 2")
	for range 2 {
		if o := inProcess(data, "train", job); o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
	runs := strings.Fields(inProcess(data, "runs", "list", "-o", "json").stdout)
	var ids []string // oldest first
	for i, w := range runs {
		if w == `"run_id":` {
			ids = append(ids, strings.Trim(runs[i+1], `",`))
		}
	}
	if len(ids) != 2 {
		t.Fatalf("runs %q", ids)
	}
	stands := "\tcompleted, digits, epoch 4 of 4"
	steps := []string{"92\tepoch 4, loss ", "46\tepoch 2, loss "}
	for _, c := range []struct {
		line string // the word to complete follows the last space
		want []string
	}{
		{"runs show ", []string{"latest\tthe newest run", ids[1] + stands, ids[0] + stands}},
		{"runs show " + ids[0], []string{ids[0] + stands}},
		{"runs show lat", []string{"latest\tthe newest run"}},
		{"runs show latest ", nil},
		{"runs show nothing", nil},
		{"runs resume ", []string{"latest\tthe newest run"}}, // both have completed
		{"events tail --run " + ids[1], []string{ids[1] + stands}},
		{"runs fork latest --from ", steps},
		{"runs verify " + ids[0] + " --to ", steps},
		{"generate " + ids[0] + " --step 4", steps[1:]},
		{"export " + ids[0] + " --format o", []string{"onnx"}},
		{"export " + ids[0] + " --step 4", steps[1:]},
		{"generate --step ", nil},
		{"generate nothing --step ", nil},
		{"runs list -o ", []string{"table", "json", "yaml"}},
		{"train job.yaml --output ", []string{"text", "json"}},
		{"train ", []string{"yaml", "yml"}}, // endings of files
		{"validate ", []string{"yaml", "yml"}},
		{"datasets get op", []string{"opticks\tNewton's Opticks"}},
		{"datasets inspect wi", []string{"wine\tWine recognition"}},
		{"projections rebuild ", []string{"runs", "devices", "jobs"}},
		{"completion ", []string{"bash", "zsh", "fish", "powershell"}},
		{"version ", nil},
		{"help runs sh", []string{"show\t"}},
		{"runs sh", []string{"show\t"}},
	} {
		got := complete(t, data, strings.Split(c.line, " ")...)
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("reprise %s: offers %q, want %q", c.line, got, c.want)
		}
	}
	if got := complete(t, data, "devices", "--cpu-features", ""); got[0] != "auto" || !slices.Contains(got, "none") {
		t.Errorf("instruction sets %q", got)
	}
}

// Completion looks and leaves everything as it is, also where there is nothing.
func TestCompletionWritesNothing(t *testing.T) {
	folder := t.TempDir()
	none := filepath.Join(folder, "none")
	for _, line := range []string{"runs show ", "runs fork x --from ", "datasets get ", "generate ", "projections rebuild ", "events tail --run "} {
		complete(t, none, strings.Split(line, " ")...)
		complete(t, folder, append([]string{"--data-dir", none}, strings.Split(line, " ")...)...)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	data := t.TempDir()
	if o := inProcess(data, "train", mlpJob(t, "batch_size: 64, learning_rate: 0.002, epochs: 1")); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	names := func() string {
		var list []string
		if err := filepath.Walk(data, func(path string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() && !strings.HasSuffix(path, "-wal") && !strings.HasSuffix(path, "-shm") {
				list = append(list, path+" "+info.ModTime().String())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(list, "\n")
	}
	before := names()
	complete(t, data, "runs", "show", "")
	complete(t, data, "runs", "verify", "latest", "--from", "")
	if after := names(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	// A writer's lock is not in the way.
	w := datadir.Workspace{Dir: data}
	held(t, w.Dir)
	if got := complete(t, data, "runs", "show", "late"); len(got) != 1 {
		t.Errorf("beside a writer: %q", got)
	}
}

// Without the package whose functions the script calls, it says what to install.
func TestTheBashScriptNamesThePackageThatItNeeds(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	script := inProcess(t.TempDir(), "completion", "bash").stdout
	for _, c := range []struct{ before, out, complaint string }{
		{"", "", "completion needs the package bash-completion"},
		{"_get_comp_words_by_ref() { :; }\n", "-F __start_reprise reprise", ""},
		{"_init_completion() { :; }\n", "-F __start_reprise reprise", ""},
	} {
		var out, complaint strings.Builder
		shell := exec.CommandContext(t.Context(), bash, "--norc", "-c", c.before+script+"\ncomplete -p reprise 2>/dev/null || true")
		shell.Stdout, shell.Stderr = &out, &complaint
		if err := shell.Run(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.out) || (out.Len() == 0) != (c.out == "") ||
			!strings.Contains(complaint.String(), c.complaint) || (complaint.Len() == 0) != (c.complaint == "") {
			t.Errorf("after %q: %q and %q", c.before, out.String(), complaint.String())
		}
	}
}

func TestCompletionScriptsAreOfThisProgram(t *testing.T) {
	for _, shell := range shells() {
		o := inProcess(t.TempDir(), "completion", shell)
		if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "__complete") || !strings.Contains(o.stdout, "reprise") {
			t.Errorf("%s: exit code %d, %s", shell, o.code, o.stderr)
		}
	}
}

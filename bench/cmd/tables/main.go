// Command tables trains on tables as they come from their sources, here and with
// scikit-learn's MLPClassifier and MLPRegressor behind their usual pipeline, on the same
// splits, and prints a line of JSON for each with the means of the figures: accuracy, or R2
// of quantities. It fails if ours is more than 0.01 worse in one of them.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reprise/bench/internal/duel"
)

// table is a file to train on.
type table struct {
	file, target string
	regression   bool
	ignored      []string
	config       string // of the request
}

// tables returns those that are compared.
func tables() []table {
	usual := "{epochs: 100, batch_size: 32, learning_rate: 0.003"
	return []table{
		{file: "penguins.json", target: "Species", config: usual},
		{file: "penguins.json", target: "Sex", config: usual},
		{file: "penguins.json", target: "Body Mass (g)", regression: true, config: usual},
		{file: "seattle-weather.csv", target: "weather", ignored: []string{"date"}, config: "{epochs: 200, batch_size: 64, learning_rate: 0.003"},
		{file: "cars.json", target: "Origin", ignored: []string{"Name"}, config: usual},
		{file: "cars.json", target: "Miles_per_Gallon", regression: true, ignored: []string{"Name"}, config: usual},
	}
}

// bar is how much worse ours may be.
const bar = 0.01

// line is what is printed of a table.
type line struct {
	Work       string    `json:"work"`
	Peer       string    `json:"peer"`
	Unit       string    `json:"unit"`
	Ours       float64   `json:"ours"`
	Theirs     float64   `json:"theirs"`
	Difference float64   `json:"difference"`
	EachOurs   []float64 `json:"each_ours"`
	EachTheirs []float64 `json:"each_theirs"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tables:", err)
		os.Exit(1)
	}
}

func run() error {
	data := flag.String("data", "", "folder of the tables: node_modules/vega-datasets/data")
	reprise := flag.String("reprise", "../reprise", "our binary")
	splits := flag.Int("splits", 5, "drawn splits of each table")
	named := flag.String("work", "", "only tables whose name and target contain this")
	peers := flag.String("peers", "peers", "folder of the peers")
	out := flag.String("out", "", "file to which the lines are also written")
	flag.Parse()
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	binary, err := filepath.Abs(*reprise)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "reprise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	var worse []error
	for _, t := range tables() {
		l := line{Work: t.file + " " + t.target, Peer: "scikit-learn", Unit: "accuracy"}
		if t.regression {
			l.Unit = "r2"
		}
		if !strings.Contains(l.Work, *named) {
			continue
		}
		for seed := range *splits {
			if err := t.split(filepath.Join(*data, t.file), folder, uint64(seed)); err != nil {
				return err
			}
			ours, err := t.ours(binary, folder, seed)
			if err != nil {
				return fmt.Errorf("%s: %w", l.Work, err)
			}
			theirs, err := t.theirs(filepath.Join(*peers, "sklearn", "tables.py"), folder, seed)
			if err != nil {
				return fmt.Errorf("%s: %w", l.Work, err)
			}
			l.EachOurs, l.EachTheirs = append(l.EachOurs, rounded(ours)), append(l.EachTheirs, rounded(theirs))
			l.Ours += ours / float64(*splits)
			l.Theirs += theirs / float64(*splits)
		}
		l.Ours, l.Theirs, l.Difference = rounded(l.Ours), rounded(l.Theirs), rounded(l.Ours-l.Theirs)
		if err := json.NewEncoder(to).Encode(l); err != nil {
			return err
		}
		if !(l.Difference >= -bar) {
			worse = append(worse, fmt.Errorf("%s: %s is %.4f below scikit-learn's, at most %v is allowed", l.Work, l.Unit, -l.Difference, bar))
		}
	}
	return errors.Join(worse...)
}

func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// split writes a fifth of the rows to one file and the rest to another, as they are in the
// table. Rows without a target are in neither.
func (t table) split(path, folder string, seed uint64) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, between, end := "", "\n", "\n"
	var rows []string
	if strings.HasSuffix(path, ".json") {
		begin, between, end = "[", ",", "]"
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for _, r := range list {
			var cells map[string]any
			if err := json.Unmarshal(r, &cells); err != nil {
				return err
			}
			if cells[t.target] != nil {
				rows = append(rows, string(r))
			}
		}
	} else { // no cell of these has a line break, and no target is missing
		lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
		begin, rows = lines[0]+"\n", lines[1:]
	}
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	held := len(rows) / 5
	for name, part := range map[string][]string{"validation": rows[:held], "training": rows[held:]} {
		text := begin + strings.Join(part, between) + end
		if err := os.WriteFile(t.in(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (t table) in(folder, name string) string {
	return filepath.Join(folder, name+filepath.Ext(t.file))
}

// ours trains with Reprise.
func (t table) ours(binary, folder string, seed int) (float64, error) {
	request := []string{"model_architecture: mlp", "dataset_path: training" + filepath.Ext(t.file), "dataset:", "  target: " + t.target,
		"  split: {method: files, validation_path: validation" + filepath.Ext(t.file) + "}"}
	for _, name := range t.ignored {
		request = append(request, "  columns: {"+name+": ignored}")
	}
	if t.regression {
		request = append(request, "  task: regression")
	}
	request = append(request, fmt.Sprintf("config: %s, seed: %d}", t.config, seed))
	file := filepath.Join(folder, "request.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(request, "\n")+"\n"), 0o644); err != nil {
		return 0, err
	}
	data := filepath.Join(folder, "runs")
	if _, err := output(binary, "train", file, "--data-dir", data, "-o", "json"); err != nil {
		return 0, err
	}
	raw, err := output(binary, "evaluate", "latest", "--data-dir", data, "-o", "json")
	if err != nil {
		return 0, err
	}
	var report struct {
		Classification struct {
			Accuracy *float64 `json:"accuracy"`
		} `json:"classification"`
		Targets []struct {
			R2 *float64 `json:"r2"`
		} `json:"targets"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return 0, err
	}
	figure := report.Classification.Accuracy
	if t.regression && len(report.Targets) == 1 {
		figure = report.Targets[0].R2
	}
	if figure == nil {
		return 0, fmt.Errorf("no figure in %s", raw)
	}
	return *figure, nil
}

// theirs trains with scikit-learn.
func (t table) theirs(script, folder string, seed int) (float64, error) {
	task := "classification"
	if t.regression {
		task = "regression"
	}
	args := []string{script, t.in(folder, "training"), t.in(folder, "validation"), t.target, task, strconv.Itoa(seed)}
	raw, err := output("/usr/bin/python3", slices.Concat(args, t.ignored)...)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
}

// output returns what a command prints, or an error with what it says.
func output(name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	var says bytes.Buffer
	c.Stderr = &says
	raw, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, says.Bytes())
	}
	return raw, nil
}

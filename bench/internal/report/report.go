// Package report turns the lines of the benches into docs/performance.md and its
// figures. The same lines give the same bytes.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"reprise/bench/internal/duel"
)

// Results is what the benches measured.
type Results struct {
	Machine  Machine
	Peers    []duel.Line
	Gemm     []duel.Line
	Scaling  []duel.Scaling
	Training []duel.Training
	Actors   []duel.Line
	Events   []duel.Line
}

// Read reads the results from a folder. It fails if one of them is missing or
// empty.
func Read(folder string) (Results, error) {
	var r Results
	var machines []Machine
	err := errors.Join(
		lines(filepath.Join(folder, "machine.jsonl"), &machines),
		lines(filepath.Join(folder, "peers.jsonl"), &r.Peers),
		lines(filepath.Join(folder, "gemm.jsonl"), &r.Gemm),
		lines(filepath.Join(folder, "scaling.jsonl"), &r.Scaling),
		lines(filepath.Join(folder, "opticks.jsonl"), &r.Training),
		lines(filepath.Join(folder, "actors.jsonl"), &r.Actors),
		lines(filepath.Join(folder, "events.jsonl"), &r.Events),
	)
	if err != nil {
		return Results{}, err
	}
	r.Machine = machines[0]
	return r, nil
}

// lines reads one value per line.
func lines[T any](path string, to *[]T) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	for {
		var v T
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s, line %d: %w", path, len(*to)+1, err)
		}
		*to = append(*to, v)
	}
	if len(*to) == 0 {
		return fmt.Errorf("%s is empty", path)
	}
	return nil
}

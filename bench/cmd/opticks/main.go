// Command opticks trains a GPT on the characters of Newton's Opticks here and
// in PyTorch, from the same weights on the same batches at the same rates, and
// prints both validation losses as a line of JSON. It fails if ours is more
// than 0.01 nats per byte worse.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/peer"
	"reprise/bench/internal/torch"
	"reprise/bench/internal/wire"
	"reprise/bench/internal/work"
	"reprise/dataset"
	"reprise/dataset/tokenizer"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "opticks:", err)
		os.Exit(1)
	}
}

func run() error {
	steps := flag.Int("steps", 1000, "optimiser steps")
	rate := flag.Float64("rate", 1e-3, "largest learning rate")
	threads := flag.Int("threads", 2, "threads of our side")
	peerThreads := flag.Int("peer-threads", 1, "threads of PyTorch; if others use the cores too, 1 is often the fastest")
	out := flag.String("out", "", "file to which the line is also written")
	source := flag.String("peers", "peers", "folder of the peers")
	flag.Parse()
	if *steps < 1 {
		return fmt.Errorf("-steps %d, want at least 1", *steps)
	}
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	folder, err := os.MkdirTemp("", "reprise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	data, err := open()
	if err != nil {
		return err
	}
	text := work.NewText(data, *steps, *rate)
	result, err := compare(text, torch.Configuration(*source, *peerThreads, true), *threads, folder)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(to).Encode(result); err != nil {
		return err
	}
	if !(result.Difference <= duel.TrainingBar) {
		return fmt.Errorf("the validation loss is %.4f nats per byte above PyTorch's, at most %v is allowed", result.Difference, duel.TrainingBar)
	}
	return nil
}

// measured is the fingerprint of the text whose losses docs/performance.md
// reports: its tokens are the bytes that occur in it, so a loss is in nats per
// byte.
const measured = "3246967e6ba0c9d594e8cb6e652ac910163c7d283bf75e6692577e56a975f7ed"

// open returns the text, from the Go installation or the module cache;
// otherwise it is fetched once.
func open() (*dataset.Dataset, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	config := dataset.Config{CacheDir: filepath.Join(cache, "reprise")}
	for name, field := range map[string]*string{"GOROOT": &config.GoRoot, "GOMODCACHE": &config.ModuleCache, "GOPROXY": &config.GoProxy} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env %s: %w", name, err)
		}
		*field = strings.TrimSpace(string(value))
	}
	library, err := dataset.NewLibrary(config)
	if err != nil {
		return nil, err
	}
	source := dataset.Source{Path: "opticks", Tokenizer: tokenizer.Characters, Context: work.Context}
	return library.Reopen(context.Background(), source, measured)
}

// compare trains ours and then theirs.
func compare(text *work.Text, configuration peer.Configuration, threads int, folder string) (duel.Training, error) {
	file, err := text.File()
	if err != nil {
		return duel.Training{}, err
	}
	path := filepath.Join(folder, "opticks")
	if err := file.Write(path); err != nil {
		return duel.Training{}, err
	}
	theirs, err := wire.Start(configuration.Command, configuration.Env, folder, path)
	if err != nil {
		return duel.Training{}, err
	}
	defer theirs.Close()
	tokens := float64(text.Steps * text.Batch * text.PerSample)
	l := duel.Training{Work: "opticks gpt", Peer: fmt.Sprintf("%s (%s)", theirs.Name, configuration.Label), Unit: "nats/byte", Steps: text.Steps}
	ours, validation, seconds, err := text.Train(file, threads)
	if err != nil {
		return duel.Training{}, err
	}
	l.Ours, l.OursSeconds = digits(validation), math.Round(seconds)
	fmt.Fprintf(os.Stderr, "  ours: %.4f nats/byte after %d steps, %.0f tokens/s\n", validation, text.Steps, tokens/seconds)
	other, validation, seconds, err := theirs.Train()
	if err != nil {
		return duel.Training{}, err
	}
	l.Theirs, l.TheirsSeconds = digits(validation), math.Round(seconds)
	fmt.Fprintf(os.Stderr, "  theirs: %.4f nats/byte, %.0f tokens/s\n", validation, tokens/seconds)
	l.Difference = math.Round((l.Ours-l.Theirs)*1e5) / 1e5
	if len(other) != len(ours) {
		return duel.Training{}, errors.New("the peer took a different number of steps")
	}
	l.FirstLoss = [2]float64{digits(ours[0]), digits(other[0])}
	for i := range ours {
		l.LargestStep = max(l.LargestStep, math.Abs(digits(ours[i])-digits(other[i])))
	}
	l.LargestStep = math.Round(l.LargestStep*1e5) / 1e5
	return l, nil
}

func digits(loss float32) float64 { return math.Round(float64(loss)*1e5) / 1e5 }

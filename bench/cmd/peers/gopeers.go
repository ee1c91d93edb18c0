package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"reprise/bench/internal/peer"
	"reprise/kernel/cpu"
)

// gomlx returns GoMLX on its pure-Go backend, with and without its packed
// matrix product; if the machine has AVX-512, it is built with the experiment
// that its vector code needs.
func gomlx(source, folder string) entrant {
	env := os.Environ()
	if cpu.Detect().Best() == cpu.LevelAVX512 {
		env = append(env, "GOEXPERIMENT=simd")
	}
	program, missing := build(source, folder, "gomlx", env)
	return entrant{works: []string{"mlp", "cnn"}, at: func(string) peer.Peer {
		p := peer.Peer{Name: "GoMLX", Missing: missing}
		for _, options := range []string{"", "packgemm", "ops_sequential", "packgemm,ops_sequential"} {
			p.Configurations = append(p.Configurations, peer.Configuration{
				Label: strings.TrimSuffix("go:"+options, ":"), Command: []string{program, options},
			})
		}
		return p
	}}
}

// gorgonia returns Gorgonia with its tape machine.
func gorgonia(source, folder string) entrant {
	program, missing := build(source, folder, "gorgonia", os.Environ())
	return entrant{works: []string{"mlp"}, at: func(string) peer.Peer {
		return peer.Peer{Name: "Gorgonia", Missing: missing, Configurations: []peer.Configuration{
			{Label: "tape machine", Command: []string{program}, Env: []string{"ASSUME_NO_MOVING_GC_UNSAFE_RISK_IT_WITH=go1.26"}},
		}}
	}}
}

// build builds a peer, which is a separate module because of its dependencies.
func build(source, folder, name string, env []string) (program string, err error) {
	program, err = filepath.Abs(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	command := exec.Command("go", "build", "-o", program, ".")
	command.Dir, command.Env = filepath.Join(source, name), env
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return program, nil
}

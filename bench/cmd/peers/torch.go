package main

import (
	"fmt"
	"path/filepath"

	"reprise/bench/internal/peer"
)

// python is Debian's, the one that python3-torch belongs to; another one may
// stand before it in PATH.
const python = "/usr/bin/python3"

// pytorch returns the configurations that compete.
func pytorch(source string) entrant {
	at := func(work string) peer.Peer {
		p := peer.Peer{Name: "PyTorch"}
		images := work == "cnn" || work == "resnet8"
		for _, core := range []string{"SKYLAKEX", ""} {
			for _, threads := range []int{1, 2} {
				for _, last := range []bool{false, true} {
					if last && !images {
						continue
					}
					p.Configurations = append(p.Configurations, torchConfiguration(source, core, threads, last))
				}
			}
		}
		return p
	}
	return entrant{works: []string{"mlp", "cnn", "gpt", "resnet8"}, at: at}
}

func torchConfiguration(source, core string, threads int, channelsLast bool) peer.Configuration {
	c := peer.Configuration{
		Label:   fmt.Sprintf("threads %d", threads),
		Command: []string{python, filepath.Join(source, "torch", "peer.py"), "--threads", fmt.Sprint(threads)},
		Env:     []string{fmt.Sprintf("OMP_NUM_THREADS=%d", threads), fmt.Sprintf("OPENBLAS_NUM_THREADS=%d", threads)},
	}
	if core != "" {
		c.Env = append(c.Env, "OPENBLAS_CORETYPE="+core)
		c.Label += ", " + core
	}
	if channelsLast {
		c.Command = append(c.Command, "--channels-last")
		c.Label += ", channels last"
	}
	return c
}

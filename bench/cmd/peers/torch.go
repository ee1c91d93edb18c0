package main

import (
	"fmt"
	"path/filepath"

	"reprise/bench/internal/peer"
	"reprise/kernel/cpu"
)

// python is Debian's, the one that python3-torch belongs to; another one may
// stand before it in PATH.
const python = "/usr/bin/python3"

// keepMemory makes glibc's malloc keep what PyTorch frees. By default each large
// array of a step is mapped, paged in and unmapped again, which on a virtual
// machine can take more time than the step's arithmetic.
const keepMemory = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"

// pytorch returns PyTorch with the kernel of OpenBLAS that fits the processor
// (which Debian's OpenBLAS does not always find) and the faster of one and two
// threads, of both layouts of images and of both forms of the optimiser.
// With tuned set, malloc keeps memory too, which is more than its users do but
// is its best. Seen on an AMD EPYC (AVX-512) with two cores in use by others as
// well: the best were 1 thread, keepMemory and, for mlp, foreach; channels last
// for resnet8 and not for cnn.
func pytorch(source string, tuned bool) entrant {
	name := "PyTorch"
	if tuned {
		name = "PyTorch, malloc tuned"
	}
	at := func(work string) peer.Peer {
		p := peer.Peer{Name: name}
		option, label := "--foreach", "foreach"
		if work == "cnn" || work == "resnet8" {
			option, label = "--channels-last", "channels last"
		}
		for _, threads := range []int{1, 2} {
			plain := torchConfiguration(source, threads, tuned)
			other := plain
			other.Label += ", " + label
			other.Command = append(append([]string(nil), plain.Command...), option)
			p.Configurations = append(p.Configurations, plain, other)
		}
		return p
	}
	return entrant{works: []string{"mlp", "cnn", "gpt", "resnet8"}, at: at}
}

func torchConfiguration(source string, threads int, tuned bool) peer.Configuration {
	core := "HASWELL"
	if cpu.Detect().Best() == cpu.LevelAVX512 {
		core = "SKYLAKEX"
	}
	c := peer.Configuration{
		Label:   fmt.Sprintf("threads %d, %s", threads, core),
		Command: []string{python, filepath.Join(source, "torch", "peer.py"), "--threads", fmt.Sprint(threads)},
		Env: []string{
			fmt.Sprintf("OMP_NUM_THREADS=%d", threads),
			fmt.Sprintf("OPENBLAS_NUM_THREADS=%d", threads),
			"OPENBLAS_CORETYPE=" + core,
		},
	}
	if tuned {
		c.Env = append(c.Env, keepMemory)
		c.Label += ", malloc tuned"
	}
	return c
}

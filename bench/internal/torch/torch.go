// Package torch starts PyTorch as a peer.
package torch

import (
	"fmt"
	"path/filepath"

	"reprise/bench/internal/peer"
	"reprise/kernel/cpu"
)

// python is Debian's, the one that python3-torch belongs to; another one may
// come first in PATH.
const python = "/usr/bin/python3"

// keepMemory makes glibc's malloc keep what PyTorch frees. By default each large
// array of a step is mapped, paged in and unmapped again, which on a virtual
// machine can take more time than the step's arithmetic.
const keepMemory = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"

// Configuration returns PyTorch on a number of threads, with the kernel of
// OpenBLAS that fits the processor. If tuned is set, malloc keeps freed memory.
func Configuration(source string, threads int, tuned bool) peer.Configuration {
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

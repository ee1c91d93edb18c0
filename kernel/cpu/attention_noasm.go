//go:build !amd64 || noasm

package cpu

func newStripKernel(Level) stripKernel { return portableStrip() }

func newScoreKernels(Level) scoreKernels { return portableScores() }

//go:build !amd64 || noasm

package cpu

// assemblyElements is never asked for: no level above LevelNone exists.
func assemblyElements(Level) elementKernels { return portableElements() }

//go:build !amd64 || noasm

package cpu

// assemblyElements is never called: no level above LevelNone exists.
func assemblyElements(Level) elementKernels { return portableElements() }

// Package kernel is imported by kernel/cpu.
package kernel

import "reprise/kernel/cpu" // want layers "kernel may not import kernel/cpu"

// Rate is typed elsewhere.
const Rate float32 = 1

// Scale returns a product to other packages.
func Scale(x float32) float32 { return x * Rate }

var _ = cpu.X

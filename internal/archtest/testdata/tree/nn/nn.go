// Package nn adds to what another package returns.
package nn

import "reprise/kernel"

func add(x float32) float32 { return kernel.Scale(x) + 1 } // want fusible "the call returns a product"

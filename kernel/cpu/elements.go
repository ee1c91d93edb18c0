package cpu

import "reprise/kernel"

// elementKernels are the element-wise kernels that have assembly variants, all
// of them bit-equal to the portable ones.
type elementKernels struct {
	name       string // of the variant, as in kernel names
	relu       func(y, x []float32)
	reluGrad   func(dx, y, dy []float32)
	maximum    func(y []float32, index []int32, x []float32, at int32, channels, step int)
	adamUpdate func(c *adamConstants, w, grad, m, v []float32)
}

func portableElements() elementKernels {
	return elementKernels{name: "portable", relu: relu, reluGrad: reluGrad, maximum: maximum, adamUpdate: adamUpdate}
}

// newElements returns the best kernels for the level.
func newElements(level Level) elementKernels {
	if level >= LevelAVX2 {
		return assemblyElements()
	}
	return portableElements()
}

// elementOperations are the operations that elementKernels take part in.
func elementOperations() []kernel.Operation {
	return []kernel.Operation{kernel.OpMaxPool2D, kernel.OpActivation, kernel.OpActivationGrad, kernel.OpAdam}
}

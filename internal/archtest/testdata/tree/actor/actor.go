// Package actor imports a context.
package actor

import (
	"reprise/internal/twice"
	"reprise/tensor" // want layers "actor may not import tensor: actor knows nothing of machine learning"
)

var _ = twice.X
var _ = tensor.ErrShape

// What it says does not follow the form.
package main2 // want package-doc "does not begin with"

import "reprise/tensor" // want layers "a mechanism that has no meaning of its own"

var _ = tensor.ErrShape

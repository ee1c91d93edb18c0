// Package export writes trained models as other runtimes read them: for PyTorch, the
// weights as safetensors and a generated Python module that takes them; for everything
// that runs ONNX, one file of operator set 17; and for Reprise itself, bundles (package
// bundle), which are enough to predict with.
//
// A [Model] is an architecture with weights and says what its outputs mean. Where these
// come from, and where the files go, is its caller's concern: [Model.Files] gives the
// files of a [Format], each of which writes itself. The same model gives the same bytes.
//
// # Layouts
//
// Both formats follow the conventions of PyTorch. An image [H W C] of ours becomes
// [N C H W], a sequence [T C] stays [N T C], tokens [T] are int64 [N T]. Parameters keep
// their names in the checkpoint, such as "layers.0.weight", except that "in" and "out" of
// a transformer block are "linear1" and "linear2": "in" is a keyword of Python. The
// weights of a convolution [O H W I] become [O I H W], those of a depthwise one [H W C]
// become [C 1 H W]. The values do not change. In ONNX, the weights of a
// linear layer on sequences are stored transposed: [in, out].
//
// A layer that flattens an image keeps the order H, W, C in which its successor was
// trained: it moves the channels to the end first.
//
// Outputs agree with those of package nn to about 1e-5, not bit for bit: other runtimes
// add in another order.
//
// The package refuses weights that are not those of the architecture, and models that
// training could not have made. It keeps no state; a Model may be shared between
// goroutines that only read it.
package export

// Package inference owns the use of trained models.
//
// Open reads a bundle (package export/bundle) and returns a Model, which predicts from the
// rows of a table or from images: on the processor, without a data directory, a plan for
// training or the moments of an optimizer. A row has the same bits alone, in any batch and
// on any number of threads. A Model is safe for concurrent use.
//
// A Generator continues a prompt with tokens predicted by a language model, and a
// Sampling says how they are drawn. It is used by one goroutine at a time.
//
// The same model, prompt, sampling and seed give the same text everywhere: a
// token is a pure function of the logits, which have the same bits on every
// machine, and of (seed, position).
package inference

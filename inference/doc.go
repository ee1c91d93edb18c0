// Package inference owns the use of trained models. So far it generates text: a
// Generator continues a prompt with tokens predicted by a language model, and a
// Sampling says how they are drawn.
//
// The same model, prompt, sampling and seed give the same text everywhere: a
// token is a pure function of the logits, which have the same bits on every
// machine, and of (seed, position).
package inference

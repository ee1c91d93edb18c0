// Package inference owns what trained models are used for. So far it generates
// text: a Generator continues a prompt with a language model's next tokens, and
// a Sampling says how they are drawn.
//
// The same model, prompt, sampling and seed give the same text everywhere: a
// token is a pure function of the logits, which have the same bits on every
// machine, and of (seed, place).
package inference

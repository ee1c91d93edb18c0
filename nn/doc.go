// Package nn owns what is trained: the layers, an Architecture made of them,
// the Model with its parameters, the optimisers, and the Trainer that takes
// optimiser steps on a kernel.Backend.
//
// The main types, in the order in which a run meets them:
//
//   - Architecture: an input shape and a list of layers, a value with an exact
//     JSON form (see Layer). MLP and CNN build the usual ones.
//   - Model: an Architecture with named parameters. NewModel draws the initial
//     ones from a seed, the same bits everywhere.
//   - Optimizer: sgd, adam or adamw with its constants.
//   - Plan: reverse-mode differentiation done once. It lays out the
//     parameters, moments, gradients and activations in one arena and writes
//     the kernel.Programs of a training step and of an evaluation.
//   - Trainer: a Plan on a backend, with Load, Step, Evaluate, Predict, State.
//
// It refuses shapes that do not fit, unknown layers and fields, values out of
// range and anything non-finite, each with a typed error that names the place,
// the value and the fix. It reads no clock, no files and no randomness but
// Philox, and it computes almost nothing itself: kernels do.
//
// # Order of every sum
//
// The kernels fix the order within a layer. This package fixes the rest:
//
//   - A batch of R rows is cut into S shards of consecutive rows, the first
//     R mod S of them one row longer. Each shard's gradient is computed as if
//     it were a batch of its own, except that the scale is 1/R everywhere;
//     kernel.TreeSum's fixed tree then adds the shards' gradients by shard
//     index. A shard without rows (R < S) has no gradient and is left out of
//     the tree.
//   - The loss of a step is the rows' losses summed in float64 over ascending
//     row, divided by R and rounded once to float32.
//   - An evaluation sums the rows' losses in float64 over ascending row. A
//     row's loss and logits do not depend on the other rows, nor on how
//     rows are cut into batches.
//
// Values, a Plan among them, are immutable once built and may be shared between
// goroutines. A Trainer is used by one goroutine at a time.
package nn

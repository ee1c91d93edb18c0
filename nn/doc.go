// Package nn owns what is trained: the layers, an Architecture made of them,
// the Model with its parameters, the optimisers, and the Trainer that takes
// optimiser steps on a kernel.Backend.
//
// The main types, in the order in which a run meets them:
//
//   - Architecture: an input shape and a list of layers, a value with an exact
//     JSON form (docs beside Layer). MLP and CNN build the usual ones.
//   - Model: an Architecture with named parameters. NewModel draws the initial
//     ones from a seed, the same bits everywhere.
//   - Optimizer: sgd, adam or adamw with its constants.
//   - Plan: reverse-mode differentiation done once. It lays the parameters,
//     moments, gradients and activations out in one arena and writes the
//     kernel.Programs of a training step and of an evaluation.
//   - Trainer: a Plan on a backend, with Load, Step, Evaluate, Predict, State.
//
// It refuses shapes that do not meet, unknown layers and fields, values out of
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
//     it were a batch of its own but for the scale, 1/R everywhere; the shards'
//     gradients then meet in kernel.TreeSum's fixed tree by shard index. A
//     shard without rows (R < S) has no gradient to bring and stays out of the
//     tree.
//   - The loss of a step is the rows' losses summed in float64 over ascending
//     row, divided by R and rounded once to float32.
//   - An evaluation sums the rows' losses in float64 over ascending row. A
//     row's loss and logits do not depend on the rows beside it, nor on how
//     rows are cut into batches.
//
// Values are immutable once built and may be shared; a Trainer, and the Plan
// behind it, is used by one goroutine at a time.
package nn

// Package dataset owns the data that models are trained on: the catalogue of
// known data sets, how they are fetched and verified, the readers of IDX,
// CIFAR-10, CSV and text files, the split into training and validation samples,
// the augmentation of images, and the keyed shuffle.
//
// The main types:
//
//   - Library opens a Source: a name of the catalogue, a folder of files, a
//     .csv file or text. What it fetches it keeps in a cache, and what it reads
//     from there it has compared with a pinned SHA-256 first.
//   - Dataset is samples in two splits, held in memory as they were read and
//     scaled as they are gathered. Its Task says what there is to learn, and its
//     Fingerprint pins everything that shapes training.
//   - Batch is what training takes at a time: GatherBatch fills it for any task.
//   - Augmentation flips and crops the images of the training split, as a pure
//     function of seed, epoch and sample.
//   - Permutation is the order of an epoch: a bijection of [0, n) that is a
//     function of seed and epoch, in O(1) memory.
//
// # Values
//
// A pixel v of an IDX file becomes float32(v)/255, one of digits
// float32(v)/16, each one correctly rounded division. A column of a CSV file is
// standardised: float32((v-mean)/sd), computed in float64, where mean is the sum
// over the training samples in ascending row divided by their number n, and sd
// the root of the sum of (v-mean)^2 in the same order divided by n. A column
// that is the same in every training sample becomes 0. The targets of regression
// are standardised in the same way; Target.Restore turns a prediction back.
//
// Text becomes tokens (package tokenizer). A sample is as many of them as the
// context has, one sample beginning where the one before it ends, and its labels
// are the tokens one further on.
//
// # Splits
//
// Data without a validation set of its own gives up a fraction f of its n
// rows: the first ceil(n f) of the keyed permutation of purpose
// philox.PurposeSplit with seed and epoch 0, at least one, and at most all but
// one. Both splits keep the rows in the order of the file. Text is not mixed: its
// last n f bytes are for validation, and byte pairs are learnt from the others.
//
// # What it refuses
//
// Everything in a file that it does not understand in full: wrong magic,
// truncated or trailing bytes, counts that disagree, cells that are no numbers,
// more than MaxBytes of memory. Such an error is a *DataError that names file,
// place, value and fix. A *FieldError is about the Source, an *OfflineError
// about the network, a *HashError about content that is not what was pinned.
// It reads no clock, no environment and no randomness but Philox.
//
// A Dataset and a Permutation are immutable and a Library holds no state in
// memory; all are safe for concurrent use. The only goroutine is the watch
// over a download, which ends before the download returns.
package dataset

// Package dataset owns the data that models are trained on: the catalogue of
// known data sets, how they are fetched and verified, the readers of IDX,
// CIFAR-10, tables, images and text files, the split into training and validation samples,
// the augmentation of images, and the keyed shuffle.
//
// The main types:
//
//   - Library opens a Source: a name of the catalogue, a folder of files, a
//     .csv file or text. It keeps what it fetches in a cache, and verifies what it
//     reads from there against a pinned SHA-256.
//   - Dataset is samples in two splits, held in memory as they were read and
//     scaled as they are gathered. Its Task says what is to be learnt, and its
//     Fingerprint pins everything that shapes training.
//   - Batch is the samples of a training step; GatherBatch fills it.
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
// the root of the sum of (v-mean)^2 in the same order divided by n. Where that sum
// is below 2^-900, the deviations are scaled by a power of two before they are
// squared, so that tiny columns are standardised like any other. Where the mean of
// the deviations from the mean, summed with compensation, is more than 2^-24 sd,
// it is added to the mean, and sd is computed again: many rows of large numbers
// do not make the result less accurate.
//
// A column is constant, and becomes 0, if it varies by no more than rounding does:
// if its smallest and its largest value in training differ by at most 4 units in
// the last place of the larger magnitude, however many rows there are.
//
// The targets of regression are standardised in the same way; Target.Restore turns
// a prediction back.
//
// Text becomes tokens (package tokenizer). A sample is a context of them, each
// sample begins where the previous one ends, and its labels are the tokens one
// position later.
//
// # CSV files
//
// The first line names the columns, and every other line is a row. Cells are
// separated by commas, and quoted as RFC 4180 says. Lines end in LF, CRLF or CR.
// Spaces around a cell, empty lines and a byte order mark are ignored; the file is
// UTF-8.
//
// A feature, and a target of regression, is a number in decimal notation: an
// optional sign, digits with at most one point, and an optional exponent, as in
// 12, -0.5, .5, 5. and 1e-3. Nothing else is a number: not 1_000, 1,000 or 0x1F,
// which are written 1000 and 31, and not NaN or Inf. Its magnitude is 0 or between
// 2.2e-308, below which a float64 loses digits, and 3.4e38, the largest float32.
// Whole numbers that a float64 cannot hold, such as 1234567890123456789, are
// refused where that would be seen in training: where they differ from one another
// by less than float32 resolves once they are standardised.
//
// The labels of a classification are text, all of them names or all of them
// numbers in that notation. Two numbers are one class if they are exactly equal:
// 1 and 1.0 are, 9007199254740992 and 9007199254740993 are not. A column of
// numbers looks like a quantity, and is refused unless Source.Task says
// Classification, if it has more than 20 different values, unless they are the whole
// numbers from 0 or 1 on, at most 100 of them, with 10 rows for each on average.
//
// # Other tables
//
// A .csv file that these rules do not read, a table in another format, and one about
// which Source.Table says something is opened by the rules of package columns: what its
// columns mean is inferred, and a document of package preprocess, which is part of the
// fingerprint, says how they become features. Such a Dataset holds codes, and encodes
// them as they are gathered. Rows without a target are left out.
//
// # Files of images
//
// A folder with a folder of images for each class, and a table with a column of paths, are
// read by package imagefile, which says what the pixels are. Images are in the order of
// the names of their files, in which digits count as a number, and then of the bytes of
// their paths; those of a table have the order of its rows. Folders called train, val and
// test are the splits of a folder of images; without val, some of the images for
// training are for validation, of every class in proportion. What is wrong with the files is
// reported at once, counted by kind.
//
// # Splits
//
// Of data without a validation set of its own, a fraction f of the n rows is kept
// for validation: the first ceil(n f) of the keyed permutation of purpose
// philox.PurposeSplit with seed and epoch 0, at least one, and at most all but
// one. Both splits keep the rows in the order of the file. Text is not shuffled:
// its last n f bytes are for validation, from the start of the character that
// contains the first of them, and byte pairs are learnt from the rest. Source.Table can
// ask for other splits of a table (split_rows.go).
//
// # Data of recorded runs
//
// The rules above have changed twice. At first, any notation of Go's
// strconv.ParseFloat was a number, labels were compared as float64, tiny columns
// and those that vary by rounding were not treated specially, and a character of
// text was a byte. Then, until the sum of deviations was compensated, a column was
// taken for constant where sd <= n*2^-52*|mean|, and n f was rounded to the nearest
// number where it was within a billionth of it, which is any where n f is large.
// Most data reads the same by all of
// them. Library.Reopen opens data by the rules that give a recorded fingerprint.
//
// # What it refuses
//
// The package refuses every file that it does not fully understand: wrong magic
// numbers, truncated or trailing bytes, counts that disagree, cells that are not
// numbers, more than MaxBytes of memory. Such an error is a *DataError that names
// the file, place, value and fix. A *fault.FieldError is about the Source, an
// *OfflineError about the network, a *HashError about content that is not what was
// pinned. The package reads no clock, no environment and no randomness but Philox.
//
// A Dataset and a Permutation are immutable and a Library holds no state in
// memory; all are safe for concurrent use. The only goroutines are the watch over a
// download and those that decode images, which end before what started them returns.
package dataset

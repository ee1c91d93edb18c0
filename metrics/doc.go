// Package metrics says how good predictions are: what a model gives for samples, against
// what is true of them, becomes the figures that people judge models by. It knows nothing
// of models, runs or files.
//
// A tally takes one sample at a time: ClassTally for classes, ValueTally for quantities.
// TextOf takes the losses of tokens. Each comes with the figures of the trivial baseline,
// which looks at nothing but what is true of the training split. A tally is used by one
// goroutine at a time.
//
// # Definitions
//
// They are those of scikit-learn, whose figures the tests compare with, to 1e-9. The
// predicted class is the one with the highest score, the first of equal ones. With two
// classes the second is the positive one, and Averages.Positive has its figure.
//
// Averages over classes are over those that occur in the samples or, for precision, recall
// and F1, are predicted. In an average, the precision of a class that is never predicted and
// the recall of a class that never occurs count as 0. The areas under curves compare each
// class with all others, and are averaged over the classes that have one.
//
// A figure that is not defined is nil, and null in JSON; it is never NaN, and never 0 for
// want of a value. Undefined are: the precision of a class that is never predicted, the
// recall and the average precision of one that does not occur, the ROC AUC of one that
// does not occur or to which all samples belong, Matthews' coefficient where truth or
// predictions are all of one class, R² where the target does not vary, MAPE where a
// target is 0, and whatever is too large for a float64. In some of these cases
// scikit-learn returns 0, 1, or a number near 1e15, and warns.
//
// # Order of sums
//
// Sums are over samples in the order in which they were added, or over classes in
// ascending order, in float64, and carry their rounding errors along (see sum). Counts are
// integers, and so are the wins that make a ROC AUC. Exponentials and logarithms are those
// of internal/detmath. So the figures have the same bits on every machine.
//
// # Memory
//
// Areas under curves, R² and the median need all samples at once. A tally keeps up to
// MaxKept numbers for them; with more, these figures are nil, and Omitted says why.
package metrics

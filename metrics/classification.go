package metrics

import (
	"fmt"
	"math"
	"slices"

	"reprise/internal/detmath"
)

// The limits of what a Classification lists.
const (
	// MaxListed is the most classes whose own figures are listed.
	MaxListed = 500
	// MaxConfused is the most classes with a confusion matrix.
	MaxConfused = 256
)

// Classification has the figures of predicted classes. A nil figure is not defined.
type Classification struct {
	Samples int `json:"samples"`
	// Accuracy is the share of samples whose class is predicted, BalancedAccuracy the
	// mean recall of the classes that occur.
	Accuracy         *float64 `json:"accuracy"`
	BalancedAccuracy *float64 `json:"balanced_accuracy"`
	Precision        Averages `json:"precision"`
	Recall           Averages `json:"recall"`
	F1               Averages `json:"f1"`
	// ROCAUC is the area under the ROC curve, PRAUC the average precision.
	ROCAUC Averages `json:"roc_auc"`
	PRAUC  Averages `json:"pr_auc"`
	// LogLoss is the mean of -ln of the probability of the true class.
	LogLoss *float64 `json:"log_loss"`
	// Matthews is the Matthews correlation coefficient.
	Matthews *float64 `json:"matthews"`
	// TopK has the shares of samples whose class is among the K with the highest scores,
	// the last of equal ones first.
	TopK []TopK `json:"top_k,omitempty"`
	// Classes has the figures of each class, Confusion[i][j] the number of samples of
	// class i for which class j is predicted.
	Classes   []Class `json:"classes,omitempty"`
	Confusion [][]int `json:"confusion,omitempty"`
	// Omitted says what is left out because it would take too much room.
	Omitted []string `json:"omitted,omitempty"`
}

// Averages are the means of a figure of classes: over the classes, and weighted by how
// often they occur. Positive is the figure of the second of two classes.
type Averages struct {
	Positive *float64 `json:"positive,omitempty"`
	Macro    *float64 `json:"macro"`
	Weighted *float64 `json:"weighted"`
}

// TopK is the share of samples whose class is among the K most probable ones.
type TopK struct {
	K        int      `json:"k"`
	Accuracy *float64 `json:"accuracy"`
}

// Class has the figures of one class against all others.
type Class struct {
	// Name is left empty by ClassTally, which knows none.
	Name string `json:"name,omitempty"`
	// Support is how often the class occurs, Predicted how often it is predicted.
	Support   int      `json:"support"`
	Predicted int      `json:"predicted"`
	Precision *float64 `json:"precision"`
	Recall    *float64 `json:"recall"`
	F1        *float64 `json:"f1"`
	ROCAUC    *float64 `json:"roc_auc"`
	PRAUC     *float64 `json:"pr_auc"`
}

// ClassTally counts predictions of classes.
type ClassTally struct {
	samples                     int
	support, predicted, correct []int
	confusion                   []int // classes x classes, nil if there are too many
	loss                        sum
	top                         []TopK
	hits                        []int // of top

	// labels and probabilities of all samples, for the areas under curves.
	labels  []int32
	scores  []float64
	most    int  // scores to keep
	dropped bool // there were more

	probabilities []float64
}

// NewClassTally returns the tally of a number of classes, at least one.
func NewClassTally(classes int) *ClassTally {
	if classes < 1 {
		panic(fmt.Sprintf("metrics: a tally of %d classes", classes))
	}
	t := &ClassTally{
		support: make([]int, classes), predicted: make([]int, classes), correct: make([]int, classes),
		probabilities: make([]float64, classes), most: MaxKept,
	}
	if classes <= MaxConfused {
		t.confusion = make([]int, classes*classes)
	}
	for _, k := range [...]int{2, 3, 5, 10} {
		if k < classes {
			t.top = append(t.top, TopK{K: k})
		}
	}
	t.hits = make([]int, len(t.top))
	return t
}

// AddLogits adds a sample of the class label to which a model gives these logits, one for
// each class. Its probabilities are their softmax in float64, and its loss is computed from
// the logits, so that it is right however small the probability. It fails, and adds
// nothing, unless the label is a class and the logits are finite.
func (t *ClassTally) AddLogits(label int, logits []float32) error {
	if err := t.check(label, len(logits)); err != nil {
		return err
	}
	largest := logits[0]
	for c, z := range logits {
		if z-z != 0 {
			return fmt.Errorf("sample %d: the logit of class %d is %v, which is not finite", t.samples, c, z)
		}
		largest = max(largest, z)
	}
	var total sum
	for c, z := range logits {
		e := detmath.Exp(float64(z) - float64(largest))
		t.probabilities[c] = e
		total.add(e)
	}
	for c := range t.probabilities {
		t.probabilities[c] /= total.value()
	}
	t.loss.add(detmath.Log(total.value()) - (float64(logits[label]) - float64(largest)))
	addScores(t, label, logits)
	return nil
}

// tolerance is how far probabilities may be from adding up to 1, as those that were rounded
// to float32 are.
const tolerance = 1e-3

// AddProbabilities is AddLogits for a model that gives probabilities. As in scikit-learn,
// those below 2^-52 count as 2^-52 in the loss, and those that do not add up to 1 are
// scaled for it. It fails, and adds nothing, unless they are between 0 and 1 and add up to
// 1 within 0.001.
func (t *ClassTally) AddProbabilities(label int, probabilities []float64) error {
	if err := t.check(label, len(probabilities)); err != nil {
		return err
	}
	const least = 0x1p-52
	var total, clipped sum
	for c, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("sample %d: the probability of class %d is %v, which is not between 0 and 1", t.samples, c, p)
		}
		total.add(p)
		clipped.add(min(max(p, least), 1-least))
	}
	if s := total.value(); math.Abs(s-1) > tolerance {
		return fmt.Errorf("sample %d: the probabilities add up to %v instead of 1", t.samples, s)
	}
	copy(t.probabilities, probabilities)
	t.loss.add(-detmath.Log(min(max(probabilities[label], least), 1-least) / clipped.value()))
	addScores(t, label, probabilities)
	return nil
}

func (t *ClassTally) check(label, scores int) error {
	if label < 0 || label >= len(t.support) {
		return fmt.Errorf("sample %d: class %d is not between 0 and %d", t.samples, label, len(t.support)-1)
	}
	if scores != len(t.support) {
		return fmt.Errorf("sample %d: %d scores for %d classes", t.samples, scores, len(t.support))
	}
	return nil
}

// addScores counts a sample, whose probabilities are set.
func addScores[F float32 | float64](t *ClassTally, label int, scores []F) {
	predicted := 0
	before := 0 // classes that come before the true one among the top K
	for c, s := range scores {
		if s > scores[predicted] {
			predicted = c
		}
		if s > scores[label] || s == scores[label] && c > label {
			before++
		}
	}
	t.samples++
	t.support[label]++
	t.predicted[predicted]++
	if predicted == label {
		t.correct[label]++
	}
	if t.confusion != nil {
		t.confusion[label*len(t.support)+predicted]++
	}
	for i, top := range t.top {
		if before < top.K {
			t.hits[i]++
		}
	}
	t.keep(label)
}

// keep keeps what the areas under curves need, unless that is too much.
func (t *ClassTally) keep(label int) {
	if t.dropped || len(t.scores)+len(t.probabilities) > t.most {
		t.labels, t.scores, t.dropped = nil, nil, true
		return
	}
	t.labels = append(t.labels, int32(label))
	t.scores = append(t.scores, t.probabilities...)
}

// Figures returns the figures of the samples so far.
func (t *ClassTally) Figures() Classification {
	f := Classification{Samples: t.samples}
	right := 0
	for _, n := range t.correct {
		right += n
	}
	f.Accuracy = ratio(right, t.samples)
	if t.samples > 0 {
		f.LogLoss = defined(t.loss.value() / float64(t.samples))
	}
	f.Matthews = t.matthews(right)
	for i, top := range t.top {
		f.TopK = append(f.TopK, TopK{K: top.K, Accuracy: ratio(t.hits[i], t.samples)})
	}
	classes := t.classes()
	f.BalancedAccuracy = t.balanced(classes)
	f.average(classes)
	if f.Classes = classes; len(classes) > MaxListed {
		f.Classes = nil
		f.Omitted = append(f.Omitted, fmt.Sprintf("the figures of each class, since there are more than %d classes", MaxListed))
	}
	if t.confusion == nil {
		f.Omitted = append(f.Omitted, tooManyConfused(MaxConfused))
	}
	for from := 0; from < len(t.confusion); from += len(classes) {
		f.Confusion = append(f.Confusion, append([]int(nil), t.confusion[from:from+len(classes)]...))
	}
	if t.dropped {
		f.Omitted = append(f.Omitted, fmt.Sprintf("ROC AUC and PR AUC, since there are more than %d scores", t.most))
	}
	return f
}

func tooManyConfused(most int) string {
	return fmt.Sprintf("the confusion matrix, since there are more than %d classes", most)
}

// classes returns the figures of each class.
func (t *ClassTally) classes() []Class {
	classes := make([]Class, len(t.support))
	for c := range classes {
		hits, support, predicted := t.correct[c], t.support[c], t.predicted[c]
		classes[c] = Class{
			Support: support, Predicted: predicted,
			Precision: ratio(hits, predicted), Recall: ratio(hits, support), F1: ratio(2*hits, support+predicted),
		}
	}
	if t.dropped {
		return classes
	}
	curve := newCurve(t.samples)
	for c := range classes {
		t.fill(curve, c)
		classes[c].ROCAUC, classes[c].PRAUC = curve.areas()
	}
	return classes
}

// average sets the averages over the classes.
func (f *Classification) average(classes []Class) {
	for _, figure := range []struct {
		to  *Averages
		of  func(Class) *float64
		all bool // classes without the figure count as 0
	}{
		{&f.Precision, func(c Class) *float64 { return c.Precision }, true},
		{&f.Recall, func(c Class) *float64 { return c.Recall }, true},
		{&f.F1, func(c Class) *float64 { return c.F1 }, true},
		{&f.ROCAUC, func(c Class) *float64 { return c.ROCAUC }, false},
		{&f.PRAUC, func(c Class) *float64 { return c.PRAUC }, false},
	} {
		var total, weighted sum
		n, weight := 0, 0
		for _, c := range classes {
			v := figure.of(c)
			if v == nil && (!figure.all || c.Support+c.Predicted == 0) {
				continue
			}
			n++
			weight += c.Support
			total.add(orZero(v))
			weighted.add(float64(orZero(v) * float64(c.Support)))
		}
		if n > 0 {
			figure.to.Macro = defined(total.value() / float64(n))
		}
		if weight > 0 {
			figure.to.Weighted = defined(weighted.value() / float64(weight))
		}
		if len(classes) == 2 {
			figure.to.Positive = figure.of(classes[1])
		}
	}
}

// balanced returns the mean recall of the classes that occur.
func (t *ClassTally) balanced(classes []Class) *float64 {
	var total sum
	n := 0
	for _, c := range classes {
		if c.Support > 0 {
			total.add(*c.Recall)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return defined(total.value() / float64(n))
}

// matthews returns the Matthews correlation coefficient of several classes (Gorodkin,
// "Comparing two K-category assignments by a K-category correlation coefficient", 2004).
func (t *ClassTally) matthews(right int) *float64 {
	var both, truth, guesses int64 // sums of products of counts: exact below 3 billion samples
	for c := range t.support {
		n, m := int64(t.support[c]), int64(t.predicted[c])
		both += n * m
		truth += n * n
		guesses += m * m
	}
	samples := int64(t.samples)
	all := samples * samples
	if truth == all || guesses == all { // one class only, or no sample
		return nil
	}
	spread := math.Sqrt(float64(all-truth)) * math.Sqrt(float64(all-guesses))
	return defined(float64(int64(right)*samples-both) / spread)
}

// ClassBaseline has the figures of a model that predicts the same for every sample: the
// most frequent class of the training split, or the shares of its classes as
// probabilities.
type ClassBaseline struct {
	// Class is the most frequent one, the first of equal ones.
	Class    int      `json:"class"`
	Name     string   `json:"name,omitempty"`
	Accuracy *float64 `json:"accuracy"`
	// BalancedAccuracy is one divided by the number of classes that occur, or 0 if Class
	// does not.
	BalancedAccuracy *float64 `json:"balanced_accuracy"`
	// LogLoss is nil if a class occurs that the training split does not have.
	LogLoss *float64 `json:"log_loss"`
	// Trained is how often each class occurs in the training split, of up to MaxListed
	// classes: what the baseline for other data needs.
	Trained []int `json:"trained,omitempty"`
}

// Baseline returns the figures of the baseline for the samples so far. trained is how often
// each class occurs in the training split.
func (t *ClassTally) Baseline(trained []int) ClassBaseline {
	b := ClassBaseline{Class: mostFrequent(trained), LogLoss: constantLoss(trained, t.support)}
	b.Accuracy = ratio(t.support[b.Class], t.samples)
	occurring := 0
	for _, n := range t.support {
		occurring += min(n, 1)
	}
	b.BalancedAccuracy = ratio(min(t.support[b.Class], 1), occurring)
	if len(trained) <= MaxListed {
		b.Trained = slices.Clone(trained)
	}
	return b
}

// mostFrequent returns the index of the largest count, the first of equal ones.
func mostFrequent(counts []int) int {
	best := 0
	for c, n := range counts {
		if n > counts[best] {
			best = c
		}
	}
	return best
}

// constantLoss returns the mean log loss of what occurs as often as support says, where the
// probabilities are always the shares in trained. It is nil where one of them is 0.
func constantLoss(trained, support []int) *float64 {
	total, samples := 0, 0
	for c, n := range trained {
		total += n
		samples += support[c]
	}
	var loss sum
	for c, n := range support {
		if n == 0 {
			continue
		}
		if trained[c] == 0 {
			return nil
		}
		loss.add(float64(float64(n) * detmath.Log(float64(total)/float64(trained[c]))))
	}
	if samples == 0 {
		return nil
	}
	return defined(loss.value() / float64(samples))
}

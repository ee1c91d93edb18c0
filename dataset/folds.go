package dataset

import (
	"fmt"
	"slices"

	"reprise/fault"
	"reprise/internal/figures"
	"reprise/internal/philox"
)

// MaxFolds is the largest number of folds.
const MaxFolds = 1000

// Each function here says which split each of n rows belongs to in one fold of several,
// counted from 1: the rows of the fold are for validation. The folds have no row in common,
// and together all rows that are not for the test, which has the same rows in every fold.
// Like those of split_rows.go, the functions are pure, and draw by the keyed permutation
// of a seed.

// foldAtRandom gives the first rows of the permutation to the test, and deals the others to
// the folds in turn.
func foldAtRandom(n, test int, o SplitOptions) []Split {
	order := newPermutation(philox.PurposeSplit, o.Seed, 0, n)
	of := make([]Split, n)
	for i := range n {
		of[order.At(i)] = splitOfFold(i, test, o)
	}
	return of
}

// splitOfFold returns the split of what is dealt as number i, where the first ones are for
// the test.
func splitOfFold(i, test int, o SplitOptions) Split {
	switch {
	case i < test:
		return Test
	case (i-test)%o.Folds == o.Fold-1:
		return Validation
	}
	return Train
}

// foldStratified deals the rows of one class after those of the other, in the order of
// the permutation, so that neither folds nor the parts of a class in them differ by more
// than one row. The test takes of each class in proportion, and leaves two rows of it.
func foldStratified(labels []int32, classes, test int, o SplitOptions) []Split {
	rows, sizes, free := rowsByClass(labels, classes, o.Seed, 2)
	of := make([]Split, len(labels))
	dealt := 0
	for c, take := range shareOut(sizes, free, test) {
		for i, row := range rows[c] {
			if i < take {
				of[row] = Test
				continue
			}
			of[row] = splitOfFold(dealt, 0, o)
			dealt++
		}
	}
	return of
}

// foldByGroup is foldAtRandom of the groups.
func foldByGroup(groupOf []int32, groups, test int, o SplitOptions) []Split {
	return ofGroups(groupOf, foldAtRandom(groups, test, o))
}

// foldOf returns the split of each of n rows in a fold, and what there is to say of it. The
// rows are stratified by their classes, if there are any, unless another method was asked
// for.
func foldOf(n int, labels []int32, classes []string, o SplitOptions) (of []Split, notes []string, err error) {
	test := testRows(n, o.Folds-1, o.TestFraction)
	if err := o.foldable(n, test, "row", ""); err != nil {
		return nil, nil, err
	}
	if len(classes) == 0 || o.Method == SplitRandom {
		of = foldAtRandom(n, test, o)
	} else {
		of = foldStratified(labels, len(classes), test, o)
		notes, err = checkFoldClasses(classes, labels, of, o)
	}
	if err == nil && o.TestFraction > 0 && !slices.Contains(of, Test) {
		err = &fault.FieldError{Field: FieldSplit + ".test_fraction", Value: fmt.Sprint(o.TestFraction),
			Problem: fmt.Sprintf("leaves no row for the test beside %d folds of %s", o.Folds, figures.Plural(n, "row")), Fix: "use fewer folds, or more rows"}
	}
	return of, notes, err
}

// foldable fails where there are too few of something, such as rows, for each fold to have
// one beside those for the test.
func (o SplitOptions) foldable(n, test int, what, of string) error {
	if n-test >= o.Folds {
		return nil
	}
	few := figures.Plural(n, what) + of
	if test > 0 {
		few += fmt.Sprintf(", of which the test has %d", test)
	}
	fix := fmt.Sprintf("use at most %d folds", n-test)
	if n-test < 2 {
		fix = "leave it out"
	}
	return &fault.FieldError{Field: FieldFolds, Value: fmt.Sprint(o.Folds), Problem: "is too many for " + few, Fix: fix}
}

// checkFoldClasses fails for a class with a single row for training and validation: the
// fold that has it would be judged by a class that it has not learned. It returns what there
// is to say of classes that some folds have no row of.
func checkFoldClasses(names []string, labels []int32, of []Split, o SplitOptions) (notes []string, err error) {
	counts := make([]int, len(names))
	for row, s := range of {
		if s != Test {
			counts[labels[row]]++
		}
	}
	var errs []error
	for c, n := range counts {
		switch {
		case n == 1:
			errs = append(errs, &fault.FieldError{Field: FieldFolds, Value: fmt.Sprint(o.Folds),
				Problem: fmt.Sprintf("needs two rows or more of every class, and class %s has one: the fold that is judged by it would not have learned it", quote(names[c])),
				Fix:     "add rows, leave out those of the class, or use method: random"})
		case n > 0 && n < o.Folds:
			notes = append(notes, fmt.Sprintf("class %s has %d rows, fewer than the %d folds: some of them have none of it for validation", quote(names[c]), n, o.Folds))
		}
	}
	return notes, joinAll(cutErrors(errs, "class"))
}

// checkFolds returns every mistake in what the options say of folds.
func (o SplitOptions) checkFolds(validationFraction float64) []error {
	var errs []error
	fail := func(field string, value int, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	switch {
	case o.Folds == 0 && o.Fold != 0:
		fail(FieldFold, o.Fold, "has no meaning without folds", "add folds: 5, or leave it out")
		return errs
	case o.Folds == 0:
		return nil
	case o.Folds < 2 || o.Folds > MaxFolds:
		fail(FieldFolds, o.Folds, fmt.Sprintf("is not from 2 to %d", MaxFolds), "use a number such as 5")
	case o.Fold < 1 || o.Fold > o.Folds:
		fail(FieldFold, o.Fold, fmt.Sprintf("is none of the %d folds", o.Folds), fmt.Sprintf("use 1 to %d, or leave it out for a run of each", o.Folds))
	}
	switch o.Method {
	case SplitTime:
		fail(FieldFolds, o.Folds, "does not fit method: time: a fold would learn from rows that are later than those it is judged by",
			"leave out folds, or use random, stratified or group")
	case SplitFiles:
		fail(FieldFolds, o.Folds, "does not fit method: files, which names the rows for validation", "leave one of them out")
	case "", SplitRandom, SplitStratified, SplitGroup:
	}
	if validationFraction != 0 {
		errs = append(errs, &fault.FieldError{Field: FieldValidationFraction, Value: fmt.Sprint(validationFraction),
			Problem: "does not fit folds: each fold holds out a share of its own", Fix: "leave one of them out"})
	}
	return errs
}

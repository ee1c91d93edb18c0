package dataset

import (
	"cmp"
	"slices"

	"reprise/internal/philox"
)

// Each function here says which split each of n rows belongs to. It is pure: the same
// arguments give the same rows on any machine.

// splitAtRandom gives the first rows of the keyed permutation of a seed to validation, the
// next ones to the test, and the others to training.
func splitAtRandom(n, validation, test int, seed uint64) []Split {
	order := newPermutation(philox.PurposeSplit, seed, 0, n)
	of := make([]Split, n)
	for i := range validation {
		of[order.At(i)] = Validation
	}
	for i := validation; i < validation+test; i++ {
		of[order.At(i)] = Test
	}
	return of
}

// splitStratified is splitAtRandom for each class by itself: of the rows of a class, in the
// order of the permutation of all rows, the first go to validation and the next ones to
// the test. Both splits are as large as those of splitAtRandom where the classes have
// enough rows: one row of each class stays for training. A split's rows are shared
// out by largest remainder, so that a class has its proportion to within one row.
func splitStratified(labels []int32, classes, validation, test int, seed uint64) []Split {
	rows, sizes, free := rowsByClass(labels, classes, seed, 1)
	of := make([]Split, len(labels))
	for _, split := range []struct {
		split Split
		rows  int
	}{{Validation, validation}, {Test, test}} {
		for c, take := range shareOut(sizes, free, split.rows) {
			for range take {
				of[rows[c][0]] = split.split
				rows[c] = rows[c][1:]
			}
			free[c] -= take
		}
	}
	return of
}

// rowsByClass returns the rows of each class in the order of the permutation of all rows, how
// many they are, and how many may be held out if so many stay.
func rowsByClass(labels []int32, classes int, seed uint64, stay int) (rows [][]uint32, sizes, free []int) {
	sizes, free = make([]int, classes), make([]int, classes)
	for _, c := range labels {
		sizes[c]++
	}
	rows = make([][]uint32, classes)
	for c, size := range sizes {
		rows[c], free[c] = make([]uint32, 0, size), max(size-stay, 0)
	}
	order := newPermutation(philox.PurposeSplit, seed, 0, len(labels))
	for i := range labels {
		row := order.At(i)
		rows[labels[row]] = append(rows[labels[row]], uint32(row))
	}
	return rows, sizes, free
}

// shareOut divides so many rows among the classes in proportion to their sizes, and takes
// no more of any class than are free.
func shareOut(sizes, free []int, total int) []int {
	taken := make([]int, len(sizes))
	rest := make([]int64, len(sizes))
	byRest := make([]int, len(sizes))
	n, sum := int64(0), 0
	for _, size := range sizes {
		n += int64(size)
	}
	for c, size := range sizes {
		product := int64(size) * int64(total)
		taken[c] = min(int(product/n), free[c])
		rest[c] = product % n
		byRest[c] = c
		sum += taken[c]
	}
	slices.SortStableFunc(byRest, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for sum < total {
		before := sum
		for _, c := range byRest {
			if sum < total && taken[c] < free[c] {
				taken[c]++
				sum++
			}
		}
		if sum == before {
			break
		}
	}
	return taken
}

// splitByGroup keeps the rows of a group together: it is splitAtRandom of the groups.
func splitByGroup(groupOf []int32, groups, validation, test int, seed uint64) []Split {
	return ofGroups(groupOf, splitAtRandom(groups, validation, test, seed))
}

// ofGroups gives each row the split of its group.
func ofGroups(groupOf []int32, splitOf []Split) []Split {
	of := make([]Split, len(groupOf))
	for row, g := range groupOf {
		of[row] = splitOf[g]
	}
	return of
}

// splitByTime gives the last rows to the test, those before them to validation, and the
// first ones to training. Rows of the same time stay together, in the earlier split.
func splitByTime(times []float64, validation, test int) []Split {
	n := len(times)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(times[a], times[b]), cmp.Compare(a, b)) })
	later := func(from int) int {
		for from > 0 && from < n && times[order[from]] == times[order[from-1]] {
			from++
		}
		return from
	}
	firstTest := n - test
	firstValidation := later(firstTest - validation)
	if test > 0 {
		firstTest = later(firstTest)
	}
	of := make([]Split, n)
	for i := firstValidation; i < n; i++ {
		of[order[i]] = Validation
	}
	for i := firstTest; i < n; i++ {
		of[order[i]] = Test
	}
	return of
}

// testRows returns how many of n rows a fraction keeps for the test beside those for
// validation: rounded up, and so many that at least one row stays for training. It is 0
// for a fraction of 0.
func testRows(n, validation int, fraction float64) int {
	if fraction == 0 {
		return 0
	}
	return max(min(currentReading.validationRows(n, fraction), n-validation-1), 0)
}

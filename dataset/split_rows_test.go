package dataset

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// countSplits returns how many rows each split has.
func countSplits(t interface{ Fatalf(string, ...any) }, of []Split) (counts [splits]int) {
	for row, s := range of {
		if s < Train || s > Test {
			t.Fatalf("row %d is in split %d", row, s)
		}
		counts[s]++
	}
	return counts
}

// drawSizes draws a number of rows and of those for validation and for the test.
func drawSizes(t *rapid.T) (n, validation, test int) {
	n = rapid.IntRange(2, 300).Draw(t, "rows")
	validation = currentReading.validationRows(n, rapid.Float64Range(0.01, 0.9).Draw(t, "validation"))
	return n, validation, testRows(n, validation, rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "test"))
}

func TestARandomSplitHasTheSizesAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, validation, test := drawSizes(t)
		seed := rapid.Uint64().Draw(t, "seed")
		of := splitAtRandom(n, validation, test, seed)
		if got, want := countSplits(t, of), [splits]int{n - validation - test, validation, test}; got != want {
			t.Fatalf("%v, want %v", got, want)
		}
		if !slices.Equal(of, splitAtRandom(n, validation, test, seed)) {
			t.Fatal("another split the second time")
		}
		without := splitAtRandom(n, validation, 0, seed)
		for row := range of {
			if (of[row] == Validation) != (without[row] == Validation) {
				t.Fatalf("row %d changes sides because there is a test", row)
			}
		}
	})
}

func TestTheSeedChangesTheSplit(t *testing.T) {
	if slices.Equal(splitAtRandom(100, 20, 0, 1), splitAtRandom(100, 20, 0, 2)) {
		t.Error("seeds 1 and 2 give one split")
	}
}

func TestAStratifiedSplitKeepsProportions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, validation, test := drawSizes(t)
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		labels := make([]int32, n)
		size := make([]int, classes)
		for i := range labels {
			labels[i] = int32(rapid.IntRange(0, classes-1).Draw(t, "label"))
			size[labels[i]]++
		}
		of := splitStratified(labels, classes, validation, test, rapid.Uint64().Draw(t, "seed"))
		total := countSplits(t, of)
		var counts [splits][]int
		for s := range counts {
			counts[s] = make([]int, classes)
		}
		for row, s := range of {
			counts[s][labels[row]]++
		}
		present, free := 0, 0
		for c := range classes {
			if size[c] == 0 {
				continue
			}
			present++
			free += size[c] - 1
			if counts[Train][c] == 0 {
				t.Fatalf("class %d of %d rows has none for training", c, size[c])
			}
		}
		if want := min(validation, free); total[Validation] != want {
			t.Fatalf("%d rows for validation, want %d", total[Validation], want)
		}
		if want := min(test, free-total[Validation]); total[Test] != want {
			t.Fatalf("%d rows for the test, want %d", total[Test], want)
		}
		if n-validation-test < present { // some class cannot have its proportion
			return
		}
		for c := range classes {
			share := float64(size[c]) * float64(validation) / float64(n)
			if got := float64(counts[Validation][c]); size[c] > 1 && (got < share-1 || got > share+1) && !squeezed(size, validation, n) {
				t.Fatalf("class %d of %d of %d rows has %v of %d for validation", c, size[c], n, got, validation)
			}
		}
	})
}

// squeezed reports whether some class is too small for its share.
func squeezed(size []int, rows, n int) bool {
	for _, s := range size {
		if s > 0 && float64(s)*float64(rows)/float64(n) > float64(s-1) {
			return true
		}
	}
	return false
}

func TestAGroupIsNeverDivided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups, validation, test := drawSizes(t)
		groupOf := make([]int32, 0, 2*groups)
		for g := range groups {
			for range rapid.IntRange(1, 3).Draw(t, "rows") {
				groupOf = append(groupOf, int32(g))
			}
		}
		of := splitByGroup(groupOf, groups, validation, test, rapid.Uint64().Draw(t, "seed"))
		splitOf := map[int32]Split{}
		for row, g := range groupOf {
			if s, ok := splitOf[g]; ok && s != of[row] {
				t.Fatalf("group %d is in %v and %v", g, s, of[row])
			}
			splitOf[g] = of[row]
		}
		var counts [splits]int
		for _, s := range splitOf {
			counts[s]++
		}
		if want := [splits]int{groups - validation - test, validation, test}; counts != want {
			t.Fatalf("%v groups, want %v", counts, want)
		}
	})
}

func TestASplitByTimeLooksBackOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, validation, test := drawSizes(t)
		times := make([]float64, n)
		for i := range times {
			times[i] = float64(rapid.IntRange(0, 3*n).Draw(t, "time"))
		}
		of := splitByTime(times, validation, test)
		rank := map[Split]int{Train: 0, Validation: 1, Test: 2}
		for i := range times {
			for j := range times {
				if times[i] <= times[j] && rank[of[i]] > rank[of[j]] {
					t.Fatalf("row %d at %v is in %v, row %d at %v in %v", i, times[i], of[i], j, times[j], of[j])
				}
			}
		}
		counts := countSplits(t, of)
		if counts[Test] > test || counts[Validation]+counts[Test] > validation+test || counts[Train] < n-validation-test {
			t.Fatalf("%v, at most %d and %d asked for", counts, validation, test)
		}
		distinct := slices.Clone(times)
		slices.Sort(distinct)
		if len(slices.Compact(distinct)) == n && counts != [splits]int{n - validation - test, validation, test} {
			t.Fatalf("%v though all times differ, want %d and %d", counts, validation, test)
		}
	})
}

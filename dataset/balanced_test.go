package dataset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lopsided opens a table with 6, 1 and 23 rows of three classes, all for training but
// those that validation takes.
func lopsided(t *testing.T) *Dataset {
	t.Helper()
	var table strings.Builder
	table.WriteString("x,class\n")
	for i := range 30 {
		fmt.Fprintf(&table, "%d,%s\n", i, []string{"b", "b", "c", "c", "c", "c", "c", "c", "c", "c"}[i%10])
	}
	table.WriteString("99,a\n98,a\n97,a\n")
	return mustOpen(t, Source{Path: writeFile(t, t.TempDir(), "t.csv", table.String()), Target: "class"})
}

func TestABalancedOrderVisitsClassesAndTheirSamplesEquallyOften(t *testing.T) {
	d := lopsided(t)
	n, counts := d.Len(Train), d.ClassCounts(Train)
	if counts[0] == 0 || counts[2] < 3*counts[0] {
		t.Fatalf("the classes have %v samples", counts)
	}
	b := d.NewBalanced(Train, 5)
	const epochs = 12
	visits := make([]int, n)
	for epoch := range uint64(epochs) {
		of := make([]int, len(counts))
		order := b.Epoch(epoch)
		for i := range n {
			at := order.At(i)
			visits[at]++
			of[d.Label(Train, at)]++
		}
		if slices.Max(of)-slices.Min(of) > 1 {
			t.Errorf("epoch %d visits the classes %v times", epoch, of)
		}
	}
	least, most := make([]int, len(counts)), make([]int, len(counts))
	for i, v := range visits {
		c := d.Label(Train, i)
		if least[c] == 0 || v < least[c] {
			least[c] = v
		}
		most[c] = max(most[c], v)
	}
	for c := range counts {
		if most[c]-least[c] > 1 || least[c] == 0 {
			t.Errorf("samples of class %d are visited between %d and %d times in %d epochs", c, least[c], most[c], epochs)
		}
	}
}

// The order is part of the numerics contract.
func TestTheBalancedOrderIsPinned(t *testing.T) {
	d := lopsided(t)
	order := d.NewBalanced(Train, 7).Epoch(3)
	var got []int
	for i := range 12 {
		got = append(got, order.At(i))
	}
	if want := []int{17, 2, 18, 1, 23, 1, 25, 5, 7, 4, 23, 7}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	other := d.NewBalanced(Train, 8).Epoch(3)
	if slices.EqualFunc(got, first(len(got)), func(at, i int) bool { return other.At(i) == at }) {
		t.Error("another seed gives the same order")
	}
}

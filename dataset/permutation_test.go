package dataset

import (
	"math"
	"testing"

	"reprise/internal/philox"
)

func TestPermutationIsABijectionForEverySize(t *testing.T) {
	sizes := []int{4095, 4096, 4097, 60000, 65536, 65537, 100003}
	for n := range 3001 {
		if n < 300 || !raceEnabled { // which is ten times slower
			sizes = append(sizes, n)
		}
	}
	for _, n := range sizes {
		p := NewPermutation(11, uint64(n), n)
		seen := make([]bool, n)
		for i := range n {
			at := p.At(i)
			if at < 0 || at >= n {
				t.Fatalf("n %d: index %d goes to %d", n, i, at)
			}
			if seen[at] {
				t.Fatalf("n %d: two indices go to %d", n, at)
			}
			seen[at] = true
		}
	}
}

func TestPermutationOfAHugeRangeStaysInsideAndApart(t *testing.T) {
	for _, n := range []int{math.MaxInt, math.MaxInt/2 + 2, math.MaxInt32, 1<<31 + 1} {
		p := NewPermutation(5, 1, n)
		seen := map[int]bool{}
		for i := range 2000 {
			for _, index := range []int{i, n - 1 - i} {
				at := p.At(index)
				if at < 0 || at >= n || seen[at] {
					t.Fatalf("n %d: index %d goes to %d, seen %t", n, index, at, seen[at])
				}
				seen[at] = true
			}
		}
	}
}

// chiSquared returns the statistic for counts that should all be equal.
func chiSquared(counts []int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	want, sum := float64(total)/float64(len(counts)), 0.0
	for _, c := range counts {
		d := float64(c) - want
		sum += float64(d*d) / want
	}
	return sum
}

func TestEveryPermutationOfFourIsEquallyLikely(t *testing.T) {
	const seeds = 24 * 500
	counts := map[[4]int]int{}
	for seed := range uint64(seeds) {
		p := NewPermutation(seed, 0, 4)
		counts[[4]int{p.At(0), p.At(1), p.At(2), p.At(3)}]++
	}
	var all []int
	for _, c := range counts {
		all = append(all, c)
	}
	// 23 degrees of freedom: 49.7 is exceeded once in 1000.
	if chi := chiSquared(all); len(all) != 24 || chi > 49.7 {
		t.Errorf("%d permutations, chi-squared %.1f: %v", len(all), chi, counts)
	}
}

func TestEveryPairOfPlacesIsEquallyLikely(t *testing.T) {
	// For each n the first two indices go to every ordered pair of places equally
	// often over epochs. The critical values are exceeded once in 1000.
	for _, c := range []struct {
		n        int
		critical float64
	}{{3, 20.5}, {5, 43.8}, {8, 93.2}, {11, 159.4}, {17, 350}} {
		cells := make([]int, c.n*c.n)
		for epoch := range uint64(200 * c.n * (c.n - 1)) {
			p := NewPermutation(3, epoch, c.n)
			cells[p.At(0)*c.n+p.At(1)]++
		}
		var counts []int
		for i, count := range cells {
			if i/c.n == i%c.n {
				if count != 0 {
					t.Fatalf("n %d: both indices go to %d", c.n, i/c.n)
				}
				continue
			}
			counts = append(counts, count)
		}
		if chi := chiSquared(counts); chi > c.critical {
			t.Errorf("n %d: chi-squared %.1f exceeds %.1f", c.n, chi, c.critical)
		}
	}
}

func TestPermutationShufflesALargeRange(t *testing.T) {
	// Where the first 6,400 of 60,000 go, in 64 cells: 63 degrees of freedom,
	// 103.4 is exceeded once in 1000. And hardly anything stays or keeps its
	// neighbour: about one of each is to be expected.
	const n = 60000
	p := NewPermutation(7, 0, n)
	cells := make([]int, 64)
	fixed, neighbours := 0, 0
	for i := range n {
		at := p.At(i)
		if i < 6400 {
			cells[at*64/n]++
		}
		if at == i {
			fixed++
		}
		if i > 0 && at == p.At(i-1)+1 {
			neighbours++
		}
	}
	if chi := chiSquared(cells); chi > 103.4 {
		t.Errorf("chi-squared %.1f: %v", chi, cells)
	}
	if fixed > 7 || neighbours > 7 {
		t.Errorf("%d stay, %d keep their neighbour", fixed, neighbours)
	}
}

func TestSeedEpochAndPurposeChangeThePermutation(t *testing.T) {
	const n = 1000
	base := NewPermutation(1, 0, n)
	for name, other := range map[string]Permutation{
		"seed":       NewPermutation(2, 0, n),
		"high seed":  NewPermutation(1|1<<32, 0, n),
		"epoch":      NewPermutation(1, 1, n),
		"high epoch": NewPermutation(1, 1<<40, n),
		"purpose":    newPermutation(philox.PurposeSplit, 1, 0, n),
	} {
		same := 0
		for i := range n {
			if base.At(i) == other.At(i) {
				same++
			}
		}
		if same > 8 { // one on average
			t.Errorf("%s: %d of %d indices go to the same place", name, same, n)
		}
	}
}

func TestPermutationIsPinned(t *testing.T) {
	// Golden: the order of the samples of every recorded run depends on it.
	for _, c := range []struct {
		seed, epoch uint64
		n           int
		want        [8]int
	}{
		{0, 0, 8, [8]int{3, 6, 2, 0, 5, 7, 4, 1}},
		{7, 0, 1437, [8]int{951, 824, 485, 808, 1139, 1418, 1428, 720}},
		{7, 1, 1437, [8]int{934, 675, 486, 246, 528, 854, 501, 888}},
		{1<<63 + 5, 3, 60000, [8]int{38771, 33067, 51074, 9448, 18857, 34951, 1329, 24337}},
		{42, 9, 1 << 40, [8]int{116884685084, 347360528503, 988781773489, 589757993200, 1001980187001, 610299996050, 616196863493, 1098766452080}},
	} {
		p := NewPermutation(c.seed, c.epoch, c.n)
		var got [8]int
		for i := range got {
			got[i] = p.At(i)
		}
		if got != c.want {
			t.Errorf("seed %d, epoch %d, n %d: %#v, want %v", c.seed, c.epoch, c.n, got, c.want)
		}
	}
}

func TestPermutationRefusesWhatIsOutOfRange(t *testing.T) {
	for name, f := range map[string]func(){
		"negative size":    func() { NewPermutation(1, 1, -1) },
		"negative index":   func() { NewPermutation(1, 1, 5).At(-1) },
		"index n":          func() { NewPermutation(1, 1, 5).At(5) },
		"index of nothing": func() { NewPermutation(1, 1, 0).At(0) },
		"zero value":       func() { Permutation{}.At(0) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestPermutationAllocatesNothing(t *testing.T) {
	sum := 0
	if n := testing.AllocsPerRun(100, func() { sum += NewPermutation(1, 2, 1000).At(7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPermutation(b *testing.B) {
	p := NewPermutation(1, 2, 60000)
	for i := range b.N {
		p.At(i % 60000)
	}
}

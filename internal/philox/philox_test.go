package philox

import "testing"

// The known answers that the authors publish with their library Random123.
func TestPhiloxGivesTheKnownAnswers(t *testing.T) {
	cases := []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	}
	for _, c := range cases {
		if got := philox4x32(c.counter[0], c.counter[1], c.counter[2], c.counter[3], c.key[0], c.key[1]); got != c.want {
			t.Errorf("philox(%#x, %#x) = %#x, want %#x", c.counter, c.key, got, c.want)
		}
	}
}

func TestBlockKeepsSeedPurposeStepAndIndexApart(t *testing.T) {
	seen := map[[4]uint32]string{}
	add := func(what string, b [4]uint32) {
		if other, ok := seen[b]; ok {
			t.Errorf("%s gives the block of %s", what, other)
		}
		seen[b] = what
	}
	add("base", Block(1, PurposeInit, 0, 0))
	add("high seed", Block(1|1<<32, PurposeInit, 0, 0))
	add("purpose", Block(1, PurposeShuffle, 0, 0))
	add("step", Block(1, PurposeInit, 1, 0))
	add("step bit 32", Block(1, PurposeInit, 1<<32, 0))
	add("step bit 55", Block(1, PurposeInit, 1<<55, 0))
	add("index", Block(1, PurposeInit, 0, 1))
	add("index bit 32", Block(1, PurposeInit, 0, 1<<32))
}

func TestUniform32IsEvenOverTheUnitInterval(t *testing.T) {
	const n, cells = 1 << 16, 16
	var count [cells]int
	for i := range uint64(n) {
		u := Uniform32(42, PurposeInit, 3, i)
		if u < 0 || u >= 1 {
			t.Fatalf("number %d is %v", i, u)
		}
		count[int(u*cells)]++
	}
	// Chi-squared with 15 degrees of freedom: 37.7 is exceeded once in 1000.
	chi := 0.0
	for _, c := range count {
		d := float64(c) - n/cells
		chi += float64(d*d) / (n / cells)
	}
	if chi > 37.7 {
		t.Errorf("chi-squared %v over %v", chi, count)
	}
}

func TestUniform32IsPinned(t *testing.T) {
	// Golden: the initial weights of every run ever made depend on it.
	if got := philox4x32(0, 0, 0, 1<<24, 7, 0)[2]; float32(got>>8)*0x1p-24 != Uniform32(7, PurposeInit, 0, 2) {
		t.Error("Uniform32 is not word 2 of block 0")
	}
}

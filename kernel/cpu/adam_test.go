package cpu

import (
	"testing"

	"pgregory.net/rapid"
)

// However steps are visited, the power is that of n multiplications from 1.
func TestPowerIsAPureFunctionOfTheStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := float64(float32(rapid.Float64Range(0, 0.99999).Draw(t, "base")))
		p := power{base: base, value: 1}
		for range 6 {
			n := rapid.Uint64Range(0, 3000).Draw(t, "step")
			want := 1.0
			for range n {
				want = float64(want * base)
			}
			if got := p.at(n); got != want {
				t.Fatalf("%g^%d = %g, want %g", base, n, got, want)
			}
		}
	})
}

// The bias corrections of a late step must not take time in proportion to it.
func TestPowerOfALateStepEndsEarly(t *testing.T) {
	p := power{base: float64(float32(0.999)), value: 1}
	if got := p.at(1 << 62); got > 1e-300 {
		t.Errorf("0.999^(2^62) = %g, want about 0", got)
	}
	if got := p.at(1<<62 + 1); got > 1e-300 {
		t.Errorf("0.999^(2^62+1) = %g, want about 0", got)
	}
	if got := p.at(0); got != 1 {
		t.Errorf("0.999^0 = %g, want 1", got)
	}
}

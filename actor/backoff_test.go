package actor

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDelaysGrowWithinTheirLimitsAndFollowTheSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Initial: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "initial")),
			Factor:  rapid.SampledFrom([]float64{0, 1, 1.5, 2, 1e300}).Draw(t, "factor"),
			Seed:    rapid.Uint64().Draw(t, "seed"),
		}
		if rapid.Bool().Draw(t, "with a limit") {
			b.Max = b.Initial + time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "more"))
		}
		if err := b.Validate(); err != nil {
			t.Fatal(err)
		}
		jittered := b
		jittered.Jitter = rapid.Float64Range(0, 1).Draw(t, "jitter")
		child := rapid.Uint64().Draw(t, "child")
		last := time.Duration(0)
		for n := uint32(1); n < 100; n++ {
			d := b.delay(n, child)
			if d < last || d > b.max() || n == 1 && d != b.Initial {
				t.Fatalf("delay %d is %v after %v", n, d, last)
			}
			last = d
			j := jittered.delay(n, child)
			if shortest := time.Duration(float64(d) * (1 - jittered.Jitter)); j > d || j < shortest-1 {
				t.Fatalf("delay %d is %v with jitter, not in [%v, %v]", n, j, shortest, d)
			}
			if j != jittered.delay(n, child) {
				t.Fatal("the same seed gives another delay")
			}
		}
		if got := b.delay(1<<31, child); got < last {
			t.Fatalf("after very many: %v", got)
		}
	})
}

func TestJitterTellsChildrenAndSeedsApart(t *testing.T) {
	b := Backoff{Initial: time.Hour, Jitter: 1, Seed: 1}
	other := b
	other.Seed = 2
	if b.delay(1, 1) == b.delay(1, 2) || b.delay(1, 1) == other.delay(1, 1) || b.delay(1, 1) == b.delay(2, 1)/2 {
		t.Error("equal delays")
	}
}

package tensor_test

import (
	"math"
	"testing"

	"reprise/tensor"
)

func TestBytesPrintInTheLargestUnitRoundedDown(t *testing.T) {
	for want, b := range map[string]tensor.Bytes{
		"0 B": 0, "1023 B": 1023, "1 KiB": 1024, "1.5 KiB": 1536, "1023.9 KiB": tensor.MiB - 1,
		"24 GiB": 24 * tensor.GiB, "1.9 GiB": 2*tensor.GiB - 1, "8388607.9 TiB": math.MaxInt64,
		"-1.5 MiB": -3 * tensor.MiB / 2, "-8388607.9 TiB": math.MinInt64,
	} {
		if got := b.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(b), got, want)
		}
	}
}

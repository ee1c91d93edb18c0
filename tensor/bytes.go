package tensor

import (
	"fmt"
	"math"
	"strconv"
)

// Bytes is an amount of memory.
type Bytes int64

// The binary units.
const (
	KiB Bytes = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// String formats the amount in the largest unit that it reaches, with at most
// one decimal: "512 B", "1.5 GiB". It rounds down, so that a figure never
// promises more than there is.
func (b Bytes) String() string {
	if b < 0 {
		return "-" + (-max(b, math.MinInt64+1)).String()
	}
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b < u.size {
			continue
		}
		whole, tenth := b/u.size, b%u.size*10/u.size
		if tenth == 0 {
			return fmt.Sprintf("%d %s", whole, u.name)
		}
		return fmt.Sprintf("%d.%d %s", whole, tenth, u.name)
	}
	return strconv.FormatInt(int64(b), 10) + " B"
}

package cpu

import (
	"fmt"
	"math/rand"
	"testing"
)

// Rows of few classes, as short ones and one by one.
func BenchmarkSoftmaxRows(b *testing.B) {
	const rows = 128
	for _, e := range append(elementVariants(b), portableElements()) {
		for _, classes := range []int{2, 10, 16} {
			s := &softmax{
				elements: &e, n: classes, scale: 1. / rows, logits: normal(rand.New(rand.NewSource(1)), rows*classes, 1),
				labels: make([]int32, rows), loss: make([]float32, rows), correct: make([]float32, rows),
				dlogits: make([]float32, rows*classes), sums: make([]float32, rows),
			}
			for name, run := range map[string]func(lo, hi int){"together": s.shortRows, "one by one": s.rows} {
				b.Run(fmt.Sprintf("%s/%d classes/%s", e.name, classes, name), func(b *testing.B) {
					for b.Loop() {
						run(0, rows)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
				})
			}
		}
	}
}

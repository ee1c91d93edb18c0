package kernel

import (
	"math"
	"testing"
)

func TestBatchMatMulRefusesContradictions(t *testing.T) {
	// Two heads of width 3 side by side in rows of 9: C_i[4,5] = A_i B_iᵀ.
	good := BatchMatMul{Batch: 2, M: 4, N: 5, K: 3, TransB: true,
		A: Matrices{at(1, 33), 9, 3}, B: Matrices{at(2, 42), 9, 3}, C: Matrices{at(3, 40), 5, 20}}
	for name, c := range map[string]struct {
		change func(*BatchMatMul)
		field  string
	}{
		"valid":                     {func(*BatchMatMul) {}, ""},
		"no batch":                  {func(m *BatchMatMul) { m.Batch = 0 }, "Batch"},
		"no rows":                   {func(m *BatchMatMul) { m.M = 0 }, "M"},
		"A narrower than K":         {func(m *BatchMatMul) { m.A.LD = 2 }, "A.LD"},
		"A transposed is wider":     {func(m *BatchMatMul) { m.TransA = true; m.A.LD = 3 }, "A.LD"},
		"B narrower than K":         {func(m *BatchMatMul) { m.B.LD = 2 }, "B.LD"},
		"C narrower than N":         {func(m *BatchMatMul) { m.C.LD = 4 }, "C.LD"},
		"a negative stride":         {func(m *BatchMatMul) { m.B.Stride = -1 }, "B.Stride"},
		"one B for all":             {func(m *BatchMatMul) { m.B.Stride = 0; m.B.Len = 39 }, ""},
		"A short":                   {func(m *BatchMatMul) { m.A.Len-- }, "A"},
		"A long":                    {func(m *BatchMatMul) { m.A.Len++ }, "A"},
		"B absent":                  {func(m *BatchMatMul) { m.B.Span = Span{} }, "B"},
		"C over A":                  {func(m *BatchMatMul) { m.C.Offset = m.A.Offset + 32 }, "C"},
		"one C for all":             {func(m *BatchMatMul) { m.C.Stride = 0; m.C.Len = 20 }, "C.Stride"},
		"C overlaps itself":         {func(m *BatchMatMul) { m.C.Stride = 19; m.C.Len = 39 }, "C.Stride"},
		"C side by side":            {func(m *BatchMatMul) { m.C = Matrices{at(3, 40), 10, 5} }, ""},
		"C side by side, no room":   {func(m *BatchMatMul) { m.C = Matrices{at(3, 37), 9, 5} }, "C.Stride"},
		"a batch of one anywhere":   {func(m *BatchMatMul) { m.Batch = 1; m.A.Len, m.B.Len, m.C = 30, 39, Matrices{at(3, 20), 5, 0} }, ""},
		"more than fits an int":     {func(m *BatchMatMul) { m.A.Stride = math.MaxInt }, "A"},
		"rows more than fit an int": {func(m *BatchMatMul) { m.C.LD = math.MaxInt / 2 }, "C"},
	} {
		in := good
		c.change(&in)
		check(t, name, in, c.field)
	}
}

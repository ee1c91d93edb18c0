package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// columns writes the functions of columns, each a chain over the rows.
func (m *machine) columns() {
	m.function("sumColumns", "(out, x []float32, rows, stride int)", func() reg.Register {
		m.chains(columnLoop{matrices: m.bases("x")}, func(sum vector, x, _, _ []vector) { m.VADDPS(x[0], sum, sum) })
		return nil
	})
	m.function("squareColumns", "(out, x, mean []float32, rows, stride int)", func() reg.Register {
		m.chains(columnLoop{matrices: m.bases("x"), factors: m.bases("mean")}, func(sum vector, x, f, _ []vector) {
			d := m.subtract(x[0], f[0])
			m.accumulate(sum, d, d)
		})
		return nil
	})
	m.function("batchGainGrad", "(out, x, dy, mean, invStd []float32, rows, stride int)", func() reg.Register {
		l := columnLoop{matrices: m.bases("x", "dy"), factors: m.bases("mean", "invStd")}
		m.chains(l, func(sum vector, x, f, _ []vector) {
			m.accumulate(sum, m.multiply(m.subtract(x[0], f[0]), f[1]), x[1])
		})
		return nil
	})
	m.function("layerGainGrad", "(out, x, dy, mean, invStd []float32, rows, stride int)", func() reg.Register {
		l := columnLoop{matrices: m.bases("x", "dy"), scalars: m.bases("mean", "invStd")}
		m.chains(l, func(sum vector, x, _, s []vector) {
			m.accumulate(sum, m.multiply(m.subtract(x[0], s[0]), s[1]), x[1])
		})
		return nil
	})
}

func (m *machine) bases(slices ...string) (out []reg.GPVirtual) {
	for _, s := range slices {
		out = append(out, m.base(s))
	}
	return out
}

// columnLoop are the operands of chains.
type columnLoop struct {
	matrices []reg.GPVirtual // an element for each row and column
	factors  []reg.GPVirtual // one for each column
	scalars  []reg.GPVirtual // one for each row; all +0 where the slice is nil

	out, rows, stride reg.GPVirtual // stride in bytes
}

// columnVectors is the number of vectors of columns that are summed at a time:
// enough that the additions do not wait for each other.
const columnVectors = 4

// chains writes to each column of out a chain from +0 over the rows. add adds
// the elements of one row to a vector of columns.
func (m *machine) chains(l columnLoop, add func(sum vector, x, factors, scalars []vector)) {
	columns := m.length("out")
	l.out, l.rows, l.stride = m.base("out"), m.integer("rows"), m.integer("stride")
	m.SHLQ(operand.Imm(2), l.stride)
	advancing := append(append([]reg.GPVirtual{l.out}, l.matrices...), l.factors...)
	for _, vectors := range []int{columnVectors, 1} {
		again, end := m.label("columns"), m.label("end")
		width := operand.U32(vectors * m.lanes)
		m.place(again)
		m.CMPQ(columns, width)
		m.JLT(end)
		sums := m.chain(l, vectors, m.copyFrom, add)
		for v, sum := range sums {
			m.VMOVUPS(sum, operand.Mem{Base: l.out, Disp: v * m.lanes * 4})
		}
		for _, p := range advancing {
			m.ADDQ(operand.U32(vectors*m.lanes*4), p)
		}
		m.SUBQ(width, columns)
		m.JMP(again)
		m.place(end)
	}
	done := m.label("done")
	m.TESTQ(columns, columns)
	m.JZ(done)
	k := m.firstLanes(columns, 1)[0]
	load := func(from operand.Mem) vector { return m.loadMasked(from, k) }
	m.storeMasked(operand.Mem{Base: l.out}, k, m.chain(l, 1, load, add)[0])
	m.place(done)
}

func (m *machine) copyFrom(from operand.Mem) vector { return m.copy(from) }

// chain sums that many vectors of columns.
func (m *machine) chain(l columnLoop, vectors int, load func(operand.Mem) vector, add func(sum vector, x, factors, scalars []vector)) (sums []vector) {
	factors := make([][]vector, vectors)
	for v := range vectors {
		sums = append(sums, m.zero())
		for _, f := range l.factors {
			factors[v] = append(factors[v], load(operand.Mem{Base: f, Disp: v * m.lanes * 4}))
		}
	}
	var scalars []vector
	for range l.scalars {
		scalars = append(scalars, m.zero())
	}
	row, offset := m.GP64(), m.GP64()
	again, end := m.label("rows"), m.label("end")
	m.XORQ(row, row)
	m.XORQ(offset, offset)
	m.place(again)
	m.CMPQ(row, l.rows)
	m.JGE(end)
	for i, s := range l.scalars {
		m.onlyIf(s, func() { m.VBROADCASTSS(operand.Mem{Base: s, Index: row, Scale: 4}, scalars[i]) })
	}
	for v, sum := range sums {
		var x []vector
		for _, p := range l.matrices {
			x = append(x, load(operand.Mem{Base: p, Index: offset, Scale: 1, Disp: v * m.lanes * 4}))
		}
		add(sum, x, factors[v], scalars)
	}
	m.ADDQ(l.stride, offset)
	m.INCQ(row)
	m.JMP(again)
	m.place(end)
	return sums
}

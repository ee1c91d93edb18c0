package main

import (
	"fmt"
	"go/types"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowLanes is the number of lanes of a row's sum, whatever the vectors' width.
const rowLanes = 16

// machine writes functions for vectors of 8 lanes (AVX2 and FMA3) or 16
// (AVX-512 F and DQ). Its operations return their result in a new register and
// leave their operands unchanged unless noted otherwise.
type machine struct {
	*build.Context
	suffix string // of function names
	lanes  int
	types  *types.Package
	data   map[string]operand.Mem // read-only data, by name

	// For the function that is being written.
	constants map[uint32]vector // in registers
	labels    int
	index     reg.GPVirtual // of the element that the loop is at
	tail      []mask        // of the parts of the loop's last step; nil in a whole one
}

type vector = reg.VecVirtual

// mask selects lanes: an opmask, or a vector of zeros and ones.
type mask = reg.Virtual

func newMachine(level string, lanes int, constants *types.Package) *machine {
	m := &machine{
		Context: build.NewContext(), lanes: lanes, types: constants, data: map[string]operand.Mem{},
		suffix: map[string]string{"avx2": "AVX2", "avx512": "AVX512"}[level],
	}
	m.ConstraintExpr("!noasm")
	return m
}

func (m *machine) wide() bool { return m.lanes == 16 }

// function writes a function. The body returns the register to return, or nil.
func (m *machine) function(name, signature string, body func() reg.Register) {
	m.constants, m.labels = map[uint32]vector{}, 0
	m.Function(name + m.suffix)
	m.Attributes(attr.NOSPLIT)
	m.Pragma("noescape")
	m.Doc(fmt.Sprintf("%s%s equals the portable %s and trusts its arguments' lengths.", name, m.suffix, name))
	s, err := gotypes.ParseSignatureInPackage(m.types, "func"+signature)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	m.Signature(s)
	result := body()
	m.VZEROUPPER()
	if result != nil {
		m.Store(result, m.ReturnIndex(0))
	}
	m.RET()
}

// label returns a new name for a position in the function.
func (m *machine) label(name string) operand.LabelRef {
	m.labels++
	return operand.LabelRef(fmt.Sprintf("%s%d", name, m.labels))
}

func (m *machine) place(l operand.LabelRef) { m.Label(string(l)) }

func (m *machine) base(slice string) reg.GPVirtual {
	return m.Load(m.Param(slice).Base(), m.GP64()).(reg.GPVirtual)
}

func (m *machine) length(slice string) reg.GPVirtual {
	return m.Load(m.Param(slice).Len(), m.GP64()).(reg.GPVirtual)
}

func (m *machine) integer(param string) reg.GPVirtual {
	return m.Load(m.Param(param), m.GP64()).(reg.GPVirtual)
}

// address returns the location of a component.
func address(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// broadcast returns a float32 of memory in every lane.
func (m *machine) broadcast(from operand.Mem) vector {
	v := m.vector()
	m.VBROADCASTSS(from, v)
	return v
}

func (m *machine) vector() vector {
	if m.wide() {
		return m.ZMM()
	}
	return m.YMM()
}

func (m *machine) zero() vector {
	v := m.vector()
	m.VXORPS(v, v, v)
	return v
}

// table returns read-only data of 32-bit words.
func (m *machine) table(name string, words ...uint32) operand.Mem {
	if d, ok := m.data[name]; ok {
		return d
	}
	d := m.StaticGlobal(name + m.suffix)
	m.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, w := range words {
		m.AppendDatum(operand.U32(w))
	}
	m.data[name] = d
	return d
}

// constant returns an operand with v in every lane: one of many registers, or
// memory. It must be called outside loops.
func (m *machine) constant(v float32) operand.Op { return m.bits(math.Float32bits(v)) }

func (m *machine) bits(u uint32) operand.Op {
	name := fmt.Sprintf("all%08x", u)
	if !m.wide() {
		return m.table(name, u, u, u, u, u, u, u, u)
	}
	v, ok := m.constants[u]
	if !ok {
		v = m.broadcast(m.table(name, u))
		m.constants[u] = v
	}
	return v
}

// register returns the operand in a register, not to be written to.
func (m *machine) register(op operand.Op) vector {
	if v, ok := op.(vector); ok {
		return v
	}
	return m.copy(op)
}

func (m *machine) copy(op operand.Op) vector {
	v := m.vector()
	m.VMOVUPS(op, v)
	return v
}

func (m *machine) add(a vector, b operand.Op) vector {
	out := m.vector()
	m.VADDPS(b, a, out)
	return out
}

func (m *machine) subtract(a vector, b operand.Op) vector {
	out := m.vector()
	m.VSUBPS(b, a, out)
	return out
}

func (m *machine) multiply(a vector, b operand.Op) vector {
	out := m.vector()
	m.VMULPS(b, a, out)
	return out
}

func (m *machine) divide(a vector, b operand.Op) vector {
	out := m.vector()
	m.VDIVPS(b, a, out)
	return out
}

// clamp returns x within [low, high]; a NaN stays one.
func (m *machine) clamp(x vector, low, high operand.Op) vector {
	out := m.vector()
	m.VMINPS(x, m.register(high), out)
	m.VMAXPS(out, m.register(low), out)
	return out
}

// accumulate sets sum to a*b + sum, rounded once.
func (m *machine) accumulate(sum, a vector, b operand.Op) { m.VFMADD231PS(b, a, sum) }

// horner sets q to q*x + c, rounded once.
func (m *machine) horner(q, x vector, c operand.Op) { m.VFMADD213PS(c, x, q) }

// polynomial evaluates one whose coefficients begin with the highest power's.
func (m *machine) polynomial(x vector, coefficients []operand.Op) vector {
	q := m.copy(coefficients[0])
	for _, c := range coefficients[1:] {
		m.horner(q, x, c)
	}
	return q
}

func (m *machine) constantsOf(values ...float32) (out []operand.Op) {
	for _, v := range values {
		out = append(out, m.constant(v))
	}
	return out
}

func (m *machine) and(a vector, b operand.Op) vector {
	out := m.vector()
	m.VANDPS(b, a, out)
	return out
}

func (m *machine) or(a vector, b operand.Op) vector {
	out := m.vector()
	m.VORPS(b, a, out)
	return out
}

// predicate is one of VCMPPS's, all of them quiet.
type predicate = operand.U8

const (
	equal           predicate = 0x00
	unordered       predicate = 0x03
	ordered         predicate = 0x07
	less            predicate = 0x11
	notLess         predicate = 0x15 // greater, equal or unordered
	notLessNorEqual predicate = 0x16 // greater, or unordered
)

func (m *machine) newMask() mask {
	if m.wide() {
		return m.K()
	}
	return m.YMM()
}

// compare selects the lanes where "a p b" holds.
func (m *machine) compare(a vector, p predicate, b operand.Op) mask {
	out := m.newMask()
	m.VCMPPS(p, b, a, out)
	return out
}

// both returns the lanes that a and b select.
func (m *machine) both(a, b mask) mask {
	out := m.newMask()
	if m.wide() {
		m.KANDW(a, b, out)
	} else {
		m.VANDPS(a, b, out)
	}
	return out
}

// merge adds b's lanes to a.
func (m *machine) merge(a, b mask) {
	if m.wide() {
		m.KORW(a, b, a)
	} else {
		m.VORPS(a, b, a)
	}
}

// none returns a mask without lanes.
func (m *machine) none() mask {
	out := m.newMask()
	if m.wide() {
		m.KXORW(out, out, out)
	} else {
		m.VXORPS(out, out, out)
	}
	return out
}

// lanesOf returns the mask as an integer, lane 0 lowest.
func (m *machine) lanesOf(k mask) reg.GPVirtual {
	out := m.GP32()
	if m.wide() {
		m.KMOVW(k, out)
	} else {
		m.VMOVMSKPS(k, out)
	}
	return out
}

// choose returns a in the lanes of k and b in the others.
func (m *machine) choose(k mask, a operand.Op, b vector) vector {
	out := m.vector()
	if m.wide() {
		m.VBLENDMPS(a, b, k, out)
	} else {
		m.VBLENDVPS(k, a, b, out)
	}
	return out
}

// keep returns v in the lanes of k and +0 in the others.
func (m *machine) keep(k mask, v vector) vector {
	out := m.vector()
	if m.wide() {
		m.VMOVAPS_Z(v, k, out)
	} else {
		m.VANDPS(k, v, out)
	}
	return out
}

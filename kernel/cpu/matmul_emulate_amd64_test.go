//go:build !noasm

package cpu

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"unsafe"
)

// emulator executes the machine code of a tile kernel, as the assembler put it
// into this test binary, without the hardware for it: it decodes the handful
// of scalar, VEX and EVEX instructions that the kernels use and gives them
// their meaning, with FMA32 for each lane of a fused multiply-add. Anything
// else it meets is an error. Every load must lie in an argument and every store
// in the result.
//
// The encodings are those of the Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2, chapter 2 (EVEX: section 2.7).
type emulator struct {
	code    []byte // from the kernel's entry on
	decoded map[int]instruction

	pc       int
	gpr      [16]uint64
	zero     bool
	sign     bool
	overflow bool
	vec      [32][16]float32
	regions  []region
	executed map[string]int // mnemonics seen
}

// region is memory at an address.
type region struct {
	name     string
	base     uint64
	floats   []float32
	words    []uint64 // the stack frame, in place of floats
	writable bool
}

// instruction is a decoded instruction, size bytes long.
type instruction struct {
	op     string
	size   int
	lanes  int // of a vector instruction
	reg    int // modrm.reg
	vvvv   int // first source of a three-operand instruction
	rm     int // modrm.rm where isReg
	isReg  bool
	base   int
	index  int // -1: none
	scale  uint64
	disp   int64
	imm    int64
	each   bool // embedded broadcast
	target int  // of a jump
}

const emulatedRSP = 4

// emulatedCode returns the code of an assembly function, found through the
// wrapper that a Go function value points to.
func emulatedCode(f any) ([]byte, error) {
	wrapper := reflect.ValueOf(f).Pointer()
	name := runtime.FuncForPC(wrapper).Name()
	text := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&wrapper))), 512)
	for i := 0; i+5 <= len(text); i++ {
		if text[i] != 0xe8 { // call rel32
			continue
		}
		rel := int32(binary.LittleEndian.Uint32(text[i+1:]))
		at := wrapper + uintptr(i+5) + uintptr(int64(rel))
		callee := runtime.FuncForPC(at)
		if callee == nil || callee.Entry() != at || !strings.HasPrefix(callee.Name(), name) {
			continue
		}
		return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), 1<<13), nil
	}
	return nil, fmt.Errorf("no call of %s in its wrapper", name)
}

func newEmulator(f any) (*emulator, error) {
	code, err := emulatedCode(f)
	if err != nil {
		return nil, err
	}
	return &emulator{code: code, decoded: map[int]instruction{}, executed: map[string]int{}}, nil
}

// tile runs the kernel with the arguments of tileKernel.tile.
func (e *emulator) tile(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
	if err := e.run(k, a, b, ldb, s, lds, c, ldc); err != nil {
		panic(err)
	}
}

func (e *emulator) run(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) error {
	const baseA, baseB, baseS, baseC, stack = 1 << 32, 2 << 32, 3 << 32, 4 << 32, 5 << 32
	slice := func(base uint64, x []float32) []uint64 {
		return []uint64{base, uint64(len(x)), uint64(len(x))}
	}
	frame := []uint64{0 /* return address */, uint64(k)}
	frame = append(frame, slice(baseA, a)...)
	frame = append(append(frame, slice(baseB, b)...), uint64(ldb))
	sBase := uint64(baseS)
	if len(s) > 0 && len(c) > 0 && &s[0] == &c[0] {
		sBase = baseC
	}
	frame = append(append(frame, slice(sBase, s)...), uint64(lds))
	frame = append(append(frame, slice(baseC, c)...), uint64(ldc))
	e.regions = []region{
		{name: "a", base: baseA, floats: a},
		{name: "b", base: baseB, floats: b},
		{name: "s", base: baseS, floats: s},
		{name: "c", base: baseC, floats: c, writable: true},
		{name: "frame", base: stack, words: frame},
	}
	for i := range e.gpr {
		e.gpr[i] = 0xdeadbeef00000000 + uint64(i)
	}
	for i := range e.vec {
		for j := range e.vec[i] {
			e.vec[i][j] = 12345
		}
	}
	e.gpr[emulatedRSP] = stack
	e.pc = 0
	for steps := 0; steps < 1<<20; steps++ {
		in, err := e.fetch()
		if err != nil {
			return err
		}
		if in.op == "ret" {
			return nil
		}
		if err := e.execute(in); err != nil {
			return fmt.Errorf("%s at +%#x: %w", in.op, e.pc, err)
		}
	}
	return fmt.Errorf("no return after a million instructions")
}

func (e *emulator) fetch() (instruction, error) {
	in, ok := e.decoded[e.pc]
	if !ok {
		var err error
		if in, err = decodeInstruction(e.code, e.pc); err != nil {
			return in, err
		}
		e.decoded[e.pc] = in
	}
	e.executed[in.op]++
	return in, nil
}

// decodeInstruction decodes what lies at code[pc:].
func decodeInstruction(code []byte, pc int) (instruction, error) {
	d := decoder{code: code, pc: pc}
	switch d.peek() {
	case 0x62:
		d.evex()
	case 0xc4, 0xc5:
		d.vex()
	default:
		d.scalar()
	}
	if d.err != nil {
		return instruction{}, fmt.Errorf("at +%#x, bytes % x: %w", pc, code[pc:pc+12], d.err)
	}
	d.in.size = d.pc - pc
	return d.in, nil
}

type decoder struct {
	code []byte
	pc   int
	in   instruction
	err  error
}

func (d *decoder) peek() byte { return d.code[d.pc] }

func (d *decoder) next() byte {
	d.pc++
	return d.code[d.pc-1]
}

func (d *decoder) fail(format string, args ...any) { d.err = fmt.Errorf(format, args...) }

func (d *decoder) signed(bytes int) int64 {
	var x uint64
	for i := range bytes {
		x |= uint64(d.next()) << (8 * i)
	}
	return int64(x<<(64-8*bytes)) >> (64 - 8*bytes)
}

// modRM decodes the modrm byte, the sib byte and the displacement. The
// extensions are the high bits of the register numbers; disp8 is the factor of
// a one-byte displacement.
func (d *decoder) modRM(reg, index, base int, disp8 int64) {
	m := d.next()
	mod, rm := m>>6, int(m&7)
	d.in.reg = reg | int(m>>3&7)
	d.in.index = -1
	if mod == 3 {
		d.in.isReg = true
		d.in.rm = rm | base
		return
	}
	if rm == 4 {
		sib := d.next()
		rm = int(sib & 7)
		if i := int(sib>>3&7) | index&8; i != 4 {
			d.in.index, d.in.scale = i, 1<<(sib>>6)
		}
	}
	if mod == 0 && rm == 5 {
		d.fail("address without a base")
	}
	d.in.base = rm | base&8
	switch mod {
	case 1:
		d.in.disp = d.signed(1) * disp8
	case 2:
		d.in.disp = d.signed(4)
	}
}

// bit returns value where bit i of x is clear: prefixes store register bits
// inverted.
func clearBit(x byte, i, value int) int {
	if x>>i&1 == 0 {
		return value
	}
	return 0
}

func (d *decoder) evex() {
	d.next()
	p0, p1, p2 := d.next(), d.next(), d.next()
	if p0&0x08 != 0 || p1&0x04 == 0 {
		d.fail("not an EVEX prefix")
		return
	}
	if p2&0x87 != 0 {
		d.fail("masking is not emulated")
		return
	}
	d.in.lanes = 4 << (p2 >> 5 & 3)
	d.in.each = p2>>4&1 != 0
	d.in.vvvv = int(^p1>>3&15) | clearBit(p2, 3, 16)
	op := d.next()
	full := int64(4 * d.in.lanes)
	if d.in.each {
		full = 4
	}
	d.vector(p0&7, p1&3, p1>>7, op, full)
	d.modRM(clearBit(p0, 7, 8)|clearBit(p0, 4, 16), clearBit(p0, 6, 8),
		clearBit(p0, 5, 8)|clearBit(p0, 6, 16), d.in.scale8(full))
	if d.in.each && (d.in.isReg || d.in.op != "vfmadd231ps") {
		d.fail("rounding control or broadcast is not emulated here")
	}
}

// scale8 is the factor of a one-byte displacement in EVEX code: the bytes the
// instruction reads.
func (in *instruction) scale8(full int64) int64 {
	if in.op == "vbroadcastss" {
		return 4
	}
	return full
}

func (d *decoder) vex() {
	var r, x, b int
	var mapCode, w byte = 1, 0
	var p byte
	if d.next() == 0xc5 {
		p = d.next()
		r = clearBit(p, 7, 8)
	} else {
		p0 := d.next()
		r, x, b = clearBit(p0, 7, 8), clearBit(p0, 6, 8), clearBit(p0, 5, 8)
		mapCode = p0 & 31
		p = d.next()
		w = p >> 7
	}
	d.in.lanes = 4 << (p >> 2 & 1)
	d.in.vvvv = int(^p >> 3 & 15)
	op := d.next()
	if mapCode == 1 && op == 0x77 {
		d.in.op = "vzeroupper"
		return
	}
	d.vector(mapCode, p&3, w, op, 0)
	d.modRM(r, x, b, 1)
}

// vector names an instruction by its opcode map (1: 0F, 2: 0F38), its implied
// prefix (0: none, 1: 66), W and opcode.
func (d *decoder) vector(mapCode, pp, w, op byte, _ int64) {
	switch [4]byte{mapCode, pp, w, op} {
	case [4]byte{1, 0, 0, 0x10}:
		d.in.op = "vmovups load"
	case [4]byte{1, 0, 0, 0x11}:
		d.in.op = "vmovups store"
	case [4]byte{2, 1, 0, 0x18}:
		d.in.op = "vbroadcastss"
	case [4]byte{2, 1, 0, 0xb8}:
		d.in.op = "vfmadd231ps"
	default:
		d.fail("vector opcode %x in map %d, prefix %d, W %d", op, mapCode, pp, w)
	}
	if d.in.vvvv != 0 && d.in.op != "vfmadd231ps" {
		d.fail("%s with a third operand", d.in.op)
	}
}

// conditions are the names of the jumps by the low half of their opcodes.
var conditions = map[byte]string{0x4: "jz", 0x5: "jnz", 0xc: "jl", 0xd: "jge", 0xe: "jle", 0xf: "jg"}

func (d *decoder) scalar() {
	op := d.next()
	var rex byte
	if op&0xf0 == 0x40 {
		rex = op
		op = d.next()
	}
	reg, index, base := int(rex>>2&1)*8, int(rex>>1&1)*8, int(rex&1)*8
	jump := func(width int) {
		rel := d.signed(width)
		d.in.target = d.pc + int(rel)
	}
	switch {
	case op == 0xc3:
		d.in.op = "ret"
		return
	case op>>4 == 7 && conditions[op&15] != "":
		d.in.op = conditions[op&15]
		jump(1)
		return
	case op == 0x0f && d.peek()>>4 == 8 && conditions[d.peek()&15] != "":
		d.in.op = conditions[d.next()&15]
		jump(4)
		return
	case op == 0xeb:
		d.in.op = "jmp"
		jump(1)
		return
	}
	if rex&8 == 0 {
		d.fail("opcode %x without a 64-bit operand", op)
		return
	}
	d.modRM(reg, index, base, 1)
	switch op {
	case 0x8b:
		d.in.op = "mov load"
	case 0x01:
		d.in.op = "add"
	case 0x83, 0x81:
		d.in.op = map[int]string{0: "add imm", 5: "sub imm"}[d.in.reg&7]
		width := 1
		if op == 0x81 {
			width = 4
		}
		d.in.imm = d.signed(width)
	case 0xc1:
		d.in.op = map[int]string{4: "shl imm"}[d.in.reg&7]
		d.in.imm = d.signed(1)
	case 0xff:
		d.in.op = map[int]string{0: "inc", 1: "dec"}[d.in.reg&7]
	}
	if d.in.op == "" {
		d.fail("opcode %x /%d", op, d.in.reg&7)
	} else if d.in.isReg == (op == 0x8b) {
		d.fail("operands of %s", d.in.op)
	}
}

func (e *emulator) address(in instruction) uint64 {
	at := e.gpr[in.base] + uint64(in.disp)
	if in.index >= 0 {
		at += e.gpr[in.index] * in.scale
	}
	return at
}

// memory returns n floats at the instruction's address.
func (e *emulator) memory(in instruction, n int, write bool) ([]float32, error) {
	at := e.address(in)
	for _, r := range e.regions {
		if at < r.base || at >= r.base+1<<32 {
			continue
		}
		i := (at - r.base) / 4
		if at%4 != 0 || i+uint64(n) > uint64(len(r.floats)) || write && !r.writable {
			return nil, fmt.Errorf("%d floats at element %d of the %d of %s, write %t", n, i, len(r.floats), r.name, write)
		}
		return r.floats[i : i+uint64(n)], nil
	}
	return nil, fmt.Errorf("address %#x is in no argument", at)
}

func (e *emulator) execute(in instruction) error {
	next := e.pc + in.size
	switch in.op {
	case "mov load":
		frame := e.regions[len(e.regions)-1]
		i := (e.address(in) - frame.base) / 8
		if i >= uint64(len(frame.words)) {
			return fmt.Errorf("frame word %d", i)
		}
		e.gpr[in.reg] = frame.words[i]
	case "add":
		e.arithmetic(in.rm, e.gpr[in.reg])
	case "add imm":
		e.arithmetic(in.rm, uint64(in.imm))
	case "inc":
		e.arithmetic(in.rm, 1)
	case "sub imm":
		e.arithmetic(in.rm, -uint64(in.imm))
	case "dec":
		e.arithmetic(in.rm, ^uint64(0))
	case "shl imm":
		e.gpr[in.rm] <<= uint(in.imm)
	case "jz", "jnz", "jl", "jge", "jle", "jg", "jmp":
		if e.taken(in.op) {
			next = in.target
		}
	case "vzeroupper":
		for i := range 16 {
			clear(e.vec[i][4:])
		}
	default:
		if err := e.executeVector(in); err != nil {
			return err
		}
	}
	e.pc = next
	return nil
}

// arithmetic adds to a register and sets the flags. A subtraction of the
// kernels' small constants overflows exactly where adding the negative does.
func (e *emulator) arithmetic(reg int, x uint64) {
	old := e.gpr[reg]
	sum := old + x
	e.gpr[reg] = sum
	e.zero, e.sign = sum == 0, int64(sum) < 0
	e.overflow = int64((old^sum)&(x^sum)) < 0
}

func (e *emulator) taken(op string) bool {
	less := e.sign != e.overflow
	switch op {
	case "jz":
		return e.zero
	case "jnz":
		return !e.zero
	case "jl":
		return less
	case "jge":
		return !less
	case "jle":
		return less || e.zero
	case "jg":
		return !less && !e.zero
	}
	return true
}

func (e *emulator) executeVector(in instruction) error {
	n := in.lanes
	operand := e.vec[in.rm][:n]
	if !in.isReg {
		width := n
		if in.op == "vbroadcastss" || in.each {
			width = 1
		}
		var err error
		if operand, err = e.memory(in, width, in.op == "vmovups store"); err != nil {
			return err
		}
	}
	dst := &e.vec[in.reg]
	switch in.op {
	case "vmovups store":
		copy(operand, dst[:n])
		return nil
	case "vmovups load":
		copy(dst[:n], operand)
	case "vbroadcastss":
		x := operand[0]
		for i := range n {
			dst[i] = x
		}
	case "vfmadd231ps":
		for i := range n {
			x := operand[i%len(operand)]
			dst[i] = FMA32(e.vec[in.vvvv][i], x, dst[i])
		}
	default:
		return fmt.Errorf("not emulated")
	}
	clear(dst[n:]) // a shorter vector instruction zeroes the rest
	return nil
}

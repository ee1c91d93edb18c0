//go:build !noasm

package cpu

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"reflect"
	"runtime"
	"strings"
	"unsafe"
)

// emulator executes the machine code of a tile kernel, as the assembler put it
// into this test binary, without the hardware: it decodes the few scalar, VEX
// and EVEX instructions that the kernels use and executes them, with FMA32 for
// each lane of a fused multiply-add. Any other instruction is an error. Every
// load must lie in an argument and every store in the result.
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
	masks    [8]uint64
	regions  []region
	executed map[string]int // mnemonics seen
}

// region is memory at an address.
type region struct {
	name     string
	base     uint64
	floats   []float32
	words    []uint64 // in place of floats
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
	mask   int  // 0: none
	zeroed bool // what the mask leaves out
	target int  // of a jump
}

const emulatedRSP = 4

// emulatedRoom is the number of words that a kernel may put on the stack.
const emulatedRoom = 8

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

// tile runs the kernel with the arguments of tileKernel.run.
func (e *emulator) tile(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
	if err := e.run(rows, cols, a, b, ldb, s, lds, c, ldc); err != nil {
		panic(err)
	}
}

func (e *emulator) run(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) error {
	const baseA, baseB, baseS, baseC, baseOff, baseSeg, baseGathered, stack = 1 << 32, 2 << 32, 3 << 32, 4 << 32, 5 << 32, 6 << 32, 7 << 32, 8 << 32
	slice := func(base uint64, n int) []uint64 { return []uint64{base, uint64(n), uint64(n)} }
	words := func(x []int) []uint64 {
		out := make([]uint64, len(x))
		for i, v := range x {
			out[i] = uint64(v)
		}
		return out
	}
	// Room for what the kernel saves, the return address, the arguments.
	fields := append(slice(baseA, len(a.x)), baseOff)
	fields = append(append(fields, slice(baseSeg, len(a.seg))...), uint64(a.length), uint64(a.step))
	frame := append(make([]uint64, emulatedRoom+1), uint64(rows), uint64(cols), baseGathered)
	frame = append(append(frame, slice(baseB, len(b))...), uint64(ldb))
	sBase := uint64(baseS)
	if len(s) > 0 && len(c) > 0 && &s[0] == &c[0] {
		sBase = baseC
	}
	frame = append(append(frame, slice(sBase, len(s))...), uint64(lds))
	frame = append(append(frame, slice(baseC, len(c))...), uint64(ldc))
	e.regions = []region{
		{name: "a", base: baseA, floats: a.x},
		{name: "b", base: baseB, floats: b},
		{name: "s", base: baseS, floats: s},
		{name: "c", base: baseC, floats: c, writable: true},
		{name: "off", base: baseOff, words: words(a.off[:])},
		{name: "gathered", base: baseGathered, words: fields},
		{name: "seg", base: baseSeg, words: words(a.seg)},
		{name: "frame", base: stack, words: frame, writable: true},
	}
	for i := range e.gpr {
		e.gpr[i] = 0xdeadbeef00000000 + uint64(i)
	}
	for i := range e.vec {
		for j := range e.vec[i] {
			e.vec[i][j] = 12345
		}
	}
	e.masks = [8]uint64{}
	e.gpr[emulatedRSP] = stack + 8*emulatedRoom
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

// decodeInstruction decodes the instruction at code[pc:].
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
	d.in.mask, d.in.zeroed = int(p2&7), p2>>7 != 0
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
	if d.in.mask != 0 && d.in.op != "vmovups store" && (d.in.op != "vmovups load" || !d.in.zeroed) {
		d.fail("masking is not emulated here")
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
	if mapCode == 1 && op == 0x92 {
		d.in.op = "kmovw"
		d.modRM(r, x, b, 1)
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
	case [4]byte{1, 0, 0, 0x57}, [4]byte{1, 1, 1, 0xef}:
		d.in.op = "vxor"
	default:
		d.fail("vector opcode %x in map %d, prefix %d, W %d", op, mapCode, pp, w)
	}
	if d.in.vvvv != 0 && d.in.op != "vfmadd231ps" && d.in.op != "vxor" {
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
	case op == 0xe9:
		d.in.op = "jmp"
		jump(4)
		return
	}
	switch {
	case op>>3 == 0x50>>3:
		d.in.op, d.in.rm = "push", int(op&7)|base
		return
	case op>>3 == 0x58>>3:
		d.in.op, d.in.rm = "pop", int(op&7)|base
		return
	case op>>3 == 0xb8>>3 && rex&8 == 0: // zeroes the upper half
		d.in.op, d.in.rm, d.in.imm = "mov imm", int(op&7)|base, int64(uint32(d.signed(4)))
		return
	case rex&8 == 0:
		d.fail("opcode %x without a 64-bit operand", op)
		return
	}
	d.modRM(reg, index, base, 1)
	d.operation(op)
	if d.in.op == "" {
		d.fail("opcode %x /%d", op, d.in.reg&7)
	}
}

// operation names a scalar instruction of 64 bits by its opcode.
func (d *decoder) operation(op byte) {
	either := func(register, memory string) string {
		if d.in.isReg {
			return register
		}
		return memory
	}
	group := map[byte]map[int]string{
		0x81: {0: "add imm", 5: "sub imm"}, 0x83: {0: "add imm", 5: "sub imm"},
		0xc1: {4: "shl imm", 5: "shr imm"}, 0xc7: {0: "mov imm"}, 0xd3: {4: "shl cl"}, 0xff: {0: "inc", 1: "dec"},
	}[op]
	d.in.op = group[d.in.reg&7]
	switch op {
	case 0x83, 0xc1:
		d.in.imm = d.signed(1)
	case 0x81, 0xc7:
		d.in.imm = d.signed(4)
	case 0x01:
		d.in.op = either("add", "")
	case 0x03:
		d.in.op = either("", "add load")
	case 0x29:
		d.in.op = either("sub", "")
	case 0x85:
		d.in.op = either("test", "")
	case 0x89:
		d.in.op = either("mov", "mov store")
	case 0x8b:
		d.in.op = either("", "mov load")
	case 0x8d:
		d.in.op = either("", "lea")
	}
	if group != nil && !d.in.isReg {
		switch d.in.op {
		case "add imm", "sub imm", "dec":
			d.in.op += " memory"
		default:
			d.in.op = ""
		}
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
	case "mov load", "add load", "mov store", "add imm memory", "sub imm memory", "dec memory", "push", "pop":
		if err := e.executeWord(in); err != nil {
			return err
		}
	case "mov":
		e.gpr[in.rm] = e.gpr[in.reg]
	case "mov imm":
		e.gpr[in.rm] = uint64(in.imm)
	case "lea":
		e.gpr[in.reg] = e.address(in)
	case "add":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], e.gpr[in.reg])
	case "sub":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], -e.gpr[in.reg])
	case "add imm":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], uint64(in.imm))
	case "inc":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], 1)
	case "sub imm":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], -uint64(in.imm))
	case "dec":
		e.gpr[in.rm] = e.sum(e.gpr[in.rm], ^uint64(0))
	case "test":
		e.flags(e.gpr[in.rm]&e.gpr[in.reg], false)
	case "shl imm":
		e.gpr[in.rm] <<= uint(in.imm)
	case "shl cl":
		e.gpr[in.rm] <<= e.gpr[1] & 63
	case "shr imm":
		e.gpr[in.rm] >>= uint(in.imm)
	case "kmovw":
		e.masks[in.reg] = e.gpr[in.rm] & 0xffff
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

// executeWord executes instructions that read or write a word of memory.
func (e *emulator) executeWord(in instruction) error {
	at := e.address(in)
	if in.op == "push" {
		e.gpr[emulatedRSP] -= 8
	}
	if in.op == "push" || in.op == "pop" {
		at = e.gpr[emulatedRSP]
	}
	var word *uint64
	for _, r := range e.regions {
		if i := (at - r.base) / 8; at >= r.base && at%8 == 0 && i < uint64(len(r.words)) && (r.writable || strings.HasSuffix(in.op, "load")) {
			word = &r.words[i]
		}
	}
	if word == nil {
		return fmt.Errorf("address %#x", at)
	}
	switch in.op {
	case "mov load":
		e.gpr[in.reg] = *word
	case "add load":
		e.gpr[in.reg] = e.sum(e.gpr[in.reg], *word)
	case "mov store":
		*word = e.gpr[in.reg]
	case "add imm memory":
		*word = e.sum(*word, uint64(in.imm))
	case "sub imm memory":
		*word = e.sum(*word, -uint64(in.imm))
	case "dec memory":
		*word = e.sum(*word, ^uint64(0))
	case "push":
		*word = e.gpr[in.rm]
	case "pop":
		e.gpr[in.rm] = *word
		e.gpr[emulatedRSP] += 8
	}
	return nil
}

// sum adds and sets the flags. A subtraction of the kernels' small constants
// overflows exactly when adding the negative does.
func (e *emulator) sum(old, x uint64) uint64 {
	sum := old + x
	e.flags(sum, int64((old^sum)&(x^sum)) < 0)
	return sum
}

func (e *emulator) flags(result uint64, overflow bool) {
	e.zero, e.sign, e.overflow = result == 0, int64(result) < 0, overflow
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
	if in.mask != 0 { // moves only, and memory excluded by the mask is not touched
		ones := bits.Len64(e.masks[in.mask])
		if e.masks[in.mask] != 1<<ones-1 || in.isReg {
			return fmt.Errorf("mask %#x", e.masks[in.mask])
		}
		n = min(n, ones)
		if n == 0 {
			if in.op == "vmovups load" {
				clear(e.vec[in.reg][:])
			}
			return nil
		}
	}
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
	case "vxor":
		if !in.isReg || in.rm != in.reg || in.vvvv != in.reg {
			return fmt.Errorf("of different registers is not emulated")
		}
		n = 0
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

//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// The accumulators of row i are Z(2i) and Z(2i+1); Z24 and Z25 hold the row of
// B, Z26 and Z27 broadcast values of A, taking turns. K1 and K2 mask the columns
// of the first and the second vector.
//
// In the loops SI points to the row of B, and BP is the distance of the current
// value of A from the rows' pointers, in the twelve registers of ADDRESSES.

// LOADROW and STOREROW load a row of starts and store a row of results; CX counts
// the rows that are left.
#define LOADROW(z0, z1) \
	VMOVUPS.Z (AX), K1, z0 \
	VMOVUPS.Z 64(AX), K2, z1 \
	ADDQ DX, AX \
	DECQ CX \
	JZ   loaded

#define STOREROW(z0, z1) \
	VMOVUPS z0, K1, (AX) \
	VMOVUPS z1, K2, 64(AX) \
	ADDQ DX, AX \
	DECQ CX \
	JZ   stored

#define ADDRESS(i, p) \
	MOVQ (8*i)(CX), p \
	LEAQ (SI)(p*4), p

// PAIR advances a row's 32 chains by one k, SINGLE its first 16.
// VFMADD231PS m, y, z is z += y*m, rounded once.
#define PAIR(p, z, z0, z1) \
	VBROADCASTSS (p)(BP*1), z \
	VFMADD231PS Z24, z, z0 \
	VFMADD231PS Z25, z, z1

#define SINGLE(p, z0) \
	VFMADD231PS.BCST (p)(BP*1), Z24, z0

#define PAIRS0 \
	PAIR(AX, Z26, Z0, Z1) \
	PAIR(BX, Z27, Z2, Z3) \
	PAIR(DX, Z26, Z4, Z5) \
	PAIR(DI, Z27, Z6, Z7)

#define PAIRS1 \
	PAIR(R8, Z26, Z8, Z9) \
	PAIR(R9, Z27, Z10, Z11) \
	PAIR(R10, Z26, Z12, Z13) \
	PAIR(R11, Z27, Z14, Z15)

#define PAIRS2 \
	PAIR(R12, Z26, Z16, Z17) \
	PAIR(R13, Z27, Z18, Z19) \
	PAIR(R14, Z26, Z20, Z21) \
	PAIR(R15, Z27, Z22, Z23)

#define SINGLES0 \
	SINGLE(AX, Z0) \
	SINGLE(BX, Z2) \
	SINGLE(DX, Z4) \
	SINGLE(DI, Z6)

#define SINGLES1 \
	SINGLE(R8, Z8) \
	SINGLE(R9, Z10) \
	SINGLE(R10, Z12) \
	SINGLE(R11, Z14)

#define SINGLES2 \
	SINGLE(R12, Z16) \
	SINGLE(R13, Z18) \
	SINGLE(R14, Z20) \
	SINGLE(R15, Z22)

// SEGMENT begins a segment: BP is its first value's distance, CX its length.
#define SEGMENT \
	MOVQ seg-8(SP), CX \
	MOVQ (CX), BP \
	SHLQ $2, BP \
	ADDQ $8, CX \
	MOVQ CX, seg-8(SP) \
	MOVQ length-16(SP), CX

// func tile12x32AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for rows <= 12 and cols <= 32. Of B it reads 16 columns
// where cols <= 16, else 32.
TEXT ·tile12x32AVX512(SB), NOSPLIT, $32-120
	// Masks: the low cols bits of 32.
	MOVQ cols+8(FP), CX
	MOVQ $1, AX
	SHLQ CX, AX
	DECQ AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2

	// Rows that are not there compute with zeros.
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	VPXORQ Z10, Z10, Z10
	VPXORQ Z11, Z11, Z11
	VPXORQ Z12, Z12, Z12
	VPXORQ Z13, Z13, Z13
	VPXORQ Z14, Z14, Z14
	VPXORQ Z15, Z15, Z15
	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPXORQ Z18, Z18, Z18
	VPXORQ Z19, Z19, Z19
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	VPXORQ Z22, Z22, Z22
	VPXORQ Z23, Z23, Z23

	MOVQ rows+0(FP), CX
	MOVQ s_base+56(FP), AX
	MOVQ lds+80(FP), DX
	SHLQ $2, DX
	LOADROW(Z0, Z1)
	LOADROW(Z2, Z3)
	LOADROW(Z4, Z5)
	LOADROW(Z6, Z7)
	LOADROW(Z8, Z9)
	LOADROW(Z10, Z11)
	LOADROW(Z12, Z13)
	LOADROW(Z14, Z15)
	LOADROW(Z16, Z17)
	LOADROW(Z18, Z19)
	LOADROW(Z20, Z21)
	LOADROW(Z22, Z23)

loaded:
	MOVQ ldb+48(FP), CX
	SHLQ $2, CX
	MOVQ CX, ldb+48(FP)

	MOVQ a+16(FP), BX
	MOVQ gathered_step(BX), CX
	SHLQ $2, CX
	MOVQ CX, step-24(SP)
	MOVQ gathered_seg(BX), CX
	MOVQ CX, seg-8(SP)
	MOVQ gathered_seg+8(BX), CX
	MOVQ CX, segs-32(SP)
	MOVQ gathered_length(BX), CX
	MOVQ CX, length-16(SP)
	MOVQ gathered_x(BX), SI
	MOVQ gathered_off(BX), CX
	ADDRESS(0, AX)
	ADDRESS(1, BX)
	ADDRESS(2, DX)
	ADDRESS(3, DI)
	ADDRESS(4, R8)
	ADDRESS(5, R9)
	ADDRESS(6, R10)
	ADDRESS(7, R11)
	ADDRESS(8, R12)
	ADDRESS(9, R13)
	ADDRESS(10, R14)
	ADDRESS(11, R15)
	MOVQ b_base+24(FP), SI

	MOVQ length-16(SP), CX
	TESTQ CX, CX
	JZ   store
	MOVQ segs-32(SP), CX
	TESTQ CX, CX
	JZ   store
	MOVQ rows+0(FP), CX
	MOVQ cols+8(FP), BP
	SUBQ $16, BP
	JLE  narrow
	SUBQ $8, CX
	JG   pair12
	ADDQ $4, CX
	JG   pair8
	JMP  pair4

narrow:
	SUBQ $8, CX
	JG   single12
	ADDQ $4, CX
	JG   single8
	JMP  single4

pair12:
	SEGMENT

pair12step:
	VMOVUPS (SI), Z24
	VMOVUPS 64(SI), Z25
	PAIRS0
	PAIRS1
	PAIRS2
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  pair12step
	DECQ segs-32(SP)
	JNZ  pair12
	JMP  store

pair8:
	SEGMENT

pair8step:
	VMOVUPS (SI), Z24
	VMOVUPS 64(SI), Z25
	PAIRS0
	PAIRS1
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  pair8step
	DECQ segs-32(SP)
	JNZ  pair8
	JMP  store

pair4:
	SEGMENT

pair4step:
	VMOVUPS (SI), Z24
	VMOVUPS 64(SI), Z25
	PAIRS0
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  pair4step
	DECQ segs-32(SP)
	JNZ  pair4
	JMP  store

single12:
	SEGMENT

single12step:
	VMOVUPS (SI), Z24
	SINGLES0
	SINGLES1
	SINGLES2
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  single12step
	DECQ segs-32(SP)
	JNZ  single12
	JMP  store

single8:
	SEGMENT

single8step:
	VMOVUPS (SI), Z24
	SINGLES0
	SINGLES1
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  single8step
	DECQ segs-32(SP)
	JNZ  single8
	JMP  store

single4:
	SEGMENT

single4step:
	VMOVUPS (SI), Z24
	SINGLES0
	ADDQ ldb+48(FP), SI
	ADDQ step-24(SP), BP
	DECQ CX
	JNZ  single4step
	DECQ segs-32(SP)
	JNZ  single4
	JMP  store

store:
	MOVQ rows+0(FP), CX
	MOVQ c_base+88(FP), AX
	MOVQ ldc+112(FP), DX
	SHLQ $2, DX
	STOREROW(Z0, Z1)
	STOREROW(Z2, Z3)
	STOREROW(Z4, Z5)
	STOREROW(Z6, Z7)
	STOREROW(Z8, Z9)
	STOREROW(Z10, Z11)
	STOREROW(Z12, Z13)
	STOREROW(Z14, Z15)
	STOREROW(Z16, Z17)
	STOREROW(Z18, Z19)
	STOREROW(Z20, Z21)
	STOREROW(Z22, Z23)

stored:
	VZEROUPPER
	RET

// TAKE advances the eight vectors of chains by one k.
#define TAKE \
	VBROADCASTSS (DI)(BP*1), Z8 \
	VFMADD231PS (SI), Z8, Z0 \
	VFMADD231PS 64(SI), Z8, Z1 \
	VFMADD231PS 128(SI), Z8, Z2 \
	VFMADD231PS 192(SI), Z8, Z3 \
	VFMADD231PS 256(SI), Z8, Z4 \
	VFMADD231PS 320(SI), Z8, Z5 \
	VFMADD231PS 384(SI), Z8, Z6 \
	VFMADD231PS 448(SI), Z8, Z7 \
	ADDQ BX, SI \
	ADDQ DX, BP

// func tile1x128AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for one row of 128 columns.
TEXT ·tile1x128AVX512(SB), NOSPLIT, $8-120
	MOVQ a+16(FP), R10
	MOVQ gathered_x(R10), DI
	MOVQ gathered_off(R10), CX
	MOVQ (CX), CX
	LEAQ (DI)(CX*4), DI
	MOVQ gathered_seg(R10), R8
	MOVQ gathered_seg+8(R10), R9
	MOVQ gathered_step(R10), DX
	MOVQ gathered_length(R10), R10
	SHLQ $2, DX
	MOVQ b_base+24(FP), SI
	MOVQ ldb+48(FP), BX
	SHLQ $2, BX
	MOVQ s_base+56(FP), AX

	VMOVUPS 0(AX), Z0
	VMOVUPS 64(AX), Z1
	VMOVUPS 128(AX), Z2
	VMOVUPS 192(AX), Z3
	VMOVUPS 256(AX), Z4
	VMOVUPS 320(AX), Z5
	VMOVUPS 384(AX), Z6
	VMOVUPS 448(AX), Z7

	TESTQ R9, R9
	JZ    store

segment:
	MOVQ (R8), BP
	SHLQ $2, BP
	ADDQ $8, R8
	MOVQ R10, CX
	SUBQ $2, CX
	JLT  tail

steps2:
	TAKE
	TAKE
	SUBQ $2, CX
	JGE  steps2

tail:
	ADDQ $2, CX
	JZ   next
	TAKE

next:
	DECQ R9
	JNZ  segment

store:
	MOVQ c_base+88(FP), AX

	VMOVUPS Z0, 0(AX)
	VMOVUPS Z1, 64(AX)
	VMOVUPS Z2, 128(AX)
	VMOVUPS Z3, 192(AX)
	VMOVUPS Z4, 256(AX)
	VMOVUPS Z5, 320(AX)
	VMOVUPS Z6, 384(AX)
	VMOVUPS Z7, 448(AX)
	VZEROUPPER
	RET

#define LOAD16(z) \
	VMOVUPS.Z (AX), K1, z \
	ADDQ DX, AX

#define STORE16(z) \
	VMOVUPS z, K1, (AX) \
	ADDQ DX, AX

// EIGHT advances the chains of eight rows by one k, the first at p.
#define EIGHT(p, z0, z1, z2, z3, z4, z5, z6, z7) \
	VFMADD231PS.BCST (p), Z16, z0 \
	VFMADD231PS.BCST (p)(R8*1), Z16, z1 \
	VFMADD231PS.BCST (p)(R8*2), Z16, z2 \
	VFMADD231PS.BCST (p)(R9*1), Z16, z3 \
	VFMADD231PS.BCST (p)(R8*4), Z16, z4 \
	VFMADD231PS.BCST (p)(R10*1), Z16, z5 \
	VFMADD231PS.BCST (p)(R9*2), Z16, z6 \
	VFMADD231PS.BCST (p)(R11*1), Z16, z7

// func tile16x16AVX512(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for 16 rows whose offsets lie equally far apart, and
// cols <= 16. Of B it reads 16 columns.
TEXT ·tile16x16AVX512(SB), NOSPLIT, $0-120
	MOVQ  cols+8(FP), CX
	MOVQ  $1, AX
	SHLQ  CX, AX
	DECQ  AX
	KMOVW AX, K1

	MOVQ s_base+56(FP), AX
	MOVQ lds+80(FP), DX
	SHLQ $2, DX
	LOAD16(Z0)
	LOAD16(Z1)
	LOAD16(Z2)
	LOAD16(Z3)
	LOAD16(Z4)
	LOAD16(Z5)
	LOAD16(Z6)
	LOAD16(Z7)
	LOAD16(Z8)
	LOAD16(Z9)
	LOAD16(Z10)
	LOAD16(Z11)
	LOAD16(Z12)
	LOAD16(Z13)
	LOAD16(Z14)
	LOAD16(Z15)

	MOVQ  a+16(FP), BX
	MOVQ  gathered_x(BX), DI
	MOVQ  gathered_off(BX), CX
	MOVQ  (CX), AX
	MOVQ  8(CX), R8
	SUBQ  AX, R8
	SHLQ  $2, R8
	LEAQ  (R8)(R8*2), R9  // 3 rows
	LEAQ  (R8)(R8*4), R10 // 5 rows
	LEAQ  (R9)(R8*4), R11 // 7 rows
	LEAQ  (DI)(AX*4), DI
	MOVQ  gathered_seg(BX), R12
	MOVQ  gathered_seg+8(BX), R13
	MOVQ  gathered_length(BX), R14
	MOVQ  gathered_step(BX), DX
	SHLQ  $2, DX
	MOVQ  b_base+24(FP), SI
	MOVQ  ldb+48(FP), BX
	SHLQ  $2, BX
	TESTQ R13, R13
	JZ    store
	TESTQ R14, R14
	JZ    store

segment:
	MOVQ (R12), AX
	ADDQ $8, R12
	LEAQ (DI)(AX*4), AX
	LEAQ (AX)(R8*8), CX
	MOVQ R14, R15

step:
	VMOVUPS (SI), Z16
	EIGHT(AX, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	EIGHT(CX, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)
	ADDQ    BX, SI
	ADDQ    DX, AX
	ADDQ    DX, CX
	DECQ    R15
	JNZ     step
	DECQ    R13
	JNZ     segment

store:
	MOVQ c_base+88(FP), AX
	MOVQ ldc+112(FP), DX
	SHLQ $2, DX
	STORE16(Z0)
	STORE16(Z1)
	STORE16(Z2)
	STORE16(Z3)
	STORE16(Z4)
	STORE16(Z5)
	STORE16(Z6)
	STORE16(Z7)
	STORE16(Z8)
	STORE16(Z9)
	STORE16(Z10)
	STORE16(Z11)
	STORE16(Z12)
	STORE16(Z13)
	STORE16(Z14)
	STORE16(Z15)
	VZEROUPPER
	RET

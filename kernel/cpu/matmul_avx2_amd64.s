//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// The accumulators of row i are Y(2i) and Y(2i+1); Y12 and Y13 hold the row of
// B, Y14 and Y15 broadcast values of A, taking turns. SI points to the row of B,
// and BP is the distance of the current value of A from the rows' pointers.

// LOADROW and STOREROW load a row of starts and store a row of results; CX counts
// the rows that are left.
#define LOADROW(y0, y1) \
	VMOVUPS (AX), y0 \
	VMOVUPS 32(AX), y1 \
	ADDQ DX, AX \
	DECQ CX \
	JZ   loaded

#define STOREROW(y0, y1) \
	VMOVUPS y0, (AX) \
	VMOVUPS y1, 32(AX) \
	ADDQ DX, AX \
	DECQ CX \
	JZ   stored

#define ADDRESS(i, p) \
	MOVQ (8*i)(CX), p \
	LEAQ (SI)(p*4), p

// PAIR advances a row's 16 chains by one k.
// VFMADD231PS m, y, z is z += y*m, rounded once.
#define PAIR(p, y, y0, y1) \
	VBROADCASTSS (p)(BP*1), y \
	VFMADD231PS Y12, y, y0 \
	VFMADD231PS Y13, y, y1

// func tile6x16AVX2(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for rows <= 6 and 16 columns.
TEXT ·tile6x16AVX2(SB), NOSPLIT, $8-120
	// Rows that are not there compute with zeros.
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11

	MOVQ rows+0(FP), CX
	MOVQ s_base+56(FP), AX
	MOVQ lds+80(FP), DX
	SHLQ $2, DX
	LOADROW(Y0, Y1)
	LOADROW(Y2, Y3)
	LOADROW(Y4, Y5)
	LOADROW(Y6, Y7)
	LOADROW(Y8, Y9)
	LOADROW(Y10, Y11)

loaded:
	MOVQ a+16(FP), DX
	MOVQ gathered_step(DX), R12
	SHLQ $2, R12
	MOVQ gathered_seg(DX), R13
	MOVQ gathered_length(DX), R15
	MOVQ gathered_x(DX), SI
	MOVQ gathered_off(DX), CX
	MOVQ gathered_seg+8(DX), DX
	ADDRESS(0, AX)
	ADDRESS(1, BX)
	ADDRESS(2, DI)
	ADDRESS(3, R8)
	ADDRESS(4, R9)
	ADDRESS(5, R10)
	MOVQ b_base+24(FP), SI
	MOVQ ldb+48(FP), R11
	SHLQ $2, R11

	TESTQ R15, R15
	JZ   store
	TESTQ DX, DX
	JZ   store

segment:
	MOVQ (R13), BP
	SHLQ $2, BP
	ADDQ $8, R13
	MOVQ R15, CX

step:
	VMOVUPS (SI), Y12
	VMOVUPS 32(SI), Y13
	PAIR(AX, Y14, Y0, Y1)
	PAIR(BX, Y15, Y2, Y3)
	PAIR(DI, Y14, Y4, Y5)
	PAIR(R8, Y15, Y6, Y7)
	PAIR(R9, Y14, Y8, Y9)
	PAIR(R10, Y15, Y10, Y11)
	ADDQ R11, SI
	ADDQ R12, BP
	DECQ CX
	JNZ  step
	DECQ DX
	JNZ  segment

store:
	MOVQ rows+0(FP), CX
	MOVQ c_base+88(FP), AX
	MOVQ ldc+112(FP), DX
	SHLQ $2, DX
	STOREROW(Y0, Y1)
	STOREROW(Y2, Y3)
	STOREROW(Y4, Y5)
	STOREROW(Y6, Y7)
	STOREROW(Y8, Y9)
	STOREROW(Y10, Y11)

stored:
	VZEROUPPER
	RET

// TAKE advances the eight vectors of chains by one k.
#define TAKE \
	VBROADCASTSS (DI)(BP*1), Y8 \
	VFMADD231PS (SI), Y8, Y0 \
	VFMADD231PS 32(SI), Y8, Y1 \
	VFMADD231PS 64(SI), Y8, Y2 \
	VFMADD231PS 96(SI), Y8, Y3 \
	VFMADD231PS 128(SI), Y8, Y4 \
	VFMADD231PS 160(SI), Y8, Y5 \
	VFMADD231PS 192(SI), Y8, Y6 \
	VFMADD231PS 224(SI), Y8, Y7 \
	ADDQ BX, SI \
	ADDQ DX, BP

// func tile1x64AVX2(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for one row of 64 columns.
TEXT ·tile1x64AVX2(SB), NOSPLIT, $8-120
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

	VMOVUPS 0(AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVUPS 64(AX), Y2
	VMOVUPS 96(AX), Y3
	VMOVUPS 128(AX), Y4
	VMOVUPS 160(AX), Y5
	VMOVUPS 192(AX), Y6
	VMOVUPS 224(AX), Y7

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

	VMOVUPS Y0, 0(AX)
	VMOVUPS Y1, 32(AX)
	VMOVUPS Y2, 64(AX)
	VMOVUPS Y3, 96(AX)
	VMOVUPS Y4, 128(AX)
	VMOVUPS Y5, 160(AX)
	VMOVUPS Y6, 192(AX)
	VMOVUPS Y7, 224(AX)
	VZEROUPPER
	RET

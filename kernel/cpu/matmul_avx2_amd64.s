//go:build !noasm

#include "textflag.h"

// The panel of A holds 6 values per step, B's row has 16. The accumulators of
// row i are Y(2i) and Y(2i+1); Y12 and Y13 hold the row of B, Y14 and Y15 the
// broadcast of one value of A each.

// STEP advances the twelve vectors of chains by one k: A at aoff(DI), B at
// (SI). VFMADD231PS m, y, z is z += y*m, rounded once.
#define STEP(aoff) \
	VMOVUPS (SI), Y12 \
	VMOVUPS 32(SI), Y13 \
	VBROADCASTSS (aoff+0)(DI), Y14 \
	VFMADD231PS Y12, Y14, Y0 \
	VFMADD231PS Y13, Y14, Y1 \
	VBROADCASTSS (aoff+4)(DI), Y15 \
	VFMADD231PS Y12, Y15, Y2 \
	VFMADD231PS Y13, Y15, Y3 \
	VBROADCASTSS (aoff+8)(DI), Y14 \
	VFMADD231PS Y12, Y14, Y4 \
	VFMADD231PS Y13, Y14, Y5 \
	VBROADCASTSS (aoff+12)(DI), Y15 \
	VFMADD231PS Y12, Y15, Y6 \
	VFMADD231PS Y13, Y15, Y7 \
	VBROADCASTSS (aoff+16)(DI), Y14 \
	VFMADD231PS Y12, Y14, Y8 \
	VFMADD231PS Y13, Y14, Y9 \
	VBROADCASTSS (aoff+20)(DI), Y15 \
	VFMADD231PS Y12, Y15, Y10 \
	VFMADD231PS Y13, Y15, Y11 \
	ADDQ BX, SI

// func tile6x16AVX2(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference(6, 16, k, a, b, ldb, s, lds, c, ldc).
TEXT ·tile6x16AVX2(SB), NOSPLIT, $0-128
	MOVQ k+0(FP), CX
	MOVQ a_base+8(FP), DI
	MOVQ b_base+32(FP), SI
	MOVQ ldb+56(FP), BX
	SHLQ $2, BX
	MOVQ s_base+64(FP), AX
	MOVQ lds+88(FP), DX
	SHLQ $2, DX

	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	ADDQ DX, AX
	VMOVUPS (AX), Y2
	VMOVUPS 32(AX), Y3
	ADDQ DX, AX
	VMOVUPS (AX), Y4
	VMOVUPS 32(AX), Y5
	ADDQ DX, AX
	VMOVUPS (AX), Y6
	VMOVUPS 32(AX), Y7
	ADDQ DX, AX
	VMOVUPS (AX), Y8
	VMOVUPS 32(AX), Y9
	ADDQ DX, AX
	VMOVUPS (AX), Y10
	VMOVUPS 32(AX), Y11

	SUBQ $4, CX
	JLT  tail

steps4:
	STEP(0)
	STEP(24)
	STEP(48)
	STEP(72)
	ADDQ $96, DI
	SUBQ $4, CX
	JGE  steps4

tail:
	ADDQ $4, CX
	JZ   store

step:
	STEP(0)
	ADDQ $24, DI
	DECQ CX
	JNZ  step

store:
	MOVQ c_base+96(FP), AX
	MOVQ ldc+120(FP), DX
	SHLQ $2, DX

	VMOVUPS Y0, (AX)
	VMOVUPS Y1, 32(AX)
	ADDQ DX, AX
	VMOVUPS Y2, (AX)
	VMOVUPS Y3, 32(AX)
	ADDQ DX, AX
	VMOVUPS Y4, (AX)
	VMOVUPS Y5, 32(AX)
	ADDQ DX, AX
	VMOVUPS Y6, (AX)
	VMOVUPS Y7, 32(AX)
	ADDQ DX, AX
	VMOVUPS Y8, (AX)
	VMOVUPS Y9, 32(AX)
	ADDQ DX, AX
	VMOVUPS Y10, (AX)
	VMOVUPS Y11, 32(AX)
	VZEROUPPER
	RET

// ROW advances the eight vectors of chains by one k: A at aoff(DI), B at (SI).
#define ROW(aoff) \
	VBROADCASTSS aoff(DI), Y8 \
	VFMADD231PS (SI), Y8, Y0 \
	VFMADD231PS 32(SI), Y8, Y1 \
	VFMADD231PS 64(SI), Y8, Y2 \
	VFMADD231PS 96(SI), Y8, Y3 \
	VFMADD231PS 128(SI), Y8, Y4 \
	VFMADD231PS 160(SI), Y8, Y5 \
	VFMADD231PS 192(SI), Y8, Y6 \
	VFMADD231PS 224(SI), Y8, Y7 \
	ADDQ BX, SI

// func tile1x64AVX2(k int, a, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference(1, 64, k, a, b, ldb, s, lds, c, ldc).
TEXT ·tile1x64AVX2(SB), NOSPLIT, $0-128
	MOVQ k+0(FP), CX
	MOVQ a_base+8(FP), DI
	MOVQ b_base+32(FP), SI
	MOVQ ldb+56(FP), BX
	SHLQ $2, BX
	MOVQ s_base+64(FP), AX

	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVUPS 64(AX), Y2
	VMOVUPS 96(AX), Y3
	VMOVUPS 128(AX), Y4
	VMOVUPS 160(AX), Y5
	VMOVUPS 192(AX), Y6
	VMOVUPS 224(AX), Y7

	SUBQ $2, CX
	JLT  tail

steps2:
	ROW(0)
	ROW(4)
	ADDQ $8, DI
	SUBQ $2, CX
	JGE  steps2

tail:
	ADDQ $2, CX
	JZ   store
	ROW(0)

store:
	MOVQ c_base+96(FP), AX

	VMOVUPS Y0, (AX)
	VMOVUPS Y1, 32(AX)
	VMOVUPS Y2, 64(AX)
	VMOVUPS Y3, 96(AX)
	VMOVUPS Y4, 128(AX)
	VMOVUPS Y5, 160(AX)
	VMOVUPS Y6, 192(AX)
	VMOVUPS Y7, 224(AX)
	VZEROUPPER
	RET

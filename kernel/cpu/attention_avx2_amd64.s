//go:build !noasm

#include "textflag.h"

// A tile has 4 rows of 16 columns: the accumulators of row i are Y(2i) and
// Y(2i+1). Y8 and Y9 hold the row of B, Y10 to Y13 the values of A.

#define ROW(from, value, low, high) \
	VBROADCASTSS from, value \
	VFMADD231PS Y8, value, low \
	VFMADD231PS Y9, value, high

#define STORE(low, high) \
	VMOVUPS low, (AX) \
	VMOVUPS high, 32(AX) \
	ADDQ DX, AX

#define LOAD(low, high) \
	VMOVUPS (AX), low \
	VMOVUPS 32(AX), high \
	ADDQ DX, AX

#define ZERO(low, high) \
	VXORPS low, low, low \
	VXORPS high, high, high

// func strip4x16AVX2(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)
//
// Equals the loop of stripKernel.run.
TEXT ·strip4x16AVX2(SB), NOSPLIT, $0-121
	MOVQ m+0(FP), R15
	MOVQ a_base+16(FP), R13
	MOVQ rowStep+40(FP), R8
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9 // 3 rows
	MOVQ kStep+48(FP), R12
	SHLQ $2, R12
	MOVQ ldb+80(FP), BX
	SHLQ $2, BX
	MOVQ ldc+112(FP), DX
	SHLQ $2, DX

tile:
	MOVQ    R13, DI
	MOVQ    b_base+56(FP), SI
	MOVQ    k+8(FP), CX
	MOVQ    c_base+88(FP), AX
	CMPB    accumulate+120(FP), $0
	JNE     accumulate
	ZERO(Y0, Y1)
	ZERO(Y2, Y3)
	ZERO(Y4, Y5)
	ZERO(Y6, Y7)
	JMP     test

accumulate:
	LOAD(Y0, Y1)
	LOAD(Y2, Y3)
	LOAD(Y4, Y5)
	LOAD(Y6, Y7)

test:
	TESTQ CX, CX
	JZ    store

step:
	VMOVUPS (SI), Y8
	VMOVUPS 32(SI), Y9
	ROW((DI), Y10, Y0, Y1)
	ROW((DI)(R8*1), Y11, Y2, Y3)
	ROW((DI)(R8*2), Y12, Y4, Y5)
	ROW((DI)(R9*1), Y13, Y6, Y7)
	ADDQ R12, DI
	ADDQ BX, SI
	DECQ CX
	JNZ  step

store:
	MOVQ c_base+88(FP), AX
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	MOVQ AX, c_base+88(FP) // the next tile's
	LEAQ (R13)(R8*4), R13
	SUBQ $4, R15
	JG   tile
	VZEROUPPER
	RET

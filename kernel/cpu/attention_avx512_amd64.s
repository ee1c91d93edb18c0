//go:build !noasm

#include "textflag.h"

// A tile has 8 rows of 32 columns: the accumulators of row i are Z(2i) and
// Z(2i+1). Z16 and Z17 hold the row of B, Z18 to Z25 the values of A.

#define ROW(from, value, low, high) \
	VBROADCASTSS from, value \
	VFMADD231PS Z16, value, low \
	VFMADD231PS Z17, value, high

#define STORE(low, high) \
	VMOVUPS low, (AX) \
	VMOVUPS high, 64(AX) \
	ADDQ DX, AX

#define LOAD(low, high) \
	VMOVUPS (AX), low \
	VMOVUPS 64(AX), high \
	ADDQ DX, AX

#define ZERO(low, high) \
	VPXORD low, low, low \
	VPXORD high, high, high

// func strip8x32AVX512(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)
//
// Equals the loop of stripKernel.run.
TEXT ·strip8x32AVX512(SB), NOSPLIT, $0-121
	MOVQ m+0(FP), R15
	MOVQ a_base+16(FP), R13
	MOVQ rowStep+40(FP), R8
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9  // 3 rows
	LEAQ (R8)(R8*4), R10 // 5 rows
	LEAQ (R9)(R8*4), R11 // 7 rows
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
	ZERO(Z0, Z1)
	ZERO(Z2, Z3)
	ZERO(Z4, Z5)
	ZERO(Z6, Z7)
	ZERO(Z8, Z9)
	ZERO(Z10, Z11)
	ZERO(Z12, Z13)
	ZERO(Z14, Z15)
	JMP     test

accumulate:
	LOAD(Z0, Z1)
	LOAD(Z2, Z3)
	LOAD(Z4, Z5)
	LOAD(Z6, Z7)
	LOAD(Z8, Z9)
	LOAD(Z10, Z11)
	LOAD(Z12, Z13)
	LOAD(Z14, Z15)

test:
	TESTQ CX, CX
	JZ    store

step:
	VMOVUPS (SI), Z16
	VMOVUPS 64(SI), Z17
	ROW((DI), Z18, Z0, Z1)
	ROW((DI)(R8*1), Z19, Z2, Z3)
	ROW((DI)(R8*2), Z20, Z4, Z5)
	ROW((DI)(R9*1), Z21, Z6, Z7)
	ROW((DI)(R8*4), Z22, Z8, Z9)
	ROW((DI)(R10*1), Z23, Z10, Z11)
	ROW((DI)(R9*2), Z24, Z12, Z13)
	ROW((DI)(R11*1), Z25, Z14, Z15)
	ADDQ R12, DI
	ADDQ BX, SI
	DECQ CX
	JNZ  step

store:
	MOVQ c_base+88(FP), AX
	STORE(Z0, Z1)
	STORE(Z2, Z3)
	STORE(Z4, Z5)
	STORE(Z6, Z7)
	STORE(Z8, Z9)
	STORE(Z10, Z11)
	STORE(Z12, Z13)
	STORE(Z14, Z15)
	MOVQ AX, c_base+88(FP) // the next tile's
	LEAQ (R13)(R8*8), R13
	SUBQ $8, R15
	JG   tile
	VZEROUPPER
	RET

//go:build !noasm

#include "textflag.h"

// A tile has 4 rows of 16 columns: the accumulators of row i are V(4i) to
// V(4i+3). V16 to V19 hold the row of B, V20 to V23 the values of A.

// VFMLA y, x, z is z += x*y, rounded once.
#define ROW(a, v0, v1, v2, v3) \
	VFMLA V16.S4, a.S4, v0.S4 \
	VFMLA V17.S4, a.S4, v1.S4 \
	VFMLA V18.S4, a.S4, v2.S4 \
	VFMLA V19.S4, a.S4, v3.S4

#define ZERO(v0, v1, v2, v3) \
	VEOR v0.B16, v0.B16, v0.B16 \
	VEOR v1.B16, v1.B16, v1.B16 \
	VEOR v2.B16, v2.B16, v2.B16 \
	VEOR v3.B16, v3.B16, v3.B16

// func strip4x16NEON(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)
//
// Equals the loop of stripKernel.run.
TEXT ·strip4x16NEON(SB), NOSPLIT, $0-121
	MOVD  m+0(FP), R10
	MOVD  a_base+16(FP), R9
	MOVD  rowStep+40(FP), R12
	LSL   $2, R12
	MOVD  kStep+48(FP), R8
	LSL   $2, R8
	MOVD  ldb+80(FP), R7
	LSL   $2, R7
	MOVD  c_base+88(FP), R13
	MOVD  ldc+112(FP), R16
	LSL   $2, R16
	MOVBU accumulate+120(FP), R14

tile:
	MOVD R9, R0
	ADD  R12, R0, R1
	ADD  R12, R1, R2
	ADD  R12, R2, R3
	ADD  R12, R3, R9 // the next tile's
	MOVD b_base+56(FP), R6
	MOVD k+8(FP), R11
	MOVD R13, R15
	CBNZ R14, accumulate
	ZERO(V0, V1, V2, V3)
	ZERO(V4, V5, V6, V7)
	ZERO(V8, V9, V10, V11)
	ZERO(V12, V13, V14, V15)
	B    test

accumulate:
	VLD1.P (R15)(R16), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P (R15)(R16), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P (R15)(R16), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1.P (R15)(R16), [V12.S4, V13.S4, V14.S4, V15.S4]

test:
	CBZ R11, store

step:
	VLD1.P  (R6)(R7), [V16.S4, V17.S4, V18.S4, V19.S4]
	VLD1R.P (R0)(R8), [V20.S4]
	VLD1R.P (R1)(R8), [V21.S4]
	VLD1R.P (R2)(R8), [V22.S4]
	VLD1R.P (R3)(R8), [V23.S4]
	ROW(V20, V0, V1, V2, V3)
	ROW(V21, V4, V5, V6, V7)
	ROW(V22, V8, V9, V10, V11)
	ROW(V23, V12, V13, V14, V15)
	SUBS    $1, R11
	BNE     step

store:
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], (R13)(R16)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], (R13)(R16)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], (R13)(R16)
	VST1.P [V12.S4, V13.S4, V14.S4, V15.S4], (R13)(R16)
	SUBS   $4, R10
	BGT    tile
	RET

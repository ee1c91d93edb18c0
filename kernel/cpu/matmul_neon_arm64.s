//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// The accumulators of row i are V(4i) to V(4i+3); V24 to V27 hold the row of B,
// V28 to V31 broadcast values of A, taking turns. R0 to R5 point to the rows'
// values of A and R6 to the row of B; what is read moves its pointer on, by R8
// and R7 bytes.

// LOADROW and STOREROW load a row of starts and store a row of results; R11
// counts the rows that are left.
#define LOADROW(v0, v1, v2, v3) \
	VLD1.P (R15)(R16), [v0.S4, v1.S4, v2.S4, v3.S4] \
	SUBS $1, R11 \
	BEQ  loaded

#define STOREROW(v0, v1, v2, v3) \
	VST1.P [v0.S4, v1.S4, v2.S4, v3.S4], (R15)(R16) \
	SUBS $1, R11 \
	BEQ  stored

#define ADDRESS(i, p) \
	MOVD (8*i)(R12), R16 \
	ADD  R16<<2, R15, p

#define ZERO(v0, v1, v2, v3) \
	VEOR v0.B16, v0.B16, v0.B16 \
	VEOR v1.B16, v1.B16, v1.B16 \
	VEOR v2.B16, v2.B16, v2.B16 \
	VEOR v3.B16, v3.B16, v3.B16

// ROW advances a row's 16 chains by one k. VFMLA y, x, z is z += x*y, rounded
// once.
#define ROW(a, v0, v1, v2, v3) \
	VFMLA V24.S4, a.S4, v0.S4 \
	VFMLA V25.S4, a.S4, v1.S4 \
	VFMLA V26.S4, a.S4, v2.S4 \
	VFMLA V27.S4, a.S4, v3.S4

// func tile6x16NEON(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for rows <= 6 and 16 columns.
TEXT ·tile6x16NEON(SB), NOSPLIT, $0-120
	// Rows that are not there compute with zeros.
	ZERO(V0, V1, V2, V3)
	ZERO(V4, V5, V6, V7)
	ZERO(V8, V9, V10, V11)
	ZERO(V12, V13, V14, V15)
	ZERO(V16, V17, V18, V19)
	ZERO(V20, V21, V22, V23)

	MOVD rows+0(FP), R11
	MOVD s_base+56(FP), R15
	MOVD lds+80(FP), R16
	LSL  $2, R16
	LOADROW(V0, V1, V2, V3)
	LOADROW(V4, V5, V6, V7)
	LOADROW(V8, V9, V10, V11)
	LOADROW(V12, V13, V14, V15)
	LOADROW(V16, V17, V18, V19)
	LOADROW(V20, V21, V22, V23)

loaded:
	MOVD a+16(FP), R17
	MOVD gathered_step(R17), R8
	LSL  $2, R8
	MOVD gathered_seg(R17), R9
	MOVD gathered_seg+8(R17), R10
	MOVD gathered_off(R17), R12
	MOVD gathered_x(R17), R13
	MOVD gathered_length(R17), R14
	MOVD b_base+24(FP), R6
	MOVD ldb+48(FP), R7
	LSL  $2, R7
	CBZ  R14, store
	CBZ  R10, store

segment:
	MOVD.P 8(R9), R15
	ADD    R15<<2, R13, R15
	ADDRESS(0, R0)
	ADDRESS(1, R1)
	ADDRESS(2, R2)
	ADDRESS(3, R3)
	ADDRESS(4, R4)
	ADDRESS(5, R5)
	MOVD   R14, R11

step:
	VLD1.P  (R6)(R7), [V24.S4, V25.S4, V26.S4, V27.S4]
	VLD1R.P (R0)(R8), [V28.S4]
	VLD1R.P (R1)(R8), [V29.S4]
	VLD1R.P (R2)(R8), [V30.S4]
	VLD1R.P (R3)(R8), [V31.S4]
	ROW(V28, V0, V1, V2, V3)
	VLD1R.P (R4)(R8), [V28.S4]
	ROW(V29, V4, V5, V6, V7)
	VLD1R.P (R5)(R8), [V29.S4]
	ROW(V30, V8, V9, V10, V11)
	ROW(V31, V12, V13, V14, V15)
	ROW(V28, V16, V17, V18, V19)
	ROW(V29, V20, V21, V22, V23)
	SUBS    $1, R11
	BNE     step
	SUBS    $1, R10
	BNE     segment

store:
	MOVD rows+0(FP), R11
	MOVD c_base+88(FP), R15
	MOVD ldc+112(FP), R16
	LSL  $2, R16
	STOREROW(V0, V1, V2, V3)
	STOREROW(V4, V5, V6, V7)
	STOREROW(V8, V9, V10, V11)
	STOREROW(V12, V13, V14, V15)
	STOREROW(V16, V17, V18, V19)
	STOREROW(V20, V21, V22, V23)

stored:
	RET

// func tile1x64NEON(rows, cols int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int)
//
// Equals tileReference for one row of 64 columns. The chains are in V0 to V15.
TEXT ·tile1x64NEON(SB), NOSPLIT, $0-120
	MOVD a+16(FP), R17
	MOVD gathered_step(R17), R8
	LSL  $2, R8
	MOVD gathered_seg(R17), R9
	MOVD gathered_seg+8(R17), R10
	MOVD gathered_off(R17), R12
	MOVD (R12), R12
	MOVD gathered_x(R17), R13
	ADD  R12<<2, R13, R13
	MOVD gathered_length(R17), R14
	MOVD b_base+24(FP), R6
	MOVD ldb+48(FP), R7
	LSL  $2, R7
	MOVD s_base+56(FP), R15
	VLD1.P 64(R15), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R15), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R15), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1   (R15), [V12.S4, V13.S4, V14.S4, V15.S4]
	CBZ  R14, store
	CBZ  R10, store

segment:
	MOVD.P 8(R9), R0
	ADD    R0<<2, R13, R0
	MOVD   R14, R11

step:
	VLD1R.P (R0)(R8), [V28.S4]
	MOVD    R6, R15
	ADD     R7, R6
	VLD1.P  64(R15), [V16.S4, V17.S4, V18.S4, V19.S4]
	VLD1.P  64(R15), [V20.S4, V21.S4, V22.S4, V23.S4]
	VLD1.P  64(R15), [V24.S4, V25.S4, V26.S4, V27.S4]
	VFMLA   V16.S4, V28.S4, V0.S4
	VFMLA   V17.S4, V28.S4, V1.S4
	VFMLA   V18.S4, V28.S4, V2.S4
	VFMLA   V19.S4, V28.S4, V3.S4
	VLD1    (R15), [V16.S4, V17.S4, V18.S4, V19.S4]
	VFMLA   V20.S4, V28.S4, V4.S4
	VFMLA   V21.S4, V28.S4, V5.S4
	VFMLA   V22.S4, V28.S4, V6.S4
	VFMLA   V23.S4, V28.S4, V7.S4
	ROW(V28, V8, V9, V10, V11)
	VFMLA   V16.S4, V28.S4, V12.S4
	VFMLA   V17.S4, V28.S4, V13.S4
	VFMLA   V18.S4, V28.S4, V14.S4
	VFMLA   V19.S4, V28.S4, V15.S4
	SUBS    $1, R11
	BNE     step
	SUBS    $1, R10
	BNE     segment

store:
	MOVD   c_base+88(FP), R15
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R15)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R15)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], 64(R15)
	VST1   [V12.S4, V13.S4, V14.S4, V15.S4], (R15)
	RET

// func transpose4NEON(dst []float32, width int, x []float32, ld, ks int) (done int)
//
// Equals transpose4 on the first ks&^3 columns, in blocks of 4 by 4.
TEXT ·transpose4NEON(SB), NOSPLIT, $0-80
	MOVD dst_base+0(FP), R4
	MOVD width+24(FP), R5
	LSL  $2, R5
	MOVD x_base+32(FP), R0
	MOVD ld+56(FP), R6
	LSL  $2, R6
	ADD  R6, R0, R1
	ADD  R6, R1, R2
	ADD  R6, R2, R3
	MOVD ks+64(FP), R7
	AND  $~3, R7
	MOVD R7, done+72(FP)
	CBZ  R7, return

block:
	VLD1.P 16(R0), [V0.S4]
	VLD1.P 16(R1), [V1.S4]
	VLD1.P 16(R2), [V2.S4]
	VLD1.P 16(R3), [V3.S4]
	VTRN1  V1.S4, V0.S4, V4.S4 // x0[0] x1[0] x0[2] x1[2]
	VTRN2  V1.S4, V0.S4, V5.S4 // x0[1] x1[1] x0[3] x1[3]
	VTRN1  V3.S4, V2.S4, V6.S4
	VTRN2  V3.S4, V2.S4, V7.S4
	VTRN1  V6.D2, V4.D2, V0.D2 // column 0
	VTRN1  V7.D2, V5.D2, V1.D2
	VTRN2  V6.D2, V4.D2, V2.D2
	VTRN2  V7.D2, V5.D2, V3.D2
	VST1.P [V0.S4], (R4)(R5)
	VST1.P [V1.S4], (R4)(R5)
	VST1.P [V2.S4], (R4)(R5)
	VST1.P [V3.S4], (R4)(R5)
	SUBS   $4, R7
	BNE    block

return:
	RET

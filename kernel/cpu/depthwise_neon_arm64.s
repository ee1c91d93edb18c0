//go:build !noasm

#include "textflag.h"

// The channels of a position are taken sixteen or four at a time: R4 of them are
// left, at R5 bytes. VFMLA y, x, z is z += x*y, rounded once.

// TAPS points R6 to the weights, R7 to the inputs and R9 to the R10 taps.
#define TAPS \
	MOVD w_base+128(FP), R6 \
	ADD  R5, R6 \
	ADD  R5, R2, R7 \
	MOVD off_base+104(FP), R9 \
	MOVD off_len+112(FP), R10

// func depthwiseNEON(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)
//
// Equals depthwise for channels that are a multiple of 4.
TEXT ·depthwiseNEON(SB), NOSPLIT, $0-160
	MOVD positions+0(FP), R3
	MOVD y_base+16(FP), R0
	MOVD s_base+40(FP), R1
	MOVD lds+64(FP), R11
	LSL  $2, R11
	MOVD x_base+72(FP), R2
	MOVD step+96(FP), R12
	LSL  $2, R12
	MOVD stride+152(FP), R13
	LSL  $2, R13
	CBZ  R3, return

position:
	MOVD channels+8(FP), R4
	MOVD $0, R5

sixteen:
	CMP  $16, R4
	BLT  four
	ADD  R5, R1, R14
	VLD1 (R14), [V0.S4, V1.S4, V2.S4, V3.S4]
	TAPS
	CBZ  R10, store16

tap16:
	MOVD.P 8(R9), R14
	ADD    R14<<2, R7, R14
	VLD1   (R14), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P (R6)(R13), [V8.S4, V9.S4, V10.S4, V11.S4]
	VFMLA  V8.S4, V4.S4, V0.S4
	VFMLA  V9.S4, V5.S4, V1.S4
	VFMLA  V10.S4, V6.S4, V2.S4
	VFMLA  V11.S4, V7.S4, V3.S4
	SUBS   $1, R10
	BNE    tap16

store16:
	ADD  R5, R0, R14
	VST1 [V0.S4, V1.S4, V2.S4, V3.S4], (R14)
	ADD  $64, R5
	SUB  $16, R4
	B    sixteen

four:
	CBZ  R4, next
	ADD  R5, R1, R14
	VLD1 (R14), [V0.S4]
	TAPS
	CBZ  R10, store4

tap4:
	MOVD.P 8(R9), R14
	ADD    R14<<2, R7, R14
	VLD1   (R14), [V4.S4]
	VLD1.P (R6)(R13), [V8.S4]
	VFMLA  V8.S4, V4.S4, V0.S4
	SUBS   $1, R10
	BNE    tap4

store4:
	ADD  R5, R0, R14
	VST1 [V0.S4], (R14)
	ADD  $16, R5
	SUB  $4, R4
	B    four

next:
	ADD  R13, R0
	ADD  R11, R1
	ADD  R12, R2
	SUBS $1, R3
	BNE  position

return:
	RET

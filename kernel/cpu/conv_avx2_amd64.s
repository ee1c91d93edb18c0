//go:build !noasm

#include "textflag.h"

// func hasNegativeZeroAVX2(x []float32) bool
//
// Equals hasNegativeZero on the first len(x)&^31 elements: a -0 is the integer
// 1<<31.
TEXT ·hasNegativeZeroAVX2(SB), NOSPLIT, $0-25
	MOVQ     x_base+0(FP), SI
	MOVQ     x_len+8(FP), CX
	VPCMPEQD Y1, Y1, Y1
	VPSLLD   $31, Y1, Y1
	VPXOR    Y0, Y0, Y0
	SHRQ     $5, CX
	JZ       done

loop:
	VPCMPEQD (SI), Y1, Y2
	VPCMPEQD 32(SI), Y1, Y3
	VPCMPEQD 64(SI), Y1, Y4
	VPCMPEQD 96(SI), Y1, Y5
	VPOR     Y2, Y3, Y2
	VPOR     Y4, Y5, Y4
	VPOR     Y2, Y0, Y0
	VPOR     Y4, Y0, Y0
	ADDQ     $128, SI
	DECQ     CX
	JNZ      loop

done:
	VPTEST Y0, Y0
	SETNE  ret+24(FP)
	VZEROUPPER
	RET

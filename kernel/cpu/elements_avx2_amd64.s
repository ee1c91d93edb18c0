//go:build !noasm

#include "go_asm.h"
#include "textflag.h"

// Element-wise kernels over eight lanes. Each equals the Go loop named above
// it, which does its remainder and is compiled and tested beside it. Additions,
// products, quotients and roots round once per lane, as in the loop; nothing
// is fused. Lengths are multiples of 8 and may be 0.

// func reluAVX2(y, x []float32)
//
// Equals relu: x where x is not at most 0, which NaN is not, else +0.
TEXT ·reluAVX2(SB), NOSPLIT, $0-48
	MOVQ   y_base+0(FP), DI
	MOVQ   x_base+24(FP), SI
	MOVQ   x_len+32(FP), CX
	VXORPS Y0, Y0, Y0
	JMP    test

loop:
	VMOVUPS (SI), Y1
	VCMPPS  $0x16, Y0, Y1, Y2 // not less or equal, or unordered
	VANDPS  Y1, Y2, Y2
	VMOVUPS Y2, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	SUBQ    $8, CX

test:
	CMPQ CX, $8
	JGE  loop
	VZEROUPPER
	RET

// func reluGradAVX2(dx, y, dy []float32)
//
// Equals reluGrad: dy where y is not at most 0, else +0.
TEXT ·reluGradAVX2(SB), NOSPLIT, $0-72
	MOVQ   dx_base+0(FP), DI
	MOVQ   y_base+24(FP), SI
	MOVQ   dy_base+48(FP), DX
	MOVQ   dy_len+56(FP), CX
	VXORPS Y0, Y0, Y0
	JMP    test

loop:
	VMOVUPS (SI), Y1
	VCMPPS  $0x16, Y0, Y1, Y2
	VANDPS  (DX), Y2, Y2
	VMOVUPS Y2, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, DI
	SUBQ    $8, CX

test:
	CMPQ CX, $8
	JGE  loop
	VZEROUPPER
	RET

// func maximumAVX2(y []float32, index []int32, x []float32, at int32, channels, step int)
//
// Equals maximum: v replaces best where v is not at most best and best is not
// NaN.
TEXT ·maximumAVX2(SB), NOSPLIT, $0-96
	MOVQ         y_base+0(FP), DI
	MOVQ         y_len+8(FP), CX
	MOVQ         index_base+24(FP), R8
	MOVQ         x_base+48(FP), SI
	MOVL         at+72(FP), R9
	MOVQ         channels+80(FP), R10
	MOVQ         step+88(FP), R11
	MOVL         $8, AX
	VMOVD        AX, X7
	VPBROADCASTD X7, Y7
	VMOVDQU      lanes<>(SB), Y5
	JMP          test

position:
	VMOVD        R9, X6
	VPBROADCASTD X6, Y6
	VPADDD       Y5, Y6, Y6 // the indices of eight channels
	XORQ         AX, AX

channel:
	VMOVUPS   (SI)(AX*4), Y0
	VMOVUPS   (DI)(AX*4), Y1
	VMOVUPS   (R8)(AX*4), Y2
	VCMPPS    $0x16, Y1, Y0, Y3
	VCMPPS    $0x07, Y1, Y1, Y4 // ordered
	VANDPS    Y3, Y4, Y3
	VBLENDVPS Y3, Y0, Y1, Y1
	VBLENDVPS Y3, Y6, Y2, Y2
	VMOVUPS   Y1, (DI)(AX*4)
	VMOVUPS   Y2, (R8)(AX*4)
	VPADDD    Y7, Y6, Y6
	ADDQ      $8, AX
	CMPQ      AX, R10
	JLT       channel

	LEAQ (DI)(R10*4), DI
	LEAQ (R8)(R10*4), R8
	LEAQ (SI)(R11*4), SI
	ADDL R11, R9
	SUBQ R10, CX

test:
	TESTQ CX, CX
	JGT   position
	VZEROUPPER
	RET

DATA lanes<>+0(SB)/4, $0
DATA lanes<>+4(SB)/4, $1
DATA lanes<>+8(SB)/4, $2
DATA lanes<>+12(SB)/4, $3
DATA lanes<>+16(SB)/4, $4
DATA lanes<>+20(SB)/4, $5
DATA lanes<>+24(SB)/4, $6
DATA lanes<>+28(SB)/4, $7
GLOBL lanes<>(SB), RODATA|NOPTR, $32

// func adamUpdateAVX2(c *adamConstants, w, grad, m, v []float32)
//
// Equals adamUpdate.
TEXT ·adamUpdateAVX2(SB), NOSPLIT, $0-104
	MOVQ         c+0(FP), AX
	MOVQ         w_base+8(FP), DI
	MOVQ         grad_base+32(FP), SI
	MOVQ         grad_len+40(FP), CX
	MOVQ         m_base+56(FP), R8
	MOVQ         v_base+80(FP), R9
	VBROADCASTSS adamConstants_beta1(AX), Y7
	VBROADCASTSS adamConstants_rest1(AX), Y8
	VBROADCASTSS adamConstants_beta2(AX), Y9
	VBROADCASTSS adamConstants_rest2(AX), Y10
	VBROADCASTSS adamConstants_rate(AX), Y11
	VBROADCASTSS adamConstants_correction2(AX), Y12
	VBROADCASTSS adamConstants_epsilon(AX), Y13
	VBROADCASTSS adamConstants_decay(AX), Y14
	VBROADCASTSS adamConstants_shrink(AX), Y15

	// Shifting the sign out tells zeros of both signs from the rest.
	MOVL adamConstants_decay(AX), R10
	SHLL $1, R10
	MOVL adamConstants_shrink(AX), R11
	SHLL $1, R11
	JMP  test

loop:
	VMOVUPS (SI), Y0 // g
	VMOVUPS (DI), Y1 // w
	TESTL   R10, R10
	JZ      coupled
	VMULPS  Y14, Y1, Y2
	VADDPS  Y2, Y0, Y0

coupled:
	TESTL  R11, R11
	JZ     decoupled
	VMULPS Y15, Y1, Y2
	VSUBPS Y2, Y1, Y1

decoupled:
	VMULPS  (R8), Y7, Y2
	VMULPS  Y8, Y0, Y3
	VADDPS  Y3, Y2, Y2
	VMOVUPS Y2, (R8)
	VMULPS  (R9), Y9, Y4
	VMULPS  Y10, Y0, Y5
	VMULPS  Y0, Y5, Y5
	VADDPS  Y5, Y4, Y4
	VMOVUPS Y4, (R9)
	VDIVPS  Y12, Y4, Y4
	VSQRTPS Y4, Y4
	VADDPS  Y13, Y4, Y4
	VMULPS  Y11, Y2, Y2
	VDIVPS  Y4, Y2, Y2
	VSUBPS  Y2, Y1, Y1
	VMOVUPS Y1, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	ADDQ    $32, R8
	ADDQ    $32, R9
	SUBQ    $8, CX

test:
	CMPQ CX, $8
	JGE  loop
	VZEROUPPER
	RET

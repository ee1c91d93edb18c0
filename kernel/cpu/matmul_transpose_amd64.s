//go:build !noasm

#include "textflag.h"

// func transpose4AVX(dst []float32, width int, x []float32, ld, ks int) (done int)
//
// Equals transpose4 on the first ks&^3 columns, in blocks of 4 by 4.
TEXT ·transpose4AVX(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ width+24(FP), DX
	SHLQ $2, DX
	MOVQ x_base+32(FP), SI
	MOVQ ld+56(FP), BX
	SHLQ $2, BX
	MOVQ ks+64(FP), CX
	ANDQ $~3, CX
	MOVQ CX, done+72(FP)
	JZ   return
	LEAQ (BX)(BX*2), R8 // three rows of x
	LEAQ (DX)(DX*2), R9 // three rows of dst

block:
	VMOVUPS   (SI), X0
	VMOVUPS   (SI)(BX*1), X1
	VMOVUPS   (SI)(BX*2), X2
	VMOVUPS   (SI)(R8*1), X3
	VUNPCKLPS X1, X0, X4 // x0[0] x1[0] x0[1] x1[1]
	VUNPCKHPS X1, X0, X5 // x0[2] x1[2] x0[3] x1[3]
	VUNPCKLPS X3, X2, X6
	VUNPCKHPS X3, X2, X7
	VUNPCKLPD X6, X4, X0 // column 0
	VUNPCKHPD X6, X4, X1
	VUNPCKLPD X7, X5, X2
	VUNPCKHPD X7, X5, X3
	VMOVUPS   X0, (DI)
	VMOVUPS   X1, (DI)(DX*1)
	VMOVUPS   X2, (DI)(DX*2)
	VMOVUPS   X3, (DI)(R9*1)
	ADDQ      $16, SI
	LEAQ      (DI)(DX*4), DI
	SUBQ      $4, CX
	JNZ       block

return:
	RET

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

// QUARTERS loads four values of each of the rows at p, p+4, p+8 and p+12 into
// the quarters of a register.
#define QUARTERS(p, z) \
	VMOVUPS (p), X8 \
	VINSERTF32X4 $1, (p)(DX*1), Z8, z \
	VINSERTF32X4 $2, (p)(DX*2), z, z \
	VINSERTF32X4 $3, (p)(R11*1), z, z \
	ADDQ $16, p

// func transpose16AVX512(dst []float32, width int, x []float32, ld, ks int) (done int)
//
// Writes dst[k*width+i] = x[i*ld+k] for i < 16 and k < ks&^3.
TEXT ·transpose16AVX512(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ x_base+32(FP), SI
	MOVQ ld+56(FP), BX
	SHLQ $2, BX
	MOVQ ks+64(FP), CX
	ANDQ $~3, CX
	MOVQ CX, done+72(FP)
	JZ   return
	LEAQ (SI)(BX*1), R8 // rows 1, 2 and 3
	LEAQ (SI)(BX*2), R9
	LEAQ (R8)(BX*2), R10
	MOVQ BX, DX
	SHLQ $2, DX         // four rows of x
	LEAQ (DX)(DX*2), R11
	MOVQ width+24(FP), AX
	SHLQ $2, AX
	LEAQ (AX)(AX*2), R12

block:
	QUARTERS(SI, Z0)
	QUARTERS(R8, Z1)
	QUARTERS(R9, Z2)
	QUARTERS(R10, Z3)
	VUNPCKLPS Z1, Z0, Z4
	VUNPCKHPS Z1, Z0, Z5
	VUNPCKLPS Z3, Z2, Z6
	VUNPCKHPS Z3, Z2, Z7
	VUNPCKLPD Z6, Z4, Z0
	VUNPCKHPD Z6, Z4, Z1
	VUNPCKLPD Z7, Z5, Z2
	VUNPCKHPD Z7, Z5, Z3
	VMOVUPS   Z0, (DI)
	VMOVUPS   Z1, (DI)(AX*1)
	VMOVUPS   Z2, (DI)(AX*2)
	VMOVUPS   Z3, (DI)(R12*1)
	LEAQ      (DI)(AX*4), DI
	SUBQ      $4, CX
	JNZ       block
	VZEROUPPER

return:
	RET

//go:build !noasm

#include "textflag.h"

// The channels of a position are taken a vector at a time: BX of them are left,
// at AX bytes. VFMADD231PS m, y, z is z += y*m, rounded once.

// func depthwiseAVX512(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)
//
// Equals depthwise.
TEXT ·depthwiseAVX512(SB), NOSPLIT, $0-160
	MOVQ positions+0(FP), R15
	MOVQ y_base+16(FP), R8
	MOVQ s_base+40(FP), R9
	MOVQ lds+64(FP), R12
	SHLQ $2, R12
	MOVQ x_base+72(FP), R10
	MOVQ step+96(FP), R13
	SHLQ $2, R13
	MOVQ stride+152(FP), R14
	SHLQ $2, R14
	TESTQ R15, R15
	JZ   return

position:
	MOVQ channels+8(FP), BX // left
	XORQ AX, AX             // offset of the channels at hand

channels:
	MOVL  $0xffff, R11
	CMPQ  BX, $16
	JGE   masked
	MOVQ  BX, CX
	MOVL  $1, R11
	SHLL  CX, R11
	DECL  R11

masked:
	KMOVW R11, K1
	VMOVUPS.Z (R9)(AX*1), K1, Z0
	MOVQ w_base+128(FP), DI
	ADDQ AX, DI
	LEAQ (R10)(AX*1), DX
	MOVQ off_base+104(FP), SI
	MOVQ off_len+112(FP), CX
	TESTQ CX, CX
	JZ   store

tap:
	MOVQ (SI), R11
	VMOVUPS.Z (DX)(R11*4), K1, Z1
	VMOVUPS.Z (DI), K1, Z2
	VFMADD231PS Z2, Z1, Z0
	ADDQ R14, DI
	ADDQ $8, SI
	DECQ CX
	JNZ  tap

store:
	VMOVUPS Z0, K1, (R8)(AX*1)
	ADDQ $64, AX
	SUBQ $16, BX
	JGT  channels
	ADDQ R14, R8
	ADDQ R12, R9
	ADDQ R13, R10
	DECQ R15
	JNZ  position

return:
	VZEROUPPER
	RET

// func depthwiseAVX2(positions, channels int, y, s []float32, lds int, x []float32, step int, off []int, w []float32, stride int)
//
// Equals depthwise for channels that are a multiple of 8.
TEXT ·depthwiseAVX2(SB), NOSPLIT, $0-160
	MOVQ positions+0(FP), R15
	MOVQ y_base+16(FP), R8
	MOVQ s_base+40(FP), R9
	MOVQ lds+64(FP), R12
	SHLQ $2, R12
	MOVQ x_base+72(FP), R10
	MOVQ step+96(FP), R13
	SHLQ $2, R13
	MOVQ stride+152(FP), R14
	SHLQ $2, R14
	TESTQ R15, R15
	JZ   return

position:
	MOVQ channels+8(FP), BX // left
	XORQ AX, AX             // offset of the channels at hand

channels:
	VMOVUPS (R9)(AX*1), Y0
	MOVQ w_base+128(FP), DI
	ADDQ AX, DI
	LEAQ (R10)(AX*1), DX
	MOVQ off_base+104(FP), SI
	MOVQ off_len+112(FP), CX
	TESTQ CX, CX
	JZ   store

tap:
	MOVQ (SI), R11
	VMOVUPS (DX)(R11*4), Y1
	VMOVUPS (DI), Y2
	VFMADD231PS Y2, Y1, Y0
	ADDQ R14, DI
	ADDQ $8, SI
	DECQ CX
	JNZ  tap

store:
	VMOVUPS Y0, (R8)(AX*1)
	ADDQ $32, AX
	SUBQ $8, BX
	JGT  channels
	ADDQ R14, R8
	ADDQ R12, R9
	ADDQ R13, R10
	DECQ R15
	JNZ  position

return:
	VZEROUPPER
	RET

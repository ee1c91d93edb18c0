package cpu

import (
	"reprise/kernel"
	"reprise/tensor"
)

// newTable lists the kernels: assembly before the portable ones. Each of them is
// bit-equal to its portable reference.
func newTable(gemm Gemm, elements elementKernels) kernel.Table {
	var table kernel.Table
	add := func(variant string, requirements []kernel.Feature, operations ...kernel.Operation) {
		for _, op := range operations {
			table = append(table, kernel.Kernel{
				Name: string(op) + "." + variant, Operation: op, DType: tensor.Float32,
				Requirements: requirements,
			})
		}
	}
	products := []kernel.Operation{
		kernel.OpMatMul, kernel.OpBatchMatMul, kernel.OpConv2D, kernel.OpConv2DGradInput, kernel.OpConv2DGradWeight,
		kernel.OpDepthwiseConv2D, kernel.OpDepthwiseConv2DGradInput, kernel.OpDepthwiseConv2DGradWeight,
		kernel.OpAttention, kernel.OpAttentionGrad,
	}
	switch gemm.Level() {
	case LevelAVX512:
		add(gemm.Name(), []kernel.Feature{kernel.AVX512, kernel.FMA}, products...)
	case LevelAVX2:
		add(gemm.Name(), []kernel.Feature{kernel.AVX2, kernel.FMA}, products...)
	case LevelNEON:
		add(gemm.Name(), []kernel.Feature{kernel.NEON, kernel.FMA}, products...)
	case LevelAuto, LevelNone:
	}
	portable := portableElements().name
	switch elements.name {
	case LevelAVX512.String():
		add(elements.name, []kernel.Feature{kernel.AVX512, kernel.FMA}, elementOperations()...)
	case LevelAVX2.String():
		add(elements.name, []kernel.Feature{kernel.AVX2, kernel.FMA}, elementOperations()...)
	}
	add(portable, nil, products...)
	add(portable, nil, elementOperations()...)
	add(portable, nil,
		kernel.OpMaxPool2DGrad, kernel.OpAvgPool2D, kernel.OpAvgPool2DGrad,
		kernel.OpEmbedding, kernel.OpCopyColumns, kernel.OpTokenColumns, kernel.OpRunningAverage)
	return table
}

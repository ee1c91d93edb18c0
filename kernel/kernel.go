// Package kernel is the shared vocabulary of the model and the device contexts:
// the operations both refer to, the instructions that make up a planned
// Program, and the Table that selects a kernel for (operation, dtype,
// capability).
//
// kernel/cpu implements every operation for the host: a portable reference and
// assembly that is bit-equal to it. Nothing here computes.
package kernel

import (
	"fmt"

	"reprise/fault"
	"reprise/tensor"
)

// ErrNoKernel is returned if no registered kernel runs on a capability.
var ErrNoKernel = fault.New(fault.Invalid, "no kernel for this operation on this device")

// Operation is what is computed, independent of how.
type Operation string

// The operations. The instruction of the same name documents the operands and
// the order of every sum.
const (
	OpMatMul                    Operation = "matmul"
	OpBatchMatMul               Operation = "batch_matmul"
	OpConv2D                    Operation = "conv2d"
	OpConv2DGradInput           Operation = "conv2d_grad_input"
	OpConv2DGradWeight          Operation = "conv2d_grad_weight"
	OpDepthwiseConv2D           Operation = "depthwise_conv2d"
	OpDepthwiseConv2DGradInput  Operation = "depthwise_conv2d_grad_input"
	OpDepthwiseConv2DGradWeight Operation = "depthwise_conv2d_grad_weight"
	OpMaxPool2D                 Operation = "max_pool2d"
	OpMaxPool2DGrad             Operation = "max_pool2d_grad"
	OpAvgPool2D                 Operation = "avg_pool2d"
	OpAvgPool2DGrad             Operation = "avg_pool2d_grad"
	OpActivation                Operation = "activation"
	OpActivationGrad            Operation = "activation_grad"
	OpSumRows                   Operation = "sum_rows"
	OpSoftmaxCrossEntropy       Operation = "softmax_cross_entropy"
	OpTreeSum                   Operation = "tree_sum"
	OpSGD                       Operation = "sgd"
	OpAdam                      Operation = "adam"
	OpAdd                       Operation = "add"
	OpAddRow                    Operation = "add_row"
	OpScale                     Operation = "scale"
	OpDropout                   Operation = "dropout"
	OpEmbedding                 Operation = "embedding"
	OpEmbeddingGrad             Operation = "embedding_grad"
	OpCopyColumns               Operation = "copy_columns"
	OpTokenColumns              Operation = "token_columns"
	OpMeanTokens                Operation = "mean_tokens"
	OpMeanTokensGrad            Operation = "mean_tokens_grad"
	OpRunningAverage            Operation = "running_average"
	OpClipNorm                  Operation = "clip_norm"
	OpLayerNorm                 Operation = "layer_norm"
	OpLayerNormGrad             Operation = "layer_norm_grad"
	OpRMSNorm                   Operation = "rms_norm"
	OpRMSNormGrad               Operation = "rms_norm_grad"
	OpBatchNorm                 Operation = "batch_norm"
	OpBatchNormGrad             Operation = "batch_norm_grad"
	OpBatchNormApply            Operation = "batch_norm_apply"
	OpAttention                 Operation = "attention"
	OpAttentionGrad             Operation = "attention_grad"
	OpMeanSquaredError          Operation = "mean_squared_error"
	OpAbsoluteError             Operation = "absolute_error"
	OpReweightLoss              Operation = "reweight_loss"
	OpStoreBF16                 Operation = "store_bf16"
	OpLoadBF16                  Operation = "load_bf16"
)

// Kernel is one implementation of an operation: what it computes, for which
// element type, and what it requires of the hardware.
type Kernel struct {
	Name         string // such as "matmul.avx512"
	Operation    Operation
	DType        tensor.DType
	Requirements []Feature
}

// RunsOn reports whether the capability meets every requirement.
func (k Kernel) RunsOn(c Capability) bool {
	for _, f := range k.Requirements {
		if !c.Supports(f) {
			return false
		}
	}
	return true
}

// Table lists kernels in order of preference: the first suitable one is
// selected.
type Table []Kernel

// KernelForOperation returns the first kernel of the table for op and dtype
// that runs on the capability, or ErrNoKernel.
func (t Table) KernelForOperation(op Operation, dtype tensor.DType, c Capability) (Kernel, error) {
	for _, k := range t {
		if k.Operation == op && k.DType == dtype && k.RunsOn(c) {
			return k, nil
		}
	}
	return Kernel{}, fmt.Errorf("%s in %s: %w", op, dtype, ErrNoKernel)
}

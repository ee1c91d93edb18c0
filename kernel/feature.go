package kernel

// Feature names something that a kernel may require of the hardware.
type Feature string

// The features a kernel can ask for. docs/numerics.md says which of them are
// compatible with the bit-exact contract.
const (
	FP64        Feature = "fp64"         // double precision arithmetic
	FMA         Feature = "fma"          // correctly rounded float32 fused multiply-add
	FP16        Feature = "fp16"         // half precision arithmetic
	BF16        Feature = "bf16"         // bfloat16 arithmetic
	INT8Dot     Feature = "int8_dot"     // four-way int8 dot product
	TensorCores Feature = "tensor_cores" // matrix multiply-accumulate units
	TF32        Feature = "tf32"         // 19-bit matrix inputs
	FP8         Feature = "fp8"          // 8-bit floating point matrix inputs
	AsyncCopy   Feature = "async_copy"   // global to shared memory without registers
	UnifiedMem  Feature = "unified_memory"
	CoopGroups  Feature = "cooperative_groups"
	AVX2        Feature = "avx2"   // x86-64, with FMA3 and OS support for YMM state
	AVX512      Feature = "avx512" // x86-64 F+BW+DQ+VL, with OS support for ZMM state
	NEON        Feature = "neon"   // arm64
)

// Capability answers whether a piece of hardware has a feature.
// device.ComputeCapability is the implementation.
type Capability interface {
	Supports(Feature) bool
}

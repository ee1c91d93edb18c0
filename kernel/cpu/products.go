package cpu

import "reprise/kernel"

func (b *binder) matMul(in kernel.MatMul) step {
	args := MatMulArgs{
		M: in.M, N: in.N, K: in.K,
		A: b.f32(in.A), LDA: in.K, TransA: in.TransA,
		B: b.f32(in.B), LDB: in.N, TransB: in.TransB,
		C: b.f32(in.C), LDC: in.N,
		Bias: b.f32(in.Bias), Accumulate: in.Accumulate,
	}
	if in.TransA {
		args.LDA = in.M
	}
	if in.TransB {
		args.LDB = in.K
	}
	return b.product(args)
}

func (b *binder) batchMatMul(in kernel.BatchMatMul) step {
	args := MatMulArgs{
		M: in.M, N: in.N, K: in.K, Batch: in.Batch,
		A: b.f32(in.A.Span), LDA: in.A.LD, StrideA: in.A.Stride, TransA: in.TransA,
		B: b.f32(in.B.Span), LDB: in.B.LD, StrideB: in.B.Stride, TransB: in.TransB,
		C: b.f32(in.C.Span), LDC: in.C.LD, StrideC: in.C.Stride, Accumulate: in.Accumulate,
	}
	return b.product(args)
}

// product returns the step of a product and of the instructions fused with it.
func (b *binder) product(args MatMulArgs) step {
	if b.afterGrain > 0 {
		args.Then, args.ThenGrain = b.after, b.afterGrain
	}
	return always(func() { b.gemm.MatMul(b.pool, args) })
}

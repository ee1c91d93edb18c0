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
	if b.afterGrain > 0 {
		args.Then, args.ThenGrain = b.after, b.afterGrain
	}
	return always(func() { b.gemm.MatMul(b.pool, args) })
}

package cpu

import "reprise/kernel"

// The instructions that are matrix products. A convolution's patches are packed
// as the product goes (patches.go); they are never laid out in memory at once.

func (b *binder) product(args MatMulArgs) func() {
	return func() { b.gemm.MatMul(b.pool, args) }
}

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
	return always(b.product(args))
}

// placed returns where the placed images will be and the function that puts
// them there before each use: x itself and nil where they stay as they are.
func (b *binder) placed(p placement, x []float32) (images []float32, place func()) {
	if p.trivial() {
		return x, nil
	}
	images = b.scratch(p.elements())
	grain := max(1, cheapGrain/(p.height*p.width*p.c))
	return images, b.ranges(p.n, grain, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			p.image(images, x, n)
		}
	})
}

// after makes a step of a product that needs placed images first.
func after(place, product func()) step {
	if place == nil {
		return always(product)
	}
	return always(func() {
		place()
		product()
	})
}

// conv2D is Y[p,o] = patches(X)[p,k] Weight[o,k], with p = (n,oh,ow) and
// k = (kh,kw,i).
func (b *binder) conv2D(in kernel.Conv2D) step {
	k := in.KernelH * in.KernelW * in.InChannels
	x, place := b.placed(padding(in.ConvShape), b.f32(in.X))
	return after(place, b.product(MatMulArgs{
		M: in.N * in.OutH * in.OutW, N: in.OutChannels, K: k,
		PackA: &gatherRows{patches(in.ConvShape, x)},
		B:     b.f32(in.Weight), LDB: k, TransB: true,
		C: b.f32(in.Y), LDC: in.OutChannels,
		Bias: b.f32(in.Bias),
	}))
}

// conv2DGradInput is DX[q,i] = gradPatches(DY)[q,k] Weight[k,i], with
// q = (n,h,w) and k = (kh,kw,o).
func (b *binder) conv2DGradInput(in kernel.Conv2DGradInput) step {
	dy, place := b.placed(spread(in.ConvShape), b.f32(in.DY))
	return after(place, b.product(MatMulArgs{
		M: in.N * in.H * in.W, N: in.InChannels, K: in.KernelH * in.KernelW * in.OutChannels,
		PackA: &gatherRows{gradPatches(in.ConvShape, dy)},
		PackB: &weightColumns{b.f32(in.Weight), in.ConvShape},
		C:     b.f32(in.DX), LDC: in.InChannels,
	}))
}

// conv2DGradWeight is DWeight[o,k] = DY[p,o] patches(X)[p,k], summed over
// p = (n,oh,ow), with k = (kh,kw,i).
func (b *binder) conv2DGradWeight(in kernel.Conv2DGradWeight) step {
	k := in.KernelH * in.KernelW * in.InChannels
	x, place := b.placed(padding(in.ConvShape), b.f32(in.X))
	return after(place, b.product(MatMulArgs{
		M: in.OutChannels, N: k, K: in.N * in.OutH * in.OutW,
		PackA: &gatherColumns{rowsOf(b.f32(in.DY), in.OutChannels)},
		PackB: &gatherColumns{patches(in.ConvShape, x)},
		C:     b.f32(in.DWeight), LDC: k,
	}))
}

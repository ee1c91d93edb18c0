package kernel

import "testing"

func TestDepthwiseInstructionsRefuseContradictions(t *testing.T) {
	shape := ConvShape{N: 2, H: 5, W: 4, InChannels: 3, OutH: 5, OutW: 4, OutChannels: 3, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
	const image, weight = 2 * 5 * 4 * 3, 3 * 3 * 3
	make3 := func(s ConvShape) []Instruction {
		return []Instruction{
			DepthwiseConv2D{ConvShape: s, X: at(1, image), Weight: at(2, weight), Bias: at(3, 3), Y: at(4, image)},
			DepthwiseConv2DGradInput{ConvShape: s, DY: at(1, image), Weight: at(2, weight), DX: at(3, image)},
			DepthwiseConv2DGradWeight{ConvShape: s, X: at(1, image), DY: at(2, image), DWeight: at(3, weight)},
		}
	}
	wider, taller := shape, shape
	wider.OutChannels = 6
	taller.OutH = 6
	for i, in := range make3(shape) {
		check(t, "valid", in, "")
		check(t, "more channels out than in", make3(wider)[i], "OutChannels")
		check(t, "another height", make3(taller)[i], "OutH")
		for _, o := range operandsOf(in) {
			check(t, o.field+" short", alter(t, in, o.field, func(s Span) Span { return Span{s.Offset, s.Len - 1} }), o.field)
			if !o.optional {
				check(t, o.field+" absent", alter(t, in, o.field, func(Span) Span { return Span{} }), o.field)
			}
		}
	}
	in := make3(shape)[0].(DepthwiseConv2D)
	in.Y = in.X
	check(t, "in place", in, "Y")
}

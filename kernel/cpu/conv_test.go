package cpu

import (
	"math/rand"
	"testing"

	"reprise/kernel"
)

// Geometries that make the convolutions cut their sums into blocks, read output
// gradients where they lie, and place images once for all parts or one by one.
func TestConvolutionsAcrossBlocksGiveTheBitsOfTheirTwins(t *testing.T) {
	same := func(n, h, w, in, out, k int) kernel.ConvShape {
		return kernel.ConvShape{N: n, H: h, W: w, InChannels: in, OutH: h, OutW: w, OutChannels: out,
			KernelH: k, KernelW: k, StrideH: 1, StrideW: 1, PadH: k / 2, PadW: k / 2}
	}
	backends := allBackends(t)
	deep := backends[0].gemm.variant.tile.depth
	for name, g := range map[string]kernel.ConvShape{
		"deep patches":           same(1, 4, 3, 128, 20, 3),
		"deep gradient patches":  same(2, 3, 4, 20, 128, 3),
		"many rows, whole lanes": same(2, 15, 64, 48, 32, 1),
		"many rows, part lanes":  same(2, 16, 64, 49, 20, 1),
		"many images":            same(33, 5, 5, 3, 33, 3),
	} {
		t.Run(name, func(t *testing.T) {
			forward := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2D{ConvShape: g, X: l.span(inputs(g)), Weight: l.span(weights(g)), Bias: l.span(g.OutChannels), Y: l.span(outputs(g))}, nil
			}
			gradInput := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2DGradInput{ConvShape: g, DY: l.span(outputs(g)), Weight: l.span(weights(g)), DX: l.span(inputs(g))}, nil
			}
			gradWeight := func(_ source, l *layout) (kernel.Instruction, func(*rand.Rand, twin)) {
				return kernel.Conv2DGradWeight{ConvShape: g, X: l.span(inputs(g)), DY: l.span(outputs(g)), DWeight: l.span(weights(g))}, nil
			}
			for i, make1 := range []maker{forward, gradInput, gradWeight} {
				newTrial(largeSource{}, int64(i), false, make1).check(t, backends)
			}
		})
	}
	// The premises of the names above.
	deepest := patches(same(1, 4, 3, 128, 20, 3))
	if depth := deepest.depth(); depth <= deep || depth <= 1024 {
		t.Errorf("patches of depth %d fit one block of %d", depth, deep)
	}
	if rows := 2 * 15; rows <= stripElements/(64*48+64*32) {
		t.Errorf("%d rows of outputs fit one block", rows)
	}
}

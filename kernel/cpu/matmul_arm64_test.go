//go:build !noasm

package cpu

import (
	"testing"

	"reprise/kernel"
)

// TestProductsUseNEON makes sure that the other tests compare what they claim
// to on arm64: the backend's default is NEON, and "none" does not use it.
func TestProductsUseNEON(t *testing.T) {
	b := newTestBackend(t, Config{Threads: 1})
	if b.Level() != LevelNEON || b.Degraded() != nil || b.gemm.variant.name != "neon" {
		t.Errorf("level %s, variant %s, degraded: %v", b.Level(), b.gemm.variant.name, b.Degraded())
	}
	none := newTestBackend(t, Config{Threads: 1, Features: LevelNone})
	for _, op := range []kernel.Operation{kernel.OpMatMul, kernel.OpConv2D, kernel.OpDepthwiseConv2DGradWeight, kernel.OpAttentionGrad} {
		if got, want := b.Selected(op).Name, string(op)+".neon"; got != want {
			t.Errorf("selected %s, want %s", got, want)
		}
		if got, want := none.Selected(op).Name, string(op)+".portable"; got != want {
			t.Errorf("with none selected %s, want %s", got, want)
		}
	}
	if got := b.Selected(kernel.OpActivation).Name; got != "activation.portable" {
		t.Errorf("selected %s", got)
	}
	if strip := newStripKernel(b.Level()); strip.cols != 16 || newStripKernel(LevelNone).cols != 4 {
		t.Errorf("attention multiplies %d columns at a time", strip.cols)
	}
}

package kernel

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// at returns a span; spans whose from differ by 1000 or more do not overlap.
func at(from, n int) Span { return Span{Offset: from * 1000, Len: n} }

// valid returns one valid instruction of each kind in elementwise.go, norm.go,
// loss.go and bfloat16.go, with M = 3, N = 4 and V = 5.
func valid() map[Operation]Instruction {
	return map[Operation]Instruction{
		OpAdd:            Add{A: at(1, 12), B: at(2, 12), Out: at(3, 12)},
		OpAddRow:         AddRow{M: 3, N: 4, X: at(1, 12), Row: at(2, 4), Y: at(3, 12)},
		OpScale:          Scale{X: at(1, 12), Y: at(2, 12), Factor: -2},
		OpDropout:        Dropout{X: at(1, 12), Y: at(2, 12), Rate: 0.5, Stream: 3, First: 7},
		OpEmbedding:      Embedding{M: 3, N: 4, V: 5, Tokens: at(1, 3), Table: at(2, 20), Y: at(3, 12)},
		OpEmbeddingGrad:  EmbeddingGrad{M: 3, N: 4, V: 5, Tokens: at(1, 3), DY: at(2, 12), DTable: at(3, 20)},
		OpCopyColumns:    CopyColumns{M: 3, N: 4, XN: 6, XFirst: 2, YN: 5, YFirst: 1, X: at(1, 18), Y: at(2, 15)},
		OpTokenColumns:   TokenColumns{M: 3, N: 4, XN: 6, First: 2, X: at(1, 18), Y: at(2, 12)},
		OpMeanTokens:     MeanTokens{M: 3, T: 2, N: 4, Tokens: at(1, 6), X: at(2, 24), Y: at(3, 12)},
		OpMeanTokensGrad: MeanTokensGrad{M: 3, T: 2, N: 4, Tokens: at(1, 6), DY: at(2, 12), DX: at(3, 24)},
		OpRunningAverage: RunningAverage{Running: at(1, 12), Batch: at(2, 12), Momentum: 0.1, Factor: 1.5},
		OpClipNorm:       ClipNorm{Grad: at(1, 12), Norm: at(2, 1), MaxNorm: 1},
		OpLayerNorm: LayerNorm{M: 3, N: 4, Epsilon: 1e-5, X: at(1, 12), Gain: at(2, 4), Bias: at(3, 4), Y: at(4, 12),
			Mean: at(5, 3), InvStd: at(6, 3)},
		OpLayerNormGrad: LayerNormGrad{M: 3, N: 4, X: at(1, 12), Gain: at(2, 4), Mean: at(3, 3), InvStd: at(4, 3), DY: at(5, 12),
			DX: at(6, 12), DGain: at(7, 4), DBias: at(8, 4)},
		OpRMSNorm: RMSNorm{M: 3, N: 4, Epsilon: 1e-5, X: at(1, 12), Gain: at(2, 4), Y: at(4, 12), InvStd: at(6, 3)},
		OpRMSNormGrad: RMSNormGrad{M: 3, N: 4, X: at(1, 12), Gain: at(2, 4), InvStd: at(4, 3), DY: at(5, 12),
			DX: at(6, 12), DGain: at(7, 4)},
		OpBatchNorm: BatchNorm{M: 3, N: 4, Epsilon: 1e-5, X: at(1, 12), Gain: at(2, 4), Bias: at(3, 4), Y: at(4, 12),
			Mean: at(5, 4), InvStd: at(6, 4), BatchMean: at(7, 4), BatchVar: at(8, 4)},
		OpBatchNormGrad: BatchNormGrad{M: 3, N: 4, X: at(1, 12), Gain: at(2, 4), Mean: at(3, 4), InvStd: at(4, 4), DY: at(5, 12),
			DX: at(6, 12), DGain: at(7, 4), DBias: at(8, 4)},
		OpBatchNormApply: BatchNormApply{M: 3, N: 4, Epsilon: 1e-5, X: at(1, 12), Mean: at(2, 4), Var: at(3, 4), Gain: at(4, 4),
			Bias: at(5, 4), Y: at(6, 12)},
		OpMeanSquaredError: MeanSquaredError{M: 3, N: 4, Scale: 1, Prediction: at(1, 12), Target: at(2, 12), Loss: at(3, 3),
			DPrediction: at(4, 12)},
		OpAbsoluteError: AbsoluteError{M: 3, N: 4, Scale: 1, Delta: 2, Prediction: at(1, 12), Target: at(2, 12), Loss: at(3, 3),
			DPrediction: at(4, 12)},
		OpReweightLoss: ReweightLoss{M: 3, N: 4, Gamma: 2, Loss: at(1, 3), Weight: at(2, 3), DLogits: at(3, 12)},
		OpStoreBF16:    StoreBF16{X: at(1, 11), Y: at(2, 6)},
		OpLoadBF16:     LoadBF16{X: at(1, 6), Y: at(2, 11)},
	}
}

// check expects an InstructionError for the operation and field, or none.
func check(t *testing.T, what string, in Instruction, field string) {
	t.Helper()
	err := in.Validate()
	if field == "" {
		if err != nil {
			t.Errorf("%s, %s: %v, want no error", in.Operation(), what, err)
		}
		return
	}
	var bad *InstructionError
	if !errors.As(err, &bad) || bad.Operation != in.Operation() || bad.Field != field {
		t.Errorf("%s, %s: %v, want an InstructionError for %s", in.Operation(), what, err, field)
	}
}

// alter returns the instruction with its operand's span changed.
func alter(t *testing.T, in Instruction, field string, change func(Span) Span) Instruction {
	t.Helper()
	altered, ok := withField(in, field, change)
	if !ok {
		t.Fatalf("%s has no span %s", in.Operation(), field)
	}
	return altered
}

func TestLayerInstructionsRefuseUnsuitableOperands(t *testing.T) {
	for op, in := range valid() {
		check(t, "valid", in, "")
		if in.Operation() != op {
			t.Errorf("%T is %s, want %s", in, in.Operation(), op)
		}
		for _, o := range operandsOf(in) {
			if o.optional {
				check(t, o.field+" absent", alter(t, in, o.field, func(Span) Span { return Span{} }), "")
			} else {
				check(t, o.field+" absent", alter(t, in, o.field, func(Span) Span { return Span{} }), o.field)
			}
			check(t, o.field+" at a negative offset", alter(t, in, o.field, func(s Span) Span { return Span{-1, s.Len} }), o.field)
			if o.want > 1 && !measures(op, o.field) {
				check(t, o.field+" short", alter(t, in, o.field, func(s Span) Span { return Span{s.Offset, s.Len - 1} }), o.field)
			}
		}
	}
}

// measures reports whether the operand's length determines that of the others;
// the error then names another one.
func measures(op Operation, field string) bool {
	return map[Operation]string{
		OpAdd: "A", OpScale: "X", OpDropout: "X", OpRunningAverage: "Running", OpClipNorm: "Grad",
		OpStoreBF16: "X", OpLoadBF16: "Y",
	}[op] == field
}

func TestLayerInstructionsRefuseOverlaps(t *testing.T) {
	// Operands that may coincide; every other written operand overlaps nothing.
	allowed := map[Operation][][2]string{
		OpAdd: {{"Out", "A"}, {"Out", "B"}}, OpAddRow: {{"Y", "X"}}, OpScale: {{"Y", "X"}}, OpDropout: {{"Y", "X"}},
		OpLayerNorm: {{"Y", "X"}}, OpRMSNorm: {{"Y", "X"}}, OpBatchNormApply: {{"Y", "X"}},
		OpLayerNormGrad: {{"DX", "DY"}}, OpRMSNormGrad: {{"DX", "DY"}}, OpBatchNormGrad: {{"DX", "DY"}},
		OpMeanSquaredError: {{"DPrediction", "Prediction"}},
		OpAbsoluteError:    {{"DPrediction", "Prediction"}},
	}
	for op, in := range valid() {
		all := operandsOf(in)
		for i, o := range all {
			for _, other := range all[:i] {
				if o.span.Len == other.span.Len {
					same := alter(t, in, o.field, func(Span) Span { return other.span })
					permitted := !o.written && !other.written
					for _, pair := range allowed[op] {
						permitted = permitted || pair == [2]string{o.field, other.field} || pair == [2]string{other.field, o.field}
					}
					if err := same.Validate(); permitted != (err == nil) {
						t.Errorf("%s, %s is %s: %v, want permitted: %t", op, o.field, other.field, err, permitted)
					}
				}
				// One element in common.
				shifted := alter(t, in, o.field, func(s Span) Span { return Span{other.span.Offset + other.span.Len - 1, s.Len} })
				if err := shifted.Validate(); (o.written || other.written) && (o.span.Len > 1 || other.span.Len > 1) && err == nil {
					t.Errorf("%s, %s shares an element with %s: no error", op, o.field, other.field)
				}
			}
		}
	}
}

func TestLayerInstructionsRefuseBadNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	v := valid()
	for _, bad := range []float32{nan, inf, -inf} {
		in := v[OpScale].(Scale)
		in.Factor = bad
		check(t, "no number", in, "Factor")
		mse := v[OpMeanSquaredError].(MeanSquaredError)
		mse.Scale = bad
		check(t, "no number", mse, "Scale")
		absolute := v[OpAbsoluteError].(AbsoluteError)
		absolute.Scale = bad
		check(t, "no number", absolute, "Scale")
	}
	for _, bad := range []float32{nan, inf, -1, 1} {
		in := v[OpDropout].(Dropout)
		in.Rate = bad
		check(t, "no rate", in, "Rate")
		average := v[OpRunningAverage].(RunningAverage)
		average.Momentum = bad
		check(t, "no momentum", average, "Momentum")
	}
	for _, bad := range []float32{nan, inf, -1} {
		average := v[OpRunningAverage].(RunningAverage)
		average.Factor = bad
		check(t, "no factor", average, "Factor")
		clip := v[OpClipNorm].(ClipNorm)
		clip.MaxNorm = bad
		check(t, "no norm", clip, "MaxNorm")
		absolute, focal := v[OpAbsoluteError].(AbsoluteError), v[OpReweightLoss].(ReweightLoss)
		absolute.Delta, focal.Gamma = bad, bad
		check(t, "no limit", absolute, "Delta")
		check(t, "no exponent", focal, "Gamma")
		layer, rms := v[OpLayerNorm].(LayerNorm), v[OpRMSNorm].(RMSNorm)
		batch, apply := v[OpBatchNorm].(BatchNorm), v[OpBatchNormApply].(BatchNormApply)
		layer.Epsilon, rms.Epsilon, batch.Epsilon, apply.Epsilon = bad, bad, bad, bad
		for _, in := range []Instruction{layer, rms, batch, apply} {
			check(t, "no epsilon", in, "Epsilon")
		}
	}
	for _, bad := range []float32{nan, inf, -0.1, 1} {
		check(t, "no share", SoftmaxCrossEntropy{M: 1, N: 2, Smoothing: bad}, "Smoothing")
	}
	for _, bad := range []int{-1, 1 << 24} {
		in := v[OpDropout].(Dropout)
		in.Stream = bad
		check(t, "no stream", in, "Stream")
	}
	for _, bad := range []int{-1, 1<<40 - 12, 1 << 40} {
		in := v[OpDropout].(Dropout)
		in.First = bad
		check(t, "no place", in, "First")
	}
	last := v[OpDropout].(Dropout)
	last.Stream, last.First = 1<<24-1, 1<<40-13
	check(t, "the last place", last, "")
}

func TestLayerInstructionsRefuseBadDimensions(t *testing.T) {
	for op, in := range valid() {
		for _, field := range []string{"M", "N", "V"} {
			for _, bad := range []int{0, -1} {
				if altered, ok := withInt(in, field, bad); ok {
					check(t, "no size", altered, field)
				}
			}
			if altered, ok := withInt(in, field, math.MaxInt); ok {
				if err := altered.Validate(); err == nil || strings.Contains(err.Error(), "panic") {
					t.Errorf("%s with %s = MaxInt: %v, want an error", op, field, err)
				}
			}
		}
	}
	for _, op := range []Operation{OpEmbedding, OpEmbeddingGrad} {
		in, _ := withInt(valid()[op], "V", math.MaxInt32)
		check(t, "V beyond int32", in, "V")
	}
}

func TestProgramKeepsLayerInstructionsWithinItsMemory(t *testing.T) {
	for op, in := range valid() {
		end := 0
		for _, o := range operandsOf(in) {
			end = max(end, o.span.Offset+o.span.Len)
		}
		p := &Program{Name: "p", Instructions: []Instruction{in}, Elements: end}
		if err := p.Validate(); err != nil {
			t.Errorf("%s within its memory: %v", op, err)
		}
		p.Elements--
		var bad *InstructionError
		if err := p.Validate(); !errors.As(err, &bad) {
			t.Errorf("%s outside its memory: %v, want an InstructionError", op, err)
		}
	}
}

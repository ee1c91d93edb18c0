package kernel

import (
	"fmt"
	"math"

	"reprise/fault"
)

// InstructionError says which field of an instruction contradicts the others.
type InstructionError struct {
	Operation Operation
	Field     string // such as "Bias" or "OutH"
	Got, Want string
}

// Error names the operation, the field, its value and what would be right.
func (e *InstructionError) Error() string {
	return fmt.Sprintf("%s: %s: %s must be %s", e.Operation, e.Field, e.Got, e.Want)
}

// Kind returns Internal.
func (e *InstructionError) Kind() fault.Kind { return fault.Internal }

// Validate fails with an *InstructionError, wrapped with the instruction's
// index, unless every instruction is valid and stays within Elements.
func (p *Program) Validate() error {
	if p.Elements < 0 {
		return fmt.Errorf("program %q: Elements is %d, want at least 0", p.Name, p.Elements)
	}
	for i, instruction := range p.Instructions {
		if err := p.validate(instruction); err != nil {
			return fmt.Errorf("program %q, instruction %d: %w", p.Name, i, err)
		}
	}
	return nil
}

func (p *Program) validate(instruction Instruction) error {
	known, ok := instruction.(interface{ operands() []operand })
	if !ok {
		return fmt.Errorf("%T is not one of the kernel package's instructions", instruction)
	}
	if err := instruction.Validate(); err != nil {
		return err
	}
	for _, o := range known.operands() {
		if o.span.Offset > p.Elements-o.span.Len {
			return &InstructionError{instruction.Operation(), o.field, o.span.String(),
				fmt.Sprintf("within the program's %d elements", p.Elements)}
		}
	}
	return nil
}

// String formats the span as [offset,end).
func (s Span) String() string { return fmt.Sprintf("[%d,%d)", s.Offset, s.Offset+s.Len) }

// Overlaps reports whether the spans have an element in common.
func (s Span) Overlaps(other Span) bool {
	return s.Len > 0 && other.Len > 0 && s.Offset < other.Offset+other.Len && other.Offset < s.Offset+s.Len
}

// operand is a span of an instruction together with its requirements.
type operand struct {
	field    string
	span     Span
	want     int // elements; -1 for more than an int holds
	optional bool
	written  bool
	// sameAs names the operand that this written one may coincide with.
	// Otherwise a written operand overlaps nothing.
	sameAs string
}

// dimension is a size that must be at least min.
type dimension struct {
	field      string
	value, min int
}

// elements multiplies sizes; it returns -1 if the product overflows an int or a
// size is negative.
func elements(sizes ...int) int {
	product := 1
	for _, n := range sizes {
		if n < 0 || n > 0 && product > math.MaxInt/n {
			return -1
		}
		product *= n
	}
	return product
}

// checkDimensions fails unless each dimension is at least its minimum.
func checkDimensions(op Operation, dims ...dimension) error {
	for _, d := range dims {
		if d.value < d.min {
			return &InstructionError{op, d.field, fmt.Sprint(d.value), fmt.Sprintf("at least %d", d.min)}
		}
	}
	return nil
}

// checkOperands fails unless the lengths are right and no written operand
// overlaps another one.
func checkOperands(op Operation, operands []operand) error {
	for _, o := range operands {
		if err := o.check(op); err != nil {
			return err
		}
	}
	for i, o := range operands {
		for _, other := range operands[:i] {
			if err := checkAlias(op, o, other); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *operand) check(op Operation) error {
	fail := func(got, want string) error { return &InstructionError{op, o.field, got, want} }
	switch {
	case o.want < 0:
		return fail(fmt.Sprintf("of %d elements", o.span.Len), "a size that an int holds")
	case o.span.Offset < 0 || o.span.Len < 0 || o.span.Offset > math.MaxInt-o.span.Len:
		return fail(fmt.Sprintf("offset %d, length %d", o.span.Offset, o.span.Len), "both at least 0 and no overflow")
	case o.span.Len == 0 && o.optional:
		return nil
	case o.span.Len == 0:
		return fail("absent", fmt.Sprintf("%d elements", o.want))
	case o.span.Len != o.want:
		return fail(fmt.Sprintf("of %d elements", o.span.Len), fmt.Sprintf("%d elements", o.want))
	}
	return nil
}

func checkAlias(op Operation, o, other operand) error {
	if !o.written && !other.written || !o.span.Overlaps(other.span) {
		return nil
	}
	if o.span == other.span && (o.sameAs == other.field || other.sameAs == o.field) {
		return nil
	}
	return &InstructionError{op, o.field, o.span.String(),
		fmt.Sprintf("no overlap with %s at %v", other.field, other.span)}
}

func (m MatMul) operands() []operand {
	return []operand{
		{field: "A", span: m.A, want: elements(m.M, m.K)},
		{field: "B", span: m.B, want: elements(m.K, m.N)},
		{field: "Bias", span: m.Bias, want: m.N, optional: true},
		{field: "C", span: m.C, want: elements(m.M, m.N), written: true},
	}
}

// Validate fails with an *InstructionError unless M, N and K are at least 1,
// the operands have M*K, K*N, M*N and N elements, C overlaps none of them, and
// Bias is absent if Accumulate is set.
func (m MatMul) Validate() error {
	if err := checkDimensions(OpMatMul, dimension{"M", m.M, 1}, dimension{"N", m.N, 1}, dimension{"K", m.K, 1}); err != nil {
		return err
	}
	if m.Accumulate && !m.Bias.Empty() {
		return &InstructionError{OpMatMul, "Bias", m.Bias.String(), "absent, since Accumulate starts the sums from C"}
	}
	return checkOperands(OpMatMul, m.operands())
}

// maxGeometry bounds every size in a ConvShape, so that no index overflows.
const maxGeometry = 1 << 28

// validate checks the geometry. Pooling, in which every window must contain an
// element, requires a padding smaller than the kernel.
func (s ConvShape) validate(op Operation, pooling bool) error {
	sizes := []dimension{
		{"N", s.N, 1}, {"H", s.H, 1}, {"W", s.W, 1}, {"InChannels", s.InChannels, 1},
		{"OutH", s.OutH, 1}, {"OutW", s.OutW, 1}, {"OutChannels", s.OutChannels, 1},
		{"KernelH", s.KernelH, 1}, {"KernelW", s.KernelW, 1}, {"StrideH", s.StrideH, 1}, {"StrideW", s.StrideW, 1},
		{"PadH", s.PadH, 0}, {"PadW", s.PadW, 0},
	}
	if err := checkDimensions(op, sizes...); err != nil {
		return err
	}
	for _, d := range sizes {
		if d.value > maxGeometry {
			return &InstructionError{op, d.field, fmt.Sprint(d.value), fmt.Sprintf("at most %d", maxGeometry)}
		}
	}
	for _, axis := range []struct {
		out, kernel, pad               string
		size, got, window, stride, add int
	}{
		{"OutH", "KernelH", "PadH", s.H, s.OutH, s.KernelH, s.StrideH, s.PadH},
		{"OutW", "KernelW", "PadW", s.W, s.OutW, s.KernelW, s.StrideW, s.PadW},
	} {
		padded := axis.size + 2*axis.add
		switch {
		case axis.window > padded:
			return &InstructionError{op, axis.kernel, fmt.Sprint(axis.window),
				fmt.Sprintf("at most the padded input's %d", padded)}
		case axis.got != (padded-axis.window)/axis.stride+1:
			return &InstructionError{op, axis.out, fmt.Sprint(axis.got),
				fmt.Sprintf("%d by the input, kernel, stride and padding", (padded-axis.window)/axis.stride+1)}
		case pooling && axis.add >= axis.window:
			return &InstructionError{op, axis.pad, fmt.Sprint(axis.add),
				fmt.Sprintf("less than the window's %d", axis.window)}
		}
	}
	if pooling && s.OutChannels != s.InChannels {
		return &InstructionError{op, "OutChannels", fmt.Sprint(s.OutChannels), fmt.Sprintf("InChannels, %d", s.InChannels)}
	}
	return nil
}

func (s ConvShape) inputs() int  { return elements(s.N, s.H, s.W, s.InChannels) }
func (s ConvShape) outputs() int { return elements(s.N, s.OutH, s.OutW, s.OutChannels) }
func (s ConvShape) weights() int { return elements(s.OutChannels, s.KernelH, s.KernelW, s.InChannels) }

func (c Conv2D) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "Weight", span: c.Weight, want: c.weights()},
		{field: "Bias", span: c.Bias, want: c.OutChannels, optional: true},
		{field: "Y", span: c.Y, want: c.outputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent,
// the operands have its sizes, and Y overlaps none of them.
func (c Conv2D) Validate() error {
	return validateImages(OpConv2D, c.ConvShape, false, c.operands())
}

func validateImages(op Operation, s ConvShape, pooling bool, operands []operand) error {
	if err := s.validate(op, pooling); err != nil {
		return err
	}
	return checkOperands(op, operands)
}

func (c Conv2DGradInput) operands() []operand {
	return []operand{
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "Weight", span: c.Weight, want: c.weights()},
		{field: "DX", span: c.DX, want: c.inputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent,
// the operands have its sizes, and DX overlaps none of them.
func (c Conv2DGradInput) Validate() error {
	return validateImages(OpConv2DGradInput, c.ConvShape, false, c.operands())
}

func (c Conv2DGradWeight) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "DWeight", span: c.DWeight, want: c.weights(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent,
// the operands have its sizes, and DWeight overlaps none of them.
func (c Conv2DGradWeight) Validate() error {
	return validateImages(OpConv2DGradWeight, c.ConvShape, false, c.operands())
}

func (c MaxPool2D) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "Y", span: c.Y, want: c.outputs(), written: true},
		{field: "Index", span: c.Index, want: c.outputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent
// with a padding smaller than the window, an int32 holds every index into X,
// the operands have the geometry's sizes, and Y and Index overlap nothing.
func (c MaxPool2D) Validate() error { return c.validateIndexed(OpMaxPool2D, c.operands()) }

func (c MaxPool2DGrad) operands() []operand {
	return []operand{
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "Index", span: c.Index, want: c.outputs()},
		{field: "DX", span: c.DX, want: c.inputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is valid for
// MaxPool2D, the operands have its sizes, and DX overlaps none of them.
func (c MaxPool2DGrad) Validate() error { return c.validateIndexed(OpMaxPool2DGrad, c.operands()) }

func (s ConvShape) validateIndexed(op Operation, operands []operand) error {
	if err := s.validate(op, true); err != nil {
		return err
	}
	if n := s.inputs(); n < 0 || n > math.MaxInt32 {
		return &InstructionError{op, "X", fmt.Sprintf("of %d elements", n), fmt.Sprintf("at most %d, the most that an int32 index can address", math.MaxInt32)}
	}
	return checkOperands(op, operands)
}

func (c AvgPool2D) operands() []operand {
	return []operand{
		{field: "X", span: c.X, want: c.inputs()},
		{field: "Y", span: c.Y, want: c.outputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is consistent
// with a padding smaller than the window, the operands have its sizes, and Y
// does not overlap X.
func (c AvgPool2D) Validate() error {
	return validateImages(OpAvgPool2D, c.ConvShape, true, c.operands())
}

func (c AvgPool2DGrad) operands() []operand {
	return []operand{
		{field: "DY", span: c.DY, want: c.outputs()},
		{field: "DX", span: c.DX, want: c.inputs(), written: true},
	}
}

// Validate fails with an *InstructionError unless the geometry is valid for
// AvgPool2D, the operands have its sizes, and DX does not overlap DY.
func (c AvgPool2DGrad) Validate() error {
	return validateImages(OpAvgPool2DGrad, c.ConvShape, true, c.operands())
}

// validate fails unless the kind is one of the constants.
func (k ActivationKind) validate(op Operation) error {
	switch k {
	case ReLU, GELU, SiLU, Tanh, Sigmoid:
		return nil
	}
	return &InstructionError{op, "Kind", fmt.Sprintf("%q", string(k)), "relu, gelu, silu, tanh or sigmoid"}
}

func (a Activation) operands() []operand {
	y := operand{field: "Y", span: a.Y, want: a.X.Len, written: true}
	if a.Kind == ReLU {
		y.sameAs = "X"
	}
	return []operand{{field: "X", span: a.X, want: max(a.X.Len, 1)}, y}
}

// Validate fails with an *InstructionError unless the kind is known and X and Y
// have the same length; Y may be X for ReLU and must not overlap it otherwise.
func (a Activation) Validate() error {
	if err := a.Kind.validate(OpActivation); err != nil {
		return err
	}
	return checkOperands(OpActivation, a.operands())
}

func (a ActivationGrad) operands() []operand {
	return []operand{
		{field: "DY", span: a.DY, want: max(a.DY.Len, 1)},
		{field: "Y", span: a.Y, want: a.DY.Len},
		{field: "X", span: a.X, want: a.DY.Len, optional: a.Kind == ReLU || a.Kind == Tanh || a.Kind == Sigmoid},
		{field: "DX", span: a.DX, want: a.DY.Len, written: true, sameAs: "DY"},
	}
}

// Validate fails with an *InstructionError unless the kind is known and all
// operands have the same length, X being optional for ReLU, Tanh and Sigmoid;
// DX may be DY and must not overlap anything otherwise.
func (a ActivationGrad) Validate() error {
	if err := a.Kind.validate(OpActivationGrad); err != nil {
		return err
	}
	return checkOperands(OpActivationGrad, a.operands())
}

func (s SumRows) operands() []operand {
	return []operand{
		{field: "X", span: s.X, want: elements(s.M, s.N)},
		{field: "Out", span: s.Out, want: s.N, written: true},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, X and
// Out have M*N and N elements, and they do not overlap.
func (s SumRows) Validate() error {
	if err := checkDimensions(OpSumRows, dimension{"M", s.M, 1}, dimension{"N", s.N, 1}); err != nil {
		return err
	}
	return checkOperands(OpSumRows, s.operands())
}

func (s SoftmaxCrossEntropy) operands() []operand {
	n := elements(s.M, s.N)
	return []operand{
		{field: "Logits", span: s.Logits, want: n},
		{field: "Labels", span: s.Labels, want: s.M},
		{field: "Loss", span: s.Loss, want: s.M, written: true},
		{field: "Correct", span: s.Correct, want: s.M, written: true},
		{field: "DLogits", span: s.DLogits, want: n, optional: true, written: true, sameAs: "Logits"},
	}
}

// Validate fails with an *InstructionError unless M and N are at least 1, N
// fits an int32 label, Smoothing is in [0,1), the operands have M*N or M
// elements, and written operands overlap nothing, except that DLogits may be
// Logits.
func (s SoftmaxCrossEntropy) Validate() error {
	if err := checkDimensions(OpSoftmaxCrossEntropy, dimension{"M", s.M, 1}, dimension{"N", s.N, 1}); err != nil {
		return err
	}
	if s.N > math.MaxInt32 {
		return &InstructionError{OpSoftmaxCrossEntropy, "N", fmt.Sprint(s.N), fmt.Sprintf("at most %d, the most that an int32 label can address", math.MaxInt32)}
	}
	if err := checkFactor(OpSoftmaxCrossEntropy, "Smoothing", s.Smoothing, 0, 1); err != nil {
		return err
	}
	return checkOperands(OpSoftmaxCrossEntropy, s.operands())
}

func (t TreeSum) operands() []operand {
	return []operand{{field: "X", span: t.X, want: max(t.X.Len, 1), written: true}}
}

// Validate fails with an *InstructionError unless X consists of Parts equal
// parts of at least one element.
func (t TreeSum) Validate() error {
	if err := checkDimensions(OpTreeSum, dimension{"Parts", t.Parts, 1}); err != nil {
		return err
	}
	if t.X.Len%t.Parts != 0 {
		return &InstructionError{OpTreeSum, "X", fmt.Sprintf("of %d elements", t.X.Len), fmt.Sprintf("a multiple of Parts, %d", t.Parts)}
	}
	return checkOperands(OpTreeSum, t.operands())
}

// checkFactor fails unless low <= value < high; NaN always fails.
func checkFactor(op Operation, field string, value float32, low, high float64) error {
	if v := float64(value); v >= low && v < high {
		return nil
	}
	return &InstructionError{op, field, fmt.Sprint(value), fmt.Sprintf("in [%g,%g)", low, high)}
}

// checkBelow fails unless 0 <= value < limit.
func checkBelow(op Operation, field string, value, limit int) error {
	if value >= 0 && value < limit {
		return nil
	}
	return &InstructionError{op, field, fmt.Sprint(value), fmt.Sprintf("in [0,%d)", limit)}
}

func (s SGD) operands() []operand {
	n := s.Weight.Len
	velocity := operand{field: "Velocity", span: s.Velocity, want: n, written: true}
	if s.Momentum == 0 {
		velocity.want, velocity.optional = 0, true
	}
	return []operand{
		{field: "Weight", span: s.Weight, want: max(n, 1), written: true},
		{field: "Grad", span: s.Grad, want: n},
		velocity,
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length and do not overlap, Velocity is present exactly if Momentum is not 0,
// Momentum is in [0,1), WeightDecay is finite and not negative, and Nesterov
// comes with a momentum.
func (s SGD) Validate() error {
	if err := checkFactor(OpSGD, "Momentum", s.Momentum, 0, 1); err != nil {
		return err
	}
	if err := checkFactor(OpSGD, "WeightDecay", s.WeightDecay, 0, math.Inf(1)); err != nil {
		return err
	}
	if s.Nesterov && s.Momentum == 0 {
		return &InstructionError{OpSGD, "Nesterov", "set", "unset, since Momentum is 0"}
	}
	return checkOperands(OpSGD, s.operands())
}

func (a Adam) operands() []operand {
	n := a.Weight.Len
	return []operand{
		{field: "Weight", span: a.Weight, want: max(n, 1), written: true},
		{field: "Grad", span: a.Grad, want: n},
		{field: "M", span: a.M, want: n, written: true},
		{field: "V", span: a.V, want: n, written: true},
	}
}

// Validate fails with an *InstructionError unless the operands have the same
// length and do not overlap, Beta1 and Beta2 are in [0,1), and Epsilon and
// WeightDecay are finite and not negative.
func (a Adam) Validate() error {
	for _, f := range []struct {
		field string
		value float32
		high  float64
	}{
		{"Beta1", a.Beta1, 1}, {"Beta2", a.Beta2, 1},
		{"Epsilon", a.Epsilon, math.Inf(1)}, {"WeightDecay", a.WeightDecay, math.Inf(1)},
	} {
		if err := checkFactor(OpAdam, f.field, f.value, 0, f.high); err != nil {
			return err
		}
	}
	return checkOperands(OpAdam, a.operands())
}

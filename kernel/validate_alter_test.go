package kernel

import "reflect"

// Instructions are altered by field name through reflection, so that the tests
// cover every operand.

func operandsOf(in Instruction) []operand {
	return in.(interface{ operands() []operand }).operands()
}

// withField returns a copy of the instruction with one of its spans changed.
func withField(in Instruction, field string, change func(Span) Span) (Instruction, bool) {
	copied := reflect.New(reflect.TypeOf(in)).Elem()
	copied.Set(reflect.ValueOf(in))
	f := copied.FieldByName(field)
	if !f.IsValid() {
		return nil, false
	}
	f.Set(reflect.ValueOf(change(f.Interface().(Span))))
	return copied.Interface().(Instruction), true
}

// withInt returns a copy of the instruction with one of its integers set.
func withInt(in Instruction, field string, value int) (Instruction, bool) {
	copied := reflect.New(reflect.TypeOf(in)).Elem()
	copied.Set(reflect.ValueOf(in))
	f := copied.FieldByName(field)
	if !f.IsValid() {
		return nil, false
	}
	f.SetInt(int64(value))
	return copied.Interface().(Instruction), true
}

package nn

import "fmt"

// Residual computes x + Body(x), or Shortcut(x) + Body(x) if the body changes
// the shape (He et al., 2016). Body's parameters are named
// "body.<index>.<name>", Shortcut's "shortcut.<index>.<name>".
type Residual struct {
	Body     Layers
	Shortcut Layers
}

// Type returns "residual".
func (Residual) Type() string { return "residual" }

func (l Residual) build(b *builder, in int) (int, *LayerError) {
	if len(l.Body) == 0 {
		return 0, &LayerError{Layer: l.Type(), Field: "body", Got: "empty", Want: "at least one layer", Fix: "list the layers of the branch"}
	}
	path := b.path
	shortcut := in
	if len(l.Shortcut) > 0 {
		var err *LayerError
		if shortcut, err = b.list("shortcut", l.Shortcut, in); err != nil {
			return 0, err
		}
	}
	body, err := b.list("body", l.Body, in)
	if err != nil {
		return 0, err
	}
	b.path = path
	if x, y := b.values[shortcut], b.values[body]; !x.Equal(y) {
		return 0, &LayerError{Layer: l.Type(), Field: "body", Got: fmt.Sprintf("of output %v", y), Want: fmt.Sprintf("%v, the shape it is added to", x),
			Fix: `keep the shape, or change the other branch likewise by "shortcut"`}
	}
	if body == shortcut {
		return 0, &LayerError{Layer: l.Type(), Field: "body", Got: "without effect", Want: "a layer that computes something", Fix: "remove the residual"}
	}
	return b.sum(shortcut, body), nil
}

package api

import "context"

// Notice is what a service has to say beside the answer, while it works on it.
type Notice struct {
	// Warning is something that the user has to know, as text with lines.
	Warning string `json:"warning,omitempty"`
}

type noticesKey struct{}

// WithNotices returns a context whose calls of a service pass their notices to f, in
// order and before they return. Calls that run at the same time call f at the same
// time.
func WithNotices(ctx context.Context, f func(Notice)) context.Context {
	return context.WithValue(ctx, noticesKey{}, f)
}

// Notify passes a notice to the function that ctx has for them. Without one the
// notice is dropped.
func Notify(ctx context.Context, n Notice) {
	if f, ok := ctx.Value(noticesKey{}).(func(Notice)); ok {
		f(n)
	}
}

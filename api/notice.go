package api

import "context"

// Notice is what a service has to say beside the answer, while it works on it. Exactly
// one field is set.
type Notice struct {
	// Warning is something that the user has to know, as text with lines.
	Warning string `json:"warning,omitempty"`
	// Note is something in a request that may not be meant.
	Note string `json:"note,omitempty"`
	// Event is something that has happened meanwhile.
	Event string `json:"event,omitempty"`
	// Download is how far a download is that the answer needs.
	Download *Download `json:"download,omitempty"`
}

// Download is the progress of a download. The last notice of a call's downloads has
// Ended.
type Download struct {
	// Name is that of the data set, File the one of its files that is fetched.
	Name string `json:"name"`
	File string `json:"file"`
	// Done and Total are bytes; Total is 0 if it is not known.
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	Ended bool  `json:"ended,omitempty"`
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

package api

// Update is an item of an operation that takes a while: how far the operation is or,
// in the last item, its result.
type Update[Result any] struct {
	// Done of Of parts are done; both are 0 beside a result.
	Done   uint64  `json:"done,omitempty"`
	Of     uint64  `json:"of,omitempty"`
	Result *Result `json:"result,omitempty"`
}

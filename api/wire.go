package api

import "encoding/json"

const (
	// PathPrefix begins the path of an operation over HTTP: POST /v1/runs.list.
	PathPrefix = "/v1/"
	// LinesType is the media type of an answer in lines: one JSON value of type Line
	// on each. A caller that does not accept it gets the answer of a unary operation
	// as one JSON value, or an object with an "error", and its notices as headers.
	LinesType = "application/jsonl"
	// NoticeHeader is the header that has a notice, as JSON.
	NoticeHeader = "Reprise-Notice"
	// MaxRequest bounds the request of an operation, in bytes, unless its row in the table
	// says otherwise.
	MaxRequest = 1 << 20
	// maxFilesRequest bounds a request that carries a file or two, or a payload. They have
	// room in the longest form that JSON has for them: what is too large for an operation,
	// the operation says, and it says the same without a wire.
	maxFilesRequest = 12*MaxRequestBytes + MaxRequest
	// maxSubmitRequest is the same for all the files of a submission.
	maxSubmitRequest = 6*MaxRequests*MaxRequestBytes + 16<<20
	// MaxLine bounds a line of an answer, in bytes.
	MaxLine = 64 << 20
)

// Line is a line of an answer. Exactly one field is set. The last line has End or
// Error: an answer without one was cut off.
type Line struct {
	Notice *Notice         `json:"notice,omitempty"`
	Item   json.RawMessage `json:"item,omitempty"`
	End    bool            `json:"end,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

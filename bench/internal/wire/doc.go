// Package wire is the protocol between the bench and a peer, which is a
// separate process: one command per line on its standard input, one JSON object
// per line on its standard output. A command that fails is answered with
// {"error": "..."}.
//
//	load FILE   read weights and data           -> {"name": "PyTorch 1.13.1"}
//	check FILE  compute from what was loaded,
//	            write the result as raw float32 -> {}
//	run N       do the work N times, from what
//	            was loaded                      -> {"seconds": 1.25}
//	train FILE  take every batch once, at the
//	            file's rates, then evaluate;
//	            write the result as raw float32 -> {"seconds": 60}
//
// Raw float32 values are little-endian. The result of a training work is the
// loss of each of the first CheckSteps steps; that of a matrix product is the
// product; that of train is each step's loss and then the validation loss. Only
// PyTorch has train. Only the work itself is timed, and "run" starts from the
// loaded weights each time, so that no round trains on what an earlier one
// left.
package wire

// CheckSteps is the number of losses that "check" writes for a training work.
const CheckSteps = 5

// Reply is a peer's answer.
type Reply struct {
	Name    string  `json:"name,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
}

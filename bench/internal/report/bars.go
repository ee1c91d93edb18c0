package report

import (
	"math"
	"strings"

	"reprise/bench/internal/duel"
)

// bar returns the ratio that a line is to reach, or 0 if there is none.
func bar(l duel.Line) float64 {
	type key struct{ work, peer string }
	bars := map[key]float64{
		{"mlp", "PyTorch"}: 1.7, {"cnn", "PyTorch"}: 2.5, {"gpt", "PyTorch"}: 2, {"resnet8", "PyTorch"}: 2,
		{"mlp", "GoMLX"}: 5, {"cnn", "GoMLX"}: 5,
		{"gemm 1024x1024x1024", "OpenBLAS"}: 0.95, {"gemm 1024x1024x1024", "oneDNN"}: 0.90,
		{"gemm 128x512x784", "OpenBLAS"}: 0.95, {"gemm 128x512x784", "oneDNN"}: 0.85,
		{"gemm 256x512x784", "OpenBLAS"}: 0.95, {"gemm 256x512x784", "oneDNN"}: 0.85,
		{"gemm 2048x128x128", "OpenBLAS"}: 0.90, {"gemm 12544x64x288", "OpenBLAS"}: 0.90,
	}
	// Compared with whichever actor system is better in that figure.
	actors := map[string]float64{
		"tell": 1.5, "tell 1000": 2, "ping-pong": 1.5, "spawn": 5, "bytes per actor": 4, "ask p50": 1, "ask p99": 1,
	}
	if tuned(l) {
		return 0 // more than PyTorch's users do
	}
	if b, ok := actors[l.Work]; ok {
		return b
	}
	name, _, _ := strings.Cut(l.Peer, " ")
	if name == "PostgreSQL" { // all of these are works of the event log
		if l.Work == "durable append, 64 writers" {
			return 2
		}
		return 1
	}
	return bars[key{l.Work, name}]
}

func tuned(l duel.Line) bool { return strings.Contains(l.Peer, "malloc tuned") }

// verdict says whether a line reaches its bar.
func verdict(l duel.Line) string {
	switch b := bar(l); {
	case b == 0:
		return ""
	case l.Ratio == 0:
		return "not measured"
	case l.Ratio >= b:
		return "met"
	default:
		return "**not met**"
	}
}

// cliff is a rise of the cost, from one value of a size to the next, that a
// smooth curve does not have.
const cliff = 1.5

// steepest returns the largest rise of the cost between neighbours and where it
// is: at most 1 for a curve that only falls.
func steepest(s []duel.Scaling) (rise float64, from, to int) {
	for i := 1; i < len(s); i++ {
		if r := s[i].Cost / s[i-1].Cost; r > rise || math.IsNaN(r) {
			rise, from, to = r, s[i-1].Value, s[i].Value
		}
	}
	return rise, from, to
}

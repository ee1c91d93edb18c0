package wire

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Work is what a peer written in Go offers.
type Work interface {
	// Load takes the weights and data, and returns the peer's name.
	Load(path string) (name string, err error)
	// Reset restores the loaded weights.
	Reset() error
	// Step takes training step i and returns its loss.
	Step(i int) (loss float32, err error)
}

// Serve answers commands until the input ends. A panic of the peer's library is
// answered as an error.
func Serve(in io.Reader, out io.Writer, w Work) error {
	lines, encoder := bufio.NewScanner(in), json.NewEncoder(out)
	for lines.Scan() {
		reply, err := answer(w, lines.Text())
		if err != nil {
			reply = Reply{Error: err.Error()}
		}
		if err := encoder.Encode(reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(w Work, line string) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case "load":
		reply.Name, err = w.Load(argument)
		return reply, err
	case "check":
		losses, _, err := steps(w, CheckSteps)
		if err != nil {
			return reply, err
		}
		return reply, WriteFloats(argument, losses)
	case "run":
		var n int
		if _, err := fmt.Sscan(argument, &n); err != nil {
			return reply, err
		}
		_, reply.Seconds, err = steps(w, n)
		return reply, err
	}
	return reply, fmt.Errorf("unknown command %q", command)
}

// steps takes n steps from the loaded weights; the time is that of the steps alone.
func steps(w Work, n int) (losses []float32, seconds float64, err error) {
	if err := w.Reset(); err != nil {
		return nil, 0, err
	}
	losses = make([]float32, n)
	start := time.Now()
	for i := range losses {
		if losses[i], err = w.Step(i); err != nil {
			return nil, 0, err
		}
	}
	return losses, time.Since(start).Seconds(), nil
}

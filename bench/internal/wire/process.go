package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patience is how long a peer may take to answer before it is killed;
// trainPatience is for a whole training.
const (
	patience      = 2 * time.Minute
	trainPatience = time.Hour
)

// Process is a peer at the other end of a pipe. It is used by one goroutine at
// a time.
type Process struct {
	// Name is what the peer calls itself, such as "PyTorch 1.13.1".
	Name string

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	result string
}

// Start starts a peer, with env added to this process's environment, and makes
// it load the file. Its results are written to folder.
func Start(command, env []string, folder, file string) (*Process, error) {
	p := &Process{cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.result = filepath.Join(folder, fmt.Sprintf("result-%d", p.cmd.Process.Pid))
	reply, err := p.ask("load "+file, patience)
	if err != nil {
		p.Close()
		return nil, err
	}
	p.Name = reply.Name
	return p, nil
}

// Check returns the result that the peer computes from what it has loaded.
func (p *Process) Check() ([]float32, error) {
	if _, err := p.ask("check "+p.result, patience); err != nil {
		return nil, err
	}
	return ReadFloats(p.result)
}

// Run makes the peer do the work n times and returns the seconds it took.
func (p *Process) Run(n int) (float64, error) {
	reply, err := p.ask(fmt.Sprintf("run %d", n), patience)
	if err == nil && !(reply.Seconds > 0) {
		err = fmt.Errorf("%s: run took %v seconds", p.Name, reply.Seconds)
	}
	return reply.Seconds, err
}

// Train makes the peer train on every batch of the file and returns the loss of
// each step, the validation loss and the total time in seconds.
func (p *Process) Train() (losses []float32, validation float32, seconds float64, err error) {
	reply, err := p.ask("train "+p.result, trainPatience)
	if err != nil {
		return nil, 0, 0, err
	}
	values, err := ReadFloats(p.result)
	if err == nil && len(values) < 2 {
		err = fmt.Errorf("%s: train gave %d values", p.Name, len(values))
	}
	if err != nil {
		return nil, 0, 0, err
	}
	last := len(values) - 1
	return values[:last], values[last], reply.Seconds, nil
}

// Close ends the peer.
func (p *Process) Close() {
	_ = p.in.Close()
	timer := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait() // it was asked to end; how it ended changes no figure
}

func (p *Process) ask(command string, within time.Duration) (Reply, error) {
	timer := time.AfterFunc(within, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return Reply{}, p.died(command, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return Reply{}, p.died(command, err)
	}
	var reply Reply
	if err := json.Unmarshal(line, &reply); err != nil {
		return Reply{}, fmt.Errorf("%q answered with %q: %w", command, line, err)
	}
	if reply.Error != "" {
		return Reply{}, errors.New(reply.Error)
	}
	return reply, nil
}

// died explains why a peer ended before it answered, by the last line of its
// standard error.
func (p *Process) died(command string, err error) error {
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // also waits until stderr is complete
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	return fmt.Errorf("%s: %w: %s: %s", command, err, p.cmd.ProcessState, lines[len(lines)-1])
}

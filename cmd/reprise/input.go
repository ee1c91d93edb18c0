package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"reprise/internal/disk"
)

// openInput opens a file that the user named, to be read once. It does not wait: a
// named pipe, which may have no writer, is refused. What the shell's <(COMMAND)
// stands for is a pipe that has one.
func openInput(path string) (io.ReadCloser, error) {
	if path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") {
		return os.Open(path)
	}
	return disk.Open(disk.OS{}, path)
}

// maxInputBytes bounds a key or a head, which have a few hundred bytes.
const maxInputBytes = 1 << 20

// readInput returns the content of a small file that the user named.
func readInput(path string) ([]byte, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(in, maxInputBytes+1))
	if err == nil && len(content) > maxInputBytes {
		err = fmt.Errorf("is larger than %d bytes", maxInputBytes)
	}
	return content, err
}

package duel

import (
	"io"
	"os"
)

// Output returns a writer to standard output and, if path is not empty, also to
// a file of that name, which it replaces; closeFile closes it.
func Output(path string) (to io.Writer, closeFile func() error, err error) {
	if path == "" {
		return os.Stdout, func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	return io.MultiWriter(os.Stdout, file), file.Close, nil
}

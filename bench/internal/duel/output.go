package duel

import (
	"io"
	"os"
)

// Output returns a writer to standard output and, where path is not empty, to a
// file of that name as well, which replaces what is there; closeFile ends it.
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

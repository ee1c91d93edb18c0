package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"reprise/internal/disk"
)

// pendingFile is written with the other files of a checkpoint, before its event.
const (
	pendingFile    = "pending.json"
	pendingFormat  = "reprise.pending"
	pendingVersion = 1
)

// Pending notes in a checkpoint's folder which event its own event is going to
// follow: the last one of its run. A log without that event is older than the
// checkpoint, or another one, and cannot tell whether the checkpoint was committed.
type Pending struct {
	// RunVersion is the version of the run, and Position that of the event in the log.
	RunVersion, Position uint64
	// Hash is that of the event, and so of everything before it, in lower-case hex.
	Hash string
}

type pendingContent struct {
	Format     string `json:"format"`
	Version    int    `json:"version"`
	RunVersion uint64 `json:"run_version"`
	Position   uint64 `json:"position"`
	Hash       string `json:"hash"`
}

// writePending writes the note into the folder of a checkpoint.
func writePending(files fileLayer, path string, p Pending) error {
	return writeJSON(files, filepath.Join(path, pendingFile),
		pendingContent{pendingFormat, pendingVersion, p.RunVersion, p.Position, p.Hash})
}

// readPending returns the note in a folder; nil where there is none, or one that is
// damaged. It fails with *VersionError for the note of a newer version, which may say
// what this one does not know.
func readPending(files fileLayer, path string) (*Pending, error) {
	raw, err := readSmall(files, filepath.Join(path, pendingFile))
	if err != nil || raw == nil {
		return nil, err
	}
	var header struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if json.Unmarshal(raw, &header) == nil && header.Format == pendingFormat && header.Version > pendingVersion {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, pendingFile), &VersionError{Got: header.Version, Known: pendingVersion})
	}
	var p pendingContent
	malformed := json.Unmarshal(raw, &p)
	if malformed != nil || p.Format != pendingFormat || p.Version != pendingVersion || p.Position == 0 {
		return nil, nil //nolint:nilerr // it counts as none
	}
	return &Pending{RunVersion: p.RunVersion, Position: p.Position, Hash: p.Hash}, nil
}

// maxNote is how much of a note is read.
const maxNote = 4096

// writeJSON makes a note durable, on one line.
func writeJSON(files fileLayer, path string, content any) error {
	raw, err := json.Marshal(content)
	if err != nil {
		return err
	}
	_, _, err = writeFile(files, path, func(w io.Writer) error {
		_, err := w.Write(append(raw, '\n'))
		return err
	})
	return err
}

// readSmall returns the beginning of a file; nil where there is no regular file.
func readSmall(files fileLayer, path string) ([]byte, error) {
	f, err := files.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, disk.ErrNotRegular), errors.Is(err, disk.ErrOutside):
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxNote))
}

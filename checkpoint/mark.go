package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
)

// markFile is beside the files of a checkpoint that was committed.
const (
	markFile    = "committed.json"
	markFormat  = "reprise.committed"
	markVersion = 1
)

// markContent is what is in the file that says that a checkpoint was committed.
// Only the file's existence counts: it is made once the event is durable, so the
// event was there, whatever a crash leaves of the content.
type markContent struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Position is that of the event in the log; 0 where it was not known.
	Position uint64 `json:"position,omitempty"`
	// ManifestSHA256 is what the event says of the checkpoint.
	ManifestSHA256 string `json:"manifest_sha256"`
}

// Mark records, durably and beside its files, that a checkpoint was committed by an
// event that is durable, at the given position of the log; 0 where that is not known.
// From then on neither Sweep nor Write removes it, even under a log that does not
// have the event. A checkpoint that is marked already, or whose folder is missing, is
// left as it is.
func (f Folder) Mark(ref Ref, position uint64) error { return mark(f.files(), f.Path, ref, position) }

func mark(files fileLayer, dir string, ref Ref, position uint64) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	path := filepath.Join(dir, ref.Dir)
	if found, err := files.Kind(path); err != nil || found != folder {
		return err
	}
	if marked, err := isMarked(files, path); marked || err != nil {
		return err
	}
	err := writeJSON(files, filepath.Join(path, markFile), markContent{markFormat, markVersion, position, ref.ManifestSHA256})
	if err == nil {
		err = files.SyncDir(path)
	}
	if err != nil {
		return fmt.Errorf("mark checkpoint %s as committed: %w", path, err)
	}
	return nil
}

func isMarked(files fileLayer, path string) (bool, error) {
	found, err := files.Kind(filepath.Join(path, markFile))
	return found != missing, err
}

// Has reports whether there is a folder for the checkpoint of a step. What is in
// it is for Verify to say.
func (f Folder) Has(step uint64) bool {
	found, err := f.files().Kind(filepath.Join(f.Path, folderName(step)))
	return err != nil || found != missing
}

// Marked reports whether the checkpoint of a step is marked, or has no folder to
// be marked in.
func (f Folder) Marked(step uint64) bool {
	files, path := f.files(), filepath.Join(f.Path, folderName(step))
	if found, err := files.Kind(path); err == nil && found != folder {
		return true
	}
	marked, err := isMarked(files, path)
	return marked && err == nil
}

// committedError returns the *CommittedError of a folder that is marked.
func committedError(files fileLayer, path string) *CommittedError {
	e := &CommittedError{Folder: path}
	var m markContent
	if raw, err := readSmall(files, filepath.Join(path, markFile)); err == nil && json.Unmarshal(raw, &m) == nil {
		e.Position = m.Position
	}
	return e
}

// Uncommitted is a checkpoint in a folder that the log at hand does not have.
type Uncommitted struct {
	Step   uint64
	Folder string
	// Marked says that it was committed all the same, by the event at Position,
	// which is 0 where that is not known.
	Marked   bool
	Position uint64
	// Pending is what the folder notes; nil in one of an older version, and in one
	// that is marked.
	Pending *Pending
}

// Uncommitted returns the checkpoints in the folder after a step, which is that of
// the last one that the log has. The order is that of their names. A folder that is
// missing has none. With an error come those that could be read.
func (f Folder) Uncommitted(last uint64) ([]Uncommitted, error) {
	files := f.files()
	found, err := files.Kind(f.Path)
	if err != nil || found != folder {
		return nil, err
	}
	names, err := files.Names(f.Path)
	if err != nil {
		return nil, err
	}
	var all []Uncommitted
	var failures []error
	for _, name := range names {
		step, ok := stepOf(name)
		if !ok || step <= last {
			continue
		}
		u, found, err := lookAt(files, filepath.Join(f.Path, name))
		if err != nil {
			failures = append(failures, err)
		} else if found {
			u.Step = step
			all = append(all, u)
		}
	}
	return all, errors.Join(failures...)
}

// lookAt returns what a folder says of its checkpoint; false if it is not a folder.
func lookAt(files fileLayer, path string) (u Uncommitted, ok bool, err error) {
	u.Folder = path
	found, err := files.Kind(path)
	if err != nil || found != folder {
		return u, false, err
	}
	if u.Marked, err = isMarked(files, path); err != nil {
		return u, false, err
	}
	if u.Marked {
		u.Position = committedError(files, path).Position
		return u, true, nil
	}
	u.Pending, err = readPending(files, path)
	return u, err == nil, err
}

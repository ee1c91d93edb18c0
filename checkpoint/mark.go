package checkpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
)

// markFile is beside the files of a checkpoint that was committed.
const (
	markFile    = "committed.json"
	markFormat  = "reprise.committed"
	markVersion = 1
	maxMark     = 4096
)

// markContent is what is in the file that says that a checkpoint was committed.
// That there is one is what counts: it is made only once the event is durable,
// and whatever a crash leaves of its content, the event was there.
type markContent struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Position is that of the event in the log; 0 where it was not known.
	Position uint64 `json:"position,omitempty"`
	// ManifestSHA256 is what the event says of the checkpoint.
	ManifestSHA256 string `json:"manifest_sha256"`
}

// Mark notes, durably and beside its files, that a checkpoint was committed by
// an event that is durable, at that position of the log or at one that is not
// known (0). From then on neither Sweep nor Write removes it, even where a log
// does not have the event. A checkpoint that is marked already, or whose folder
// is missing, is left as it is.
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
	raw, err := json.Marshal(markContent{markFormat, markVersion, position, ref.ManifestSHA256})
	if err != nil {
		return err
	}
	_, _, err = writeFile(files, filepath.Join(path, markFile), func(w io.Writer) error {
		_, err := w.Write(append(raw, '\n'))
		return err
	})
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
	f, err := files.Open(filepath.Join(path, markFile))
	if err != nil {
		return e
	}
	defer func() { _ = f.Close() }() // it was only read
	var m markContent
	if raw, err := io.ReadAll(io.LimitReader(f, maxMark)); err == nil && json.Unmarshal(raw, &m) == nil {
		e.Position = m.Position
	}
	return e
}

// Uncommitted is a checkpoint in a folder that the log at hand does not know.
type Uncommitted struct {
	Step   uint64
	Folder string
	// Marked says that it was committed all the same, by the event at Position,
	// which is 0 where that is not known.
	Marked   bool
	Position uint64
}

// Uncommitted returns the checkpoints in the folder behind a step, which is that
// of the last one that the log knows, by name. A crash leaves at most one that is
// not marked: the next is written only after Sweep. A folder that is missing has
// none.
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
	for _, name := range names {
		step, ok := stepOf(name)
		if !ok || step <= last {
			continue
		}
		u := Uncommitted{Step: step, Folder: filepath.Join(f.Path, name)}
		found, err := files.Kind(u.Folder)
		if err == nil && found == folder {
			u.Marked, err = isMarked(files, u.Folder)
		}
		if err != nil {
			return nil, err
		}
		if u.Marked {
			u.Position = committedError(files, u.Folder).Position
		}
		if found == folder {
			all = append(all, u)
		}
	}
	return all, nil
}

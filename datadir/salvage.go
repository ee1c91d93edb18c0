package datadir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"reprise/checkpoint"
	"reprise/eventstore"
	"reprise/internal/disk"
	"reprise/journal"
	"reprise/training"
)

// LostFiles names a checkpoint, or the step series of a run, that could not be
// copied.
type LostFiles struct {
	Run  training.RunID `json:"run_id"`
	What string         `json:"what"`
}

// SalvageRunFiles is CopyRunFiles for a data directory that is damaged: what cannot
// be read there, or is not what its event says, is left out and named. An error of the
// new folder is returned, and so is one that may pass: nothing is lost then.
func SalvageRunFiles(ctx context.Context, log eventstore.Store, to, from Workspace, progress func(done, of uint64)) (RunFiles, []LostFiles, error) {
	var lost []LostFiles
	c := newRunCopy(to, from)
	copied, err := c.copyAll(ctx, log, progress, func(run training.RunID, _ uint64, what string, err error) error {
		if !isLost(err) {
			return fmt.Errorf("run %s, %s: %w", run, what, err)
		}
		lost = append(lost, LostFiles{run, fmt.Sprintf("%s: %v", what, err)})
		return nil
	})
	return copied, lost, err
}

// isLost reports whether an error of a copy says that what was to be copied is lost.
func isLost(err error) bool { return errors.As(err, new(*disk.SourceError)) && !Passing(err) }

// SalvageUnknownFiles copies, below the new folder to, what the log does not know and
// CheckFiles takes for proof that it once did: the folder of a run that the log does
// not have, and the checkpoints of a run after the last one that the log has, with
// the run's step series. The copies are durable, but are verified against nothing:
// the events that describe them are gone. It returns the names of what it copied,
// relative to the folder, and what it could not copy. Where there is nothing to copy,
// it makes no folder. It fails as SalvageRunFiles does.
func SalvageUnknownFiles(ctx context.Context, log eventstore.Store, to string, from Workspace) ([]string, []LostFiles, error) {
	runs, _, err := from.foundRuns() // copying says what cannot be read
	if err != nil || len(runs) == 0 {
		return nil, nil, err
	}
	list, err := journal.ReadRuns(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	last := lastSteps(list)
	c := unknownFiles{from: from, to: to}
	for _, id := range runs {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		step, known := last[id]
		if !known {
			c.copy(id, "")
			continue
		}
		found, err := from.Checkpoints(id).Uncommitted(step)
		if Passing(err) {
			return nil, nil, err
		}
		if err != nil {
			c.lost = append(c.lost, LostFiles{id, err.Error()})
			continue
		}
		problem, err := older(ctx, log, from, id, found, step)
		if err != nil {
			return nil, nil, err
		}
		if problem == "" {
			continue
		}
		for _, u := range found {
			c.copy(id, filepath.Join("checkpoints", checkpoint.DirOf(u.Step)))
		}
		c.copy(id, filepath.Base(from.SeriesPath(id)))
	}
	return c.copied, c.lost, c.err
}

// unknownFiles copies files of runs that no event describes.
type unknownFiles struct {
	from   Workspace
	to     string
	copied []string
	lost   []LostFiles
	files  int
	err    error // the first one that is not of a file that is lost
}

const (
	// maxUnknownFiles bounds the files that are copied without an event that names
	// them.
	maxUnknownFiles = 100_000
	// maxUnknownDepth is that of RUN/checkpoints/STEP/FILE.
	maxUnknownDepth = 4
)

// copy copies one file or folder of a run, or all of its files.
func (c *unknownFiles) copy(id training.RunID, name string) {
	name = filepath.Join(string(id), name)
	before := c.files
	c.tree(id, name)
	if c.files > before {
		c.copied = append(c.copied, filepath.ToSlash(name))
	}
}

// tree copies what is at a name below the folder of runs, and names what it could
// not copy.
func (c *unknownFiles) tree(id training.RunID, name string) {
	if c.err != nil {
		return
	}
	switch err := c.entry(id, name); {
	case err == nil:
	case !isLost(err):
		c.err = err
	case !errors.Is(err, fs.ErrNotExist):
		c.lost = append(c.lost, LostFiles{id, err.Error()})
	}
}

func (c *unknownFiles) entry(id training.RunID, name string) error {
	path := filepath.Join(c.from.RunsDir(), name)
	info, err := c.from.files().Lstat(path)
	switch {
	case err != nil:
		return &disk.SourceError{Err: err}
	case info.Mode().IsRegular():
		return c.file(path, filepath.Join(c.to, name))
	case !info.IsDir():
		return notCopied("%s: was not copied: %w", path, disk.ErrNotRegular)
	case depth(name) >= maxUnknownDepth:
		return notCopied("%s: was not copied: it lies too deep to be a folder of a run", path)
	}
	entries, err := c.from.files().ReadDir(path)
	if err != nil {
		return &disk.SourceError{Err: err}
	}
	for _, e := range entries {
		c.tree(id, filepath.Join(name, e.Name()))
	}
	return nil
}

func notCopied(format string, args ...any) error {
	return &disk.SourceError{Err: fmt.Errorf(format, args...)}
}

func depth(name string) int {
	n := 1
	for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
		n++
	}
	return n
}

func (c *unknownFiles) file(from, to string) error {
	if c.files == maxUnknownFiles {
		return notCopied("%s: was not copied: %d files were, and no more are", from, c.files)
	}
	source, err := disk.Open(c.from.files(), from)
	if err != nil {
		return &disk.SourceError{Err: err}
	}
	defer func() { _ = source.Close() }() // it was only read
	if err := disk.MkdirAll(disk.OS{}, filepath.Dir(to), 0o755); err != nil {
		return err
	}
	// The name of the file may be as long as names can be.
	part := disk.TempName(filepath.Join(filepath.Dir(to), "file"))
	err = disk.WriteNew(disk.OS{}, part, func(w io.Writer) error {
		_, err := io.Copy(w, sourceReader{source})
		return err
	})
	if err == nil {
		err = disk.Publish(disk.OS{}, part, to)
	}
	if err == nil {
		c.files++
	}
	return err
}

// sourceReader marks the errors of what is copied.
type sourceReader struct{ io.Reader }

func (r sourceReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &disk.SourceError{Err: err}
	}
	return n, err
}

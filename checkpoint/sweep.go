package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Judge says what the event log proves about a checkpoint that it does not have:
// litter, if it was never committed. Where the log cannot have that checkpoint's
// event, being older than the note or another log, Judge fails.
type Judge func(folder string, p Pending) (litter bool, err error)

// Swept is what Sweep did, as names in lexical order.
type Swept struct {
	Removed []string
	// SetAside are the new names of checkpoints that may have been committed.
	SetAside []string
	// Unmarked says which checkpoints of the log could not be marked, and why; nil
	// if all of them are.
	Unmarked error
}

// Sweep clears the folder of what crashes left behind. It returns every error met
// and continues after one. A folder that is missing holds nothing.
//
// keep are the checkpoints that the log knows. Those that are not marked yet are
// marked (Mark). Where a crash came while Write replaced one of them, and only the
// folder set aside is what was kept, that folder gets its name back.
//
// Of the others it removes what was never complete, and what judge calls litter.
// What judge cannot decide stays where it is: Write may replace it. A checkpoint
// without a Pending, from an older version, is never removed: it is set aside under
// a name of its own (Folder.SetAside). Nor does Sweep touch a checkpoint that is marked
// (*CommittedError), or a folder with something in it that this package did not write
// (*ForeignError).
func (f Folder) Sweep(keep []Ref, judge Judge) (Swept, error) {
	return sweep(f.files(), f.Path, keep, judge)
}

func sweep(files fileLayer, dir string, keep []Ref, judge Judge) (Swept, error) {
	s := sweeper{files: files, dir: dir, kept: make(map[string]Ref, len(keep)), judge: judge}
	found, err := files.Kind(dir)
	if err != nil || found == missing {
		return s.swept, wrapSweep(dir, err)
	}
	names, err := files.Names(dir)
	if err != nil {
		return s.swept, wrapSweep(dir, err)
	}
	for _, ref := range keep {
		s.kept[ref.Dir] = ref
	}
	var failures []error
	for _, name := range names {
		err := s.settle(name)
		if errors.Is(err, errNotOurs) {
			continue
		}
		s.changed = s.changed || err != nil
		failures = append(failures, err)
	}
	if s.changed {
		failures = append(failures, files.SyncDir(dir))
	}
	var unmarked []error
	for _, ref := range keep {
		unmarked = append(unmarked, mark(files, dir, ref, 0))
	}
	s.swept.Unmarked = errors.Join(unmarked...)
	slices.Sort(s.swept.SetAside)
	return s.swept, wrapSweep(dir, errors.Join(failures...))
}

// errNotOurs is returned for what has a name of ours and is not a folder.
var errNotOurs = errors.New("not a folder")

type sweeper struct {
	files   fileLayer
	dir     string
	kept    map[string]Ref
	judge   Judge
	swept   Swept
	changed bool
}

// settle decides what becomes of one name in the folder.
func (s *sweeper) settle(name string) error {
	path := filepath.Join(s.dir, name)
	_, part := cutHidden(name, partSuffix)
	if _, gone := cutHidden(name, removedSuffix); part || gone {
		found, err := s.files.Kind(path)
		if err != nil || found == missing {
			return err
		}
		return s.removed(name, removeFolder(s.files, path, false))
	}
	if original, aside := cutHidden(name, asideSuffix); aside {
		if ref, needed := s.kept[original]; needed {
			return s.settleAside(name, ref)
		}
		return s.settleUnknown(name, original)
	}
	if _, needed := s.kept[name]; isFolderName(name) && !needed {
		return s.settleUnknown(name, name)
	}
	return nil
}

// settleAside decides about a folder that was set aside for a checkpoint that the log
// has. It is removed where that one is whole.
func (s *sweeper) settleAside(name string, ref Ref) error {
	path := filepath.Join(s.dir, name)
	restored, kept, err := restore(s.files, s.dir, name, ref)
	s.changed = s.changed || restored
	if restored || err != nil {
		return err
	}
	if kept {
		return s.removed(name, removeFolder(s.files, path, true))
	}
	empty, err := removable(s.files, path, false)
	switch {
	case err != nil:
		return err
	case empty:
		return s.removed(name, s.files.RemoveAll(path))
	}
	return s.setAside(name, ref.Dir)
}

func (s *sweeper) removed(name string, err error) error {
	if err == nil {
		s.changed = true
		s.swept.Removed = append(s.swept.Removed, name)
	}
	return err
}

// settleUnknown decides about a folder that is or was called original, which the
// log does not have.
func (s *sweeper) settleUnknown(name, original string) error {
	path := filepath.Join(s.dir, name)
	empty, err := removable(s.files, path, false)
	if err != nil {
		return err
	}
	if empty {
		return s.removed(name, s.files.RemoveAll(path))
	}
	pending, err := readPending(s.files, path)
	if err != nil {
		return err
	}
	if pending != nil {
		litter := false
		if s.judge != nil {
			litter, err = s.judge(path, *pending)
		}
		switch {
		case err != nil:
			return err
		case litter:
			return s.removed(name, drop(s.files, s.dir, name))
		case name == original:
			return nil
		}
	}
	if name != original {
		if done, err := s.settleReplaced(name, original, pending != nil); done || err != nil {
			return err
		}
	}
	return s.setAside(name, original)
}

// setAside keeps a checkpoint under the name of one that is unrecorded.
func (s *sweeper) setAside(name, original string) error {
	moved, err := setAside(s.files, s.dir, name, original)
	switch {
	case err != nil:
		return err
	case !moved:
		return s.removed(name, nil)
	}
	s.changed = true
	s.swept.SetAside = append(s.swept.SetAside, unrecordedName(original))
	return nil
}

// settleReplaced decides about a folder that Write was replacing when it crashed: it
// gets its name back where that is free, if it is undecided, and is removed where
// the same checkpoint has the name. done is false where it has to be set aside.
func (s *sweeper) settleReplaced(name, original string, undecided bool) (done bool, err error) {
	path, target := filepath.Join(s.dir, name), filepath.Join(s.dir, original)
	found, err := s.files.Kind(target)
	if err != nil {
		return false, err
	}
	if found == missing {
		if !undecided {
			return false, nil
		}
		s.changed = true
		return true, s.files.Rename(path, target)
	}
	same, err := sameContent(s.files, target, path)
	if err != nil || !same {
		return false, err
	}
	return true, s.removed(name, drop(s.files, s.dir, name))
}

// removeFolder removes a folder that Write made. It fails with *CommittedError,
// and removes nothing, where the folder is marked and that is not known to be
// settled; and with *ForeignError where something else is in it.
func removeFolder(files fileLayer, path string, settled bool) error {
	found, err := files.Kind(path)
	if err != nil || found == missing {
		return err
	}
	if _, err := removable(files, path, settled); err != nil {
		return err
	}
	return files.RemoveAll(path)
}

// removable fails as removeFolder does where a folder is not to be removed, and with
// errNotOurs for what is not a folder. It reports whether the folder is empty.
func removable(files fileLayer, path string, settled bool) (empty bool, err error) {
	found, err := files.Kind(path)
	if err != nil {
		return false, err
	}
	if found != folder {
		return false, errNotOurs
	}
	names, err := files.Names(path)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		switch name {
		case weightsFile, optimizerFile, manifestFile, documentFile, pendingFile:
		case markFile:
			if !settled {
				return false, committedError(files, path)
			}
		default:
			return false, &ForeignError{Folder: path, Name: name}
		}
	}
	return len(names) == 0, nil
}

func wrapSweep(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sweep checkpoints in %s: %w", dir, err)
}

// restore gives a kept checkpoint that was set aside its name back, where what has the
// name is not what was kept. It reports whether it did, and whether what has the name
// is what was kept.
func restore(files fileLayer, dir, name string, ref Ref) (restored, kept bool, err error) {
	target, aside := filepath.Join(dir, ref.Dir), filepath.Join(dir, name)
	if whole, err := isWhole(files, target, ref); whole || err != nil {
		return false, whole, err
	}
	if whole, err := isWhole(files, aside, ref); !whole || err != nil {
		return false, false, err
	}
	if err := removeFolder(files, target, true); err != nil {
		return false, false, err
	}
	if err := files.Rename(aside, target); err != nil {
		return false, false, err
	}
	return true, true, nil
}

func isWhole(files fileLayer, path string, ref Ref) (bool, error) {
	_, err := readFolder(files, path, ref, false)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		return false, nil
	}
	return err == nil, err
}

// cutHidden returns the name that a temporary one was made of.
func cutHidden(name, suffix string) (string, bool) {
	original, ok := strings.CutSuffix(name, suffix)
	original, dotted := strings.CutPrefix(original, ".")
	return original, ok && dotted && isFolderName(original)
}

func isFolderName(name string) bool {
	_, ok := stepOf(name)
	return ok
}

// stepOf returns the step whose folder has a name.
func stepOf(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.ParseUint(digits, 10, 64)
	return step, ok && err == nil && folderName(step) == name
}

package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes from the folder dir what crashes left behind: folders of
// checkpoints that were never committed, and temporary folders. It returns the
// names of what it removed, in lexical order, and every error met; it continues
// after one. A dir that is missing holds nothing.
//
// keep are the checkpoints that the log knows. Those that are not marked yet
// (Mark) are marked. It never touches the folder of one, nor anything whose name
// or content is not of this package's making (*ForeignError). A checkpoint that
// is marked and not in keep stays, too: the log is not the one that committed it
// (*CommittedError). Where a crash came while Write replaced a kept checkpoint,
// and only the one set aside is what was kept, that one gets its name back.
func Sweep(dir string, keep []Ref) (removed []string, err error) {
	return Folder{Path: dir}.Sweep(keep)
}

// Sweep removes what the function Sweep does.
func (f Folder) Sweep(keep []Ref) (removed []string, err error) {
	return sweep(f.files(), f.Path, keep)
}

func sweep(files fileLayer, dir string, keep []Ref) ([]string, error) {
	found, err := files.Kind(dir)
	if err != nil || found == missing {
		return nil, wrapSweep(dir, err)
	}
	names, err := files.Names(dir)
	if err != nil {
		return nil, wrapSweep(dir, err)
	}
	kept := make(map[string]Ref, len(keep))
	for _, ref := range keep {
		kept[ref.Dir] = ref
	}
	var removed []string
	var failures []error
	changed := false
	for _, name := range names {
		restored, err := restore(files, dir, name, kept)
		if litter, settled := isLitter(name, kept); err == nil && !restored && litter {
			err = removeFolder(files, filepath.Join(dir, name), settled)
			if err == nil {
				removed = append(removed, name)
			}
		}
		if errors.Is(err, errNotOurs) {
			continue
		}
		changed = changed || restored || err != nil || len(removed) > 0
		failures = append(failures, err)
	}
	if changed {
		failures = append(failures, files.SyncDir(dir))
	}
	for _, ref := range keep {
		failures = append(failures, mark(files, dir, ref, 0))
	}
	return removed, wrapSweep(dir, errors.Join(failures...))
}

// errNotOurs is returned for what bears a name of ours and is not a folder.
var errNotOurs = errors.New("not a folder")

// removeFolder removes a folder that Write made. It fails with *CommittedError,
// and removes nothing, where the folder is marked and that is not known to be
// settled; and with *ForeignError where something else is in it.
func removeFolder(files fileLayer, path string, settled bool) error {
	found, err := files.Kind(path)
	switch {
	case err != nil:
		return err
	case found == missing:
		return nil
	case found != folder:
		return errNotOurs
	}
	if err := removable(files, path, settled); err != nil {
		return err
	}
	return files.RemoveAll(path)
}

// removable fails as removeFolder does where a folder is not to be removed.
func removable(files fileLayer, path string, settled bool) error {
	names, err := files.Names(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch name {
		case weightsFile, optimizerFile, manifestFile:
		case markFile:
			if !settled {
				return committedError(files, path)
			}
		default:
			return &ForeignError{Folder: path, Name: name}
		}
	}
	return nil
}

func wrapSweep(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sweep checkpoints in %s: %w", dir, err)
}

// restore gives a kept checkpoint that was set aside its name back, where what
// bears the name is not what was kept, and reports whether it did.
func restore(files fileLayer, dir, name string, kept map[string]Ref) (bool, error) {
	original, ok := cutHidden(name, asideSuffix)
	ref, needed := kept[original]
	if !ok || !needed {
		return false, nil
	}
	target, aside := filepath.Join(dir, original), filepath.Join(dir, name)
	if whole, err := isWhole(files, target, ref); whole || err != nil {
		return false, err
	}
	if whole, err := isWhole(files, aside, ref); !whole || err != nil {
		return false, err
	}
	if err := removeFolder(files, target, true); err != nil {
		return false, err
	}
	if err := files.Rename(aside, target); err != nil {
		return false, err
	}
	return true, nil
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

// isLitter reports whether Write made a name and nobody refers to it; and whether
// it is settled that nothing is lost with it, since what bears its name is kept.
func isLitter(name string, kept map[string]Ref) (litter, settled bool) {
	if isFolderName(name) {
		_, needed := kept[name]
		return !needed, false
	}
	if original, aside := cutHidden(name, asideSuffix); aside {
		_, needed := kept[original]
		return true, needed
	}
	_, part := cutHidden(name, partSuffix)
	return part, false
}

func isFolderName(name string) bool {
	_, ok := stepOf(name)
	return ok
}

// stepOf returns the step whose folder bears a name.
func stepOf(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.ParseUint(digits, 10, 64)
	return step, ok && err == nil && folderName(step) == name
}

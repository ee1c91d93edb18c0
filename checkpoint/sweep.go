package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes from the folder dir what crashes left behind: folders of
// checkpoints that are not in keep, with all that is in them, and temporary
// folders. It returns the names of what it removed, in lexical order, and every
// error met; it goes on after one. A dir that is missing holds nothing.
//
// It never touches the folder of a kept checkpoint, nor anything whose name is
// not of this package's making. Where a crash came while Write replaced a kept
// checkpoint, and only the one set aside is what was kept, that one gets its
// name back.
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
		if err == nil && !restored && isLitter(name, kept) {
			err = removeFolder(files, filepath.Join(dir, name))
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
	return removed, wrapSweep(dir, errors.Join(failures...))
}

// errNotOurs is returned for what bears a name of ours and is no folder.
var errNotOurs = errors.New("not a folder")

func removeFolder(files fileLayer, path string) error {
	found, err := files.Kind(path)
	if err != nil {
		return err
	}
	if found != folder {
		return errNotOurs
	}
	return files.RemoveAll(path)
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
	if err := files.RemoveAll(target); err != nil {
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

// isLitter reports whether Write made a name and nobody refers to it.
func isLitter(name string, kept map[string]Ref) bool {
	if isFolderName(name) {
		_, needed := kept[name]
		return !needed
	}
	_, part := cutHidden(name, partSuffix)
	_, aside := cutHidden(name, asideSuffix)
	return part || aside
}

func isFolderName(name string) bool {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.ParseUint(digits, 10, 64)
	return ok && err == nil && folderName(step) == name
}

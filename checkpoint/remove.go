package checkpoint

import (
	"errors"
	"fmt"
	"path/filepath"
)

// Remove removes the checkpoints of steps, and what an earlier Remove that was cut short
// has left of them; those that are not there are no error. Each gets another name first,
// so that it is there whole or not at all, unless the power fails: then some of it may be
// back, and is removed by the next Remove. It removes marked ones, too: the caller has
// recorded that they are not needed. A folder with something in it that this package did
// not write is left as it is, with a *ForeignError. It continues after an error, and
// returns all.
func (f Folder) Remove(steps ...uint64) error {
	files := f.files()
	var errs []error
	for _, step := range steps {
		name := folderName(step)
		removed := filepath.Join(f.Path, removedName(name))
		half, err := files.Kind(removed) // of an earlier crash
		if err == nil && half == folder {
			err = removeFolder(files, removed, true)
		}
		path := filepath.Join(f.Path, name)
		found, kindErr := files.Kind(path)
		if err = errors.Join(err, kindErr); err != nil || found != folder {
			errs = append(errs, wrapRemove(path, err))
			continue
		}
		if _, err := removable(files, path, true); err != nil {
			errs = append(errs, wrapRemove(path, err))
			continue
		}
		if err := files.Rename(path, removed); err != nil {
			errs = append(errs, wrapRemove(path, err))
			continue
		}
		errs = append(errs, wrapRemove(path, files.RemoveAll(removed)))
	}
	return errors.Join(errs...)
}

func wrapRemove(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("remove checkpoint %s: %w", path, err)
}

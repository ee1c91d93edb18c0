package checkpoint

import (
	"errors"
	"path/filepath"
)

// Clear removes every checkpoint, marked or not, with what crashes left of others: the
// caller has recorded that none is needed. It then removes the folder if that is empty.
// What this package did not write, and what it has set aside as unrecorded, stays; left
// reports whether there is such. It continues after an error, and returns all.
func (f Folder) Clear() (left bool, err error) {
	files := f.files()
	found, err := files.Kind(f.Path)
	if err != nil || found != folder {
		return found != missing && err == nil, err
	}
	names, err := files.Names(f.Path)
	if err != nil {
		return false, err
	}
	var errs []error
	for _, name := range names {
		path := filepath.Join(f.Path, name)
		ours := isFolderName(name)
		for _, suffix := range []string{partSuffix, removedSuffix, asideSuffix} {
			_, hidden := cutHidden(name, suffix)
			ours = ours || hidden
		}
		if !ours {
			left = true
			continue
		}
		err := removeFolder(files, path, true)
		var foreign *ForeignError
		switch {
		case errors.Is(err, errNotOurs), errors.As(err, &foreign):
			left = true
		default:
			errs = append(errs, wrapRemove(path, err))
		}
	}
	if err := errors.Join(errs...); err != nil || left {
		return left, err
	}
	return false, files.RemoveAll(f.Path)
}

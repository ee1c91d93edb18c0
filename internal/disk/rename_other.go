//go:build !linux

package disk

import "errors"

// renameNew is not to be had in one operation here.
func renameNew(_, _ string) error { return errors.ErrUnsupported }

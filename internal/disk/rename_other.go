//go:build !linux

package disk

import "errors"

// renameNew is not available as one operation on this system.
func renameNew(_, _ string) error { return errors.ErrUnsupported }

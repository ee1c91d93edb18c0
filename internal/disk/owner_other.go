//go:build !unix

package disk

import (
	"io/fs"
	"os"
)

func create(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

func mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// CreateLike does nothing on this system, which has no root.
func CreateLike(string, string) error { return nil }

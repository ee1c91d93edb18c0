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

func createIn(root *os.Root, name string, flag int, perm fs.FileMode) (*os.File, error) {
	return root.OpenFile(name, flag, perm)
}

func mkdirIn(root *os.Root, name string, perm fs.FileMode) error { return root.Mkdir(name, perm) }

// Foreign returns false on this system, whose files have no numeric owners.
func Foreign(fs.FileInfo) bool { return false }

// GiveToOwner does nothing on this system, which has no root.
func GiveToOwner(string) error { return nil }

// CreateLike does nothing on this system, which has no root.
func CreateLike(string, string) error { return nil }

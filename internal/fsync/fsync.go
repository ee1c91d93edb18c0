// Package fsync makes the names of files and folders of the operating system
// survive the loss of power: package disk for those who write through no other
// file system.
//
// All functions are safe for concurrent use.
package fsync

import (
	"os"

	"reprise/internal/disk"
)

// Dir makes the entries of a folder durable.
func Dir(path string) error { return disk.OS{}.SyncDir(path) }

// MkdirAll makes a folder and its parents, durable (disk.MkdirAll).
func MkdirAll(path string, perm os.FileMode) error { return disk.MkdirAll(disk.OS{}, path, perm) }

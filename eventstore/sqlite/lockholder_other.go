//go:build !linux

package sqlite

// lockHolder names the process that holds a lock on a database on Linux only.
func lockHolder(string) string { return "" }

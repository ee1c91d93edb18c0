//go:build !linux

package sqlite

// lockHolder would name the process that holds a lock on a database: only Linux is
// asked.
func lockHolder(string) string { return "" }

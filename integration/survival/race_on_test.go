//go:build race

package survival

// stride is the distance between the operations that fail in one run of the
// tests. The race detector makes SQLite many times slower, and looks for something
// else.
const stride = 16

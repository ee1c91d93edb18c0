//go:build !race

package survival

// stride is the distance between the operations that fail in one run of the
// tests: here, every operation fails.
const stride = 1

//go:build !amd64 || noasm

package cpu

import "testing"

// emulatedTiles returns nothing: the emulator supports only amd64. On arm64,
// qemu serves to test kernels on machines without the instructions.
func emulatedTiles(testing.TB) []namedTile { return nil }

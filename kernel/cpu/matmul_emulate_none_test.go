//go:build !amd64 || noasm

package cpu

import "testing"

// emulatedTiles returns nothing: the emulator knows amd64 only. What it is for,
// testing on machines without the instructions, qemu does for arm64.
func emulatedTiles(testing.TB) []namedTile { return nil }

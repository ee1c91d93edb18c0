//go:build (amd64 || arm64) && !noasm

package cpu

// haveAssembly says that the build contains assembly for its architecture.
const haveAssembly = true

//go:build !noasm

package cpu

// haveAssembly says that the build contains the amd64 routines.
const haveAssembly = true

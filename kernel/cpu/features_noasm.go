//go:build !amd64 || noasm

package cpu

// haveAssembly says that the build contains the amd64 routines.
const haveAssembly = false

//go:build (!amd64 && !arm64) || noasm

package cpu

// assemblyVariants returns nothing: this build has only the portable variant.
func assemblyVariants() []matMulVariant { return nil }

//go:build !unix

package main

// ignoreLimitSignals does nothing: there are no such signals here.
func ignoreLimitSignals() {}

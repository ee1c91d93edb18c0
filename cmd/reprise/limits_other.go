//go:build !unix || openbsd

package main

// checkLimits checks nothing: there are no such limits here.
func checkLimits() error { return nil }

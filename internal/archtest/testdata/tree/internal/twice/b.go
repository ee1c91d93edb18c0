// Package twice says so again.
package twice // want package-doc "has its package comment in a.go already"

func init() { counter++ } // want init "no init functions"

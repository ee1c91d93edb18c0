// Package util has no subject.
package util // want folders "util says nothing" want layers "has no row in the table"

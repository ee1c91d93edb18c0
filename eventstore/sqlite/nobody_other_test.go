//go:build !unix

package sqlite

import "os/exec"

// asNobody would have the command run as another user.
func asNobody(*exec.Cmd) {}

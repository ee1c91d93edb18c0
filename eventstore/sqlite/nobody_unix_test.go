//go:build unix

package sqlite

import (
	"os"
	"os/exec"
	"syscall"
)

// asNobody has the command run as a user who owns nothing, if this one is root. One
// who is not may not write to a folder without permission anyway.
func asNobody(c *exec.Cmd) {
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}

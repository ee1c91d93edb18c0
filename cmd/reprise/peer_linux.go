package main

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID returns the number of the user at the other end of a Unix socket, false where
// the system does not tell.
func peerUID(c net.Conn) (uid int, known bool) {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, known = int(peer.Uid), true
		}
	})
	return uid, known && err == nil
}

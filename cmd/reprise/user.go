package main

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"

	"reprise/queue"
	"reprise/service"
)

// currentUser returns the name of the user that this process belongs to, as the owner of
// jobs: a number where the system has no name for the user, and "" where it has neither.
func currentUser() string {
	u, err := user.Current()
	return ownerName(u, err, os.Getuid())
}

// ownerName returns what can be the owner of jobs: a user's name or, where there is none
// or no queue would accept it, the number.
func ownerName(u *user.User, err error, uid int) string {
	var names []string
	if err == nil {
		names = append(names, u.Username, u.Uid)
	}
	if uid >= 0 { // on Windows there are no numbers
		names = append(names, strconv.Itoa(uid))
	}
	for _, name := range names {
		s := queue.Submission{Request: []byte("{}"), Owner: name}
		if name != "" && s.Validate() == nil {
			return name
		}
	}
	return ""
}

// asPeer returns a context for the calls that come over a connection: those of another
// user than this process's, who is root, are that user's.
func asPeer(ctx context.Context, c net.Conn) context.Context {
	uid, known := peerUID(c)
	if !known || uid == os.Geteuid() {
		return ctx
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	return service.AsUser(ctx, ownerName(u, err, uid))
}

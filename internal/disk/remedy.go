package disk

import (
	"errors"
	"io/fs"
	"syscall"
)

// Remedy returns what a user can do about an error of the operating system that
// may pass, such as "free some space" for a disk that is full; "" for any other
// error.
func Remedy(err error) string {
	for _, r := range remedies() {
		if errors.Is(err, r.err) {
			return r.fix
		}
	}
	return ""
}

type remedy struct {
	err error
	fix string
}

func remedies() []remedy {
	return []remedy{
		{syscall.ENOSPC, "free some space"},
		{syscall.EDQUOT, "free some of your quota"},
		{syscall.EFBIG, "allow larger files (ulimit -f)"},
		{syscall.EROFS, "mount it for writing"},
		{fs.ErrPermission, "give this user permission"},
		{syscall.EMFILE, "raise the limit of open files"},
		{syscall.ENFILE, "close files of other programs: the system allows no more"},
		{syscall.ENOMEM, "free some memory, or allow this process more (ulimit -v)"},
		{syscall.EAGAIN, "end other programs: the system allows no more of what they hold"},
		{syscall.ESTALE, "mount the network file system again"},
		{syscall.ETIMEDOUT, "make sure that the disk answers again"},
		{syscall.ENXIO, "connect the disk again"},
		{syscall.ENODEV, "connect the disk again"},
		{syscall.EIO, "the disk itself failed: check it"},
		{fs.ErrNotExist, "put it back"},
		{syscall.ENOTDIR, "put the folder back"},
	}
}

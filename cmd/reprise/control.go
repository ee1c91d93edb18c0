package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reprise/api"
	"reprise/client"
	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/flock"
	"reprise/service"
)

const (
	// controlName is the folder in the data directory that the socket lies in, or
	// a link to it where that path is too long for a socket.
	controlName = "control"
	socketName  = "http.sock"
	// controlPrefix begins the name of such a folder elsewhere.
	controlPrefix = "reprise-"
	// maxSocketPath is what every system allows in a socket's address, in bytes:
	// macOS has room for 104, Linux for 108, each with a zero at the end.
	maxSocketPath = 103
	// controlPatience bounds a question to the process that holds the data directory.
	controlPatience = 10 * time.Second
)

// errNoProcess says that nobody holds the data directory, or that its holder
// cannot be reached.
var errNoProcess = fault.New(fault.Unavailable, "no process is training")

// control is the endpoint by which other processes of the same user reach the service
// of this one: HTTP on a Unix socket in the data directory.
type control struct {
	folder string // private, with the socket
	link   string // to the folder, or the folder itself
	server *socketServer
}

// serveControl opens the endpoint of the process that holds the data directory's
// lock, in place of what a dead one left. close must follow.
func serveControl(ctx context.Context, w datadir.Workspace, handler http.Handler) (*control, error) {
	link := filepath.Join(w.Dir, controlName)
	if err := removeControl(link); err != nil {
		return nil, err
	}
	folder, err := makeControl(link)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(folder, socketName)
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, errors.Join(err, removeControl(link))
	}
	// The folder already keeps others out; this is a second barrier.
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close(), removeControl(link))
	}
	return &control{folder: folder, link: link, server: serveOn(service.AsGuest(context.Background()), listener, handler, asPeer)}, nil
}

// makeControl makes the private folder of the socket at the path. It makes it elsewhere,
// with a link to it, where a socket's path would be too long, and in a data directory of
// another user: whoever connects acts as the user of this process, who may be root, and
// the owner of the directory could open or replace what lies in it.
func makeControl(path string) (string, error) {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if len(filepath.Join(path, socketName)) <= maxSocketPath && !disk.Foreign(dir) {
		return path, disk.Or(nil).Mkdir(path, 0o700)
	}
	folder, err := os.MkdirTemp("", controlPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Symlink(folder, path); err != nil {
		return "", errors.Join(err, os.Remove(folder))
	}
	if err := disk.GiveToOwner(path); err != nil { // the link, not the folder
		return "", errors.Join(err, removeControl(path))
	}
	return folder, nil
}

// removeControl removes what serveControl made, in this process or in one that
// died: the socket, its folder and the link to it. It removes nothing else: anything of
// another kind, a folder with something else in it, and a link that does not lead to a
// folder named as makeControl names them stay, and are an error.
func removeControl(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return removeControlFolder(path)
	}
	folder, err := os.Readlink(path)
	random, ok := strings.CutPrefix(filepath.Base(folder), controlPrefix)
	if err != nil || !ok || strings.Trim(random, "0123456789") != "" { // as os.MkdirTemp makes them
		return fault.New(fault.Conflict, "%s was not made by reprise; move it away", path)
	}
	// Whoever may write to the data directory may have put the link there. A folder that
	// this process would not have made is left alone: only the link goes.
	info, err = os.Lstat(folder)
	if err == nil && info.IsDir() && !disk.Foreign(info) && filepath.Dir(folder) == filepath.Clean(os.TempDir()) {
		if err := removeControlFolder(folder); err != nil {
			return err
		}
	}
	return removeIfThere(path)
}

// removeControlFolder removes a folder with a socket in it, or with nothing.
func removeControlFolder(folder string) error {
	socket := filepath.Join(folder, socketName)
	const others = fs.ModeDir | fs.ModeSymlink | fs.ModeNamedPipe | fs.ModeDevice
	if info, err := os.Lstat(socket); err == nil && (info.Mode().IsRegular() || info.Mode()&others != 0) {
		return fault.New(fault.Conflict, "%s was not made by reprise; move it away", socket)
	}
	return errors.Join(removeIfThere(socket), removeIfThere(folder))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// close ends the endpoint and removes what it made.
func (c *control) close() error { return errors.Join(c.server.close(), removeControl(c.link)) }

// clientOfHolder returns a client of the process that holds the data directory; nil if
// it has no socket. Client.Close must follow.
func clientOfHolder(w datadir.Workspace) *client.Client {
	folder, err := filepath.EvalSymlinks(filepath.Join(w.Dir, controlName))
	if err != nil {
		return nil
	}
	return client.New("its socket", func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, socketName))
	})
}

// askHolder calls the service of the process that holds the data directory. It fails
// with errNoProcess where there is none.
func askHolder[Request, Answer any](
	ctx context.Context, w datadir.Workspace, call func(api.Service, context.Context, Request) (Answer, error), request Request,
) (answer Answer, err error) {
	if !writerAlive(w) {
		return answer, errorf("%w in %s; start one with `reprise train JOB`, or name another folder with --data-dir", errNoProcess, w.Dir)
	}
	conn, err := dialHolder(ctx, w)
	if errors.Is(err, fs.ErrPermission) {
		_, by, _ := flock.Probe(w.LockPath()) // it need not be known who
		return answer, notThisUsers(w, by)
	}
	if err == nil {
		_ = conn.Close() // it was only to see whether this user may
	}
	holder := clientOfHolder(w)
	if holder == nil {
		return answer, errorf("%w in %s that can be asked: it has no %s, or is just starting or ending",
			errNoProcess, w.Dir, controlName)
	}
	defer func() { err = errors.Join(err, holder.Close()) }()
	patient, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	answer, err = call(holder, patient, request)
	var e *api.Error
	switch {
	case err == nil || ctx.Err() != nil:
		return answer, err
	case patient.Err() != nil:
		return answer, errorf("%w in %s that can be asked: it did not answer within %v", errNoProcess, w.Dir, controlPatience)
	case errors.As(err, &e) && (e.Code == api.Unreachable || e.Code == api.NoActors):
		return answer, errorf("%w in %s that can be asked: %s", errNoProcess, w.Dir, e.Message)
	}
	return answer, err
}

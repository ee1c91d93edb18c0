package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"reprise/api"
	"reprise/client"
	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/disk"
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
	// closePatience is how long a process that ends waits for the calls of others.
	closePatience = time.Second
)

// errNoProcess says that nobody holds the data directory, or that its holder
// cannot be reached.
var errNoProcess = fault.New(fault.Unavailable, "no process is training")

// control is the endpoint by which other processes of the same user reach the service
// of this one: HTTP on a Unix socket in the data directory.
type control struct {
	folder   string // private, with the socket; "" where there is no link
	link     string
	server   *http.Server
	served   chan struct{}
	handlers sync.WaitGroup
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
	if err := errors.Join(os.Chmod(socket, 0o600), disk.GiveToOwner(socket)); err != nil {
		return nil, errors.Join(err, listener.Close(), removeControl(link))
	}
	c := &control{folder: folder, link: link, served: make(chan struct{})}
	c.server = &http.Server{BaseContext: func(net.Listener) context.Context { return service.AsGuest(context.Background()) }, ReadHeaderTimeout: controlPatience, MaxHeaderBytes: 1 << 14, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			c.handlers.Add(1)
			defer c.handlers.Done()
			handler.ServeHTTP(w, r)
		})}
	go func() {
		defer close(c.served)
		_ = c.server.Serve(listener) // close ends it
	}()
	return c, nil
}

// makeControl makes the private folder of the socket at the path or, where a
// socket's path would be too long there, elsewhere with a link to it.
func makeControl(path string) (string, error) {
	if len(filepath.Join(path, socketName)) <= maxSocketPath {
		return path, disk.Or(nil).Mkdir(path, 0o700)
	}
	folder, err := os.MkdirTemp("", controlPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Symlink(folder, path); err != nil {
		return "", errors.Join(err, os.Remove(folder))
	}
	return folder, nil
}

// removeControl removes what serveControl made, in this process or in one that
// died: the socket, its folder and the link to it. It removes nothing else:
// anything of another kind, a folder with something else in it, and a link that
// leads elsewhere than to a temporary folder of makeControl stay, and are an error.
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
	if info, err = os.Lstat(folder); err == nil && info.IsDir() {
		err = removeControlFolder(folder)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
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

// close lets calls end for a moment, such as those that follow runs to their end, cuts
// off the others and removes what it made.
func (c *control) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	err := c.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = c.server.Close()
	}
	<-c.served
	c.handlers.Wait()
	return errors.Join(err, removeControl(c.link))
}

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
		return answer, fmt.Errorf("%w in %s; start one with `reprise train JOB`, or name another folder with --data-dir", errNoProcess, w.Dir)
	}
	holder := clientOfHolder(w)
	if holder == nil {
		return answer, fmt.Errorf("%w in %s that can be asked: it has no %s, or is just starting or ending",
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
		return answer, fmt.Errorf("%w in %s that can be asked: it did not answer within %v", errNoProcess, w.Dir, controlPatience)
	case errors.As(err, &e) && (e.Code == api.Unreachable || e.Code == api.NoActors):
		return answer, fmt.Errorf("%w in %s that can be asked: %s", errNoProcess, w.Dir, e.Message)
	}
	return answer, err
}

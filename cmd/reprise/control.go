package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reprise/datadir"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/disk"
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
	// controlPatience bounds a request to the control endpoint.
	controlPatience = 10 * time.Second
	// maxControlAnswer bounds what is read of an answer.
	maxControlAnswer = 64 << 20
)

// errNoProcess says that nobody holds the data directory, or that its holder
// cannot be reached.
var errNoProcess = fault.New(fault.Unavailable, "no process is training")

// control is the endpoint by which other processes of the same user look into
// this one: HTTP on a Unix socket in the data directory.
type control struct {
	folder string // private, with the socket; "" where there is no link
	link   string
	server *http.Server
	served chan struct{}
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
	c := &control{folder: folder, link: link, served: make(chan struct{}), server: &http.Server{
		Handler: handler, ReadTimeout: controlPatience, WriteTimeout: 2 * controlPatience, MaxHeaderBytes: 1 << 14,
	}}
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
		return fmt.Errorf("%s was not made by reprise; move it away", path)
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
		return fmt.Errorf("%s was not made by reprise; move it away", socket)
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
func (c *control) close() error {
	err := c.server.Close()
	<-c.served
	return errors.Join(err, removeControl(c.link))
}

// askControl asks the process that holds the data directory, and decodes its
// answer. It fails with errNoProcess where there is none.
func askControl(ctx context.Context, w datadir.Workspace, resource string, answer any) error {
	if !writerAlive(w) {
		return fmt.Errorf("%w in %s; start one with `reprise train JOB`, or name another folder with --data-dir", errNoProcess, w.Dir)
	}
	folder, err := filepath.EvalSymlinks(filepath.Join(w.Dir, controlName))
	if err != nil {
		return fmt.Errorf("%w in %s that can be asked: it has no %s, or is just starting or ending",
			errNoProcess, w.Dir, controlName)
	}
	client := http.Client{Timeout: controlPatience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(folder, socketName))
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://reprise"+resource, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%w in %s that can be asked: %w", errNoProcess, w.Dir, err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body := io.LimitReader(response.Body, maxControlAnswer)
	if response.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(body) // what there is of it
		if response.StatusCode == http.StatusNotFound {
			return errors.New(truncate(strings.TrimSpace(string(reason)), 500))
		}
		return fmt.Errorf("--data-dir %s: its process answered %s: %s", w.Dir, response.Status, excerpt(strings.TrimSpace(string(reason))))
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("--data-dir %s: its process gave an answer that this version does not understand: %w", w.Dir, err)
	}
	return nil
}

// controlHandler answers for a host.
func controlHandler(host *integration.Host, now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/actors", func(w http.ResponseWriter, _ *http.Request) {
		writeAnswer(w, snapshotOf(host, os.Getpid(), now()))
	})
	mux.HandleFunc("POST /v1/tell", tellActor(host))
	mux.HandleFunc("GET /v1/trace", func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Query().Get("actor")
		host.TraceNext(path)
		_ = wait(r.Context(), snapshotInterval)
		trace, ok := host.Trace(path)
		if !ok {
			http.Error(w, fmt.Sprintf("--trace %s: no message reached it within %v; try again, or trace one that `reprise actors` shows to be busy",
				path, snapshotInterval), http.StatusNotFound)
			return
		}
		writeAnswer(w, traceStepOf(trace, trace.Sent))
	})
	return mux
}

func writeAnswer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

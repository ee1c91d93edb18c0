package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"slices"

	"reprise/api"
	"reprise/client"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/inference"
	"reprise/internal/disk"
	"reprise/server"
	"reprise/service"
)

// The ways to reach the service, which REPRISE_SERVICE names.
const (
	// serviceDirect calls it in this process.
	serviceDirect = "direct"
	// serviceSocket calls it in this process over a socket, as other processes do: what
	// a command prints must be the same.
	serviceSocket = "socket"
)

// access is what a command wants of the data directory.
type access int

const (
	// reading needs a folder that is there; with writing, the service says what it needs.
	reading access = iota
	writing
	// recording is writing that only records something about runs, for whoever trains
	// them: this process takes no submissions meanwhile, and never trains.
	recording
	// submitting is writing for requests that are checked even where there is no folder.
	submitting
	// detaching submits runs to another process, and never holds the data directory.
	detaching
)

// withService calls do with the service over the data directory, for reading. What the
// service has to say meanwhile goes to standard error.
func (env *environment) withService(ctx context.Context, do func(context.Context, api.Service) error) error {
	return env.withServiceFor(ctx, reading, do)
}

// withServiceFor is withService for commands that write, or wait for a folder, too.
//
// Where another process holds the data directory, do is called with the service of that
// process, a guestService, if it serves others. Whatever do does before it calls the
// service may be done again: the process that holds the data directory may let go of it
// just then. It must not read standard input, or anything else that can be read only once.
func (env *environment) withServiceFor(ctx context.Context, wanted access, do func(context.Context, api.Service) error) (err error) {
	defer func() { err = env.withCommands(err) }()
	if way := env.getenv("REPRISE_SERVICE"); way != "" && way != serviceDirect && way != serviceSocket {
		return invalid(fmt.Errorf("REPRISE_SERVICE: %q is not a way to reach the service; use %s or %s, or leave it out", way, serviceDirect, serviceSocket))
	}
	shown := notices{env: env}
	attempt := func(ctx context.Context, s api.Service) error {
		shown.begin()
		defer shown.close()
		return do(api.WithNotices(ctx, shown.show), s)
	}
	var waited patience
	for {
		err := env.heldByOther(wanted)
		if err == nil {
			err = env.withLocalService(ctx, wanted, attempt)
		}
		if wanted == reading {
			return err
		}
		again, err := env.withHolder(ctx, &waited, wanted, err, attempt)
		if !again {
			return err
		}
	}
}

// withLocalService calls do with the service in this process, and waits for the runs that
// other processes have submitted to it.
func (env *environment) withLocalService(ctx context.Context, wanted access, do func(context.Context, api.Service) error) (err error) {
	local, err := env.serviceFor(wanted)
	if err != nil {
		return err
	}
	defer func() {
		var unfinished error
		if wanted != recording {
			unfinished = env.finishOthers(ctx, local)
		}
		err = errors.Join(err, unfinished, local.Close())
	}()
	if env.getenv("REPRISE_SERVICE") != serviceSocket {
		return do(ctx, local)
	}
	served, err := serveSocket(ctx, local)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.close()) }()
	remote := client.New(served.path, served.dial)
	defer func() { err = errors.Join(err, remote.Close()) }()
	return do(ctx, remote)
}

// serviceFor returns the service over the data directory, in this process.
func (env *environment) serviceFor(wanted access) (*service.Service, error) {
	w, err := env.workspace()
	if (wanted == writing || wanted == recording) && err != nil {
		return nil, err
	}
	if err == nil && wanted == reading && env.dataDir != "" && !disk.Exists(w.EventsPath()) {
		if _, missing := os.Stat(w.Dir); missing != nil {
			err = invalid(fmt.Errorf("--data-dir %s: no such folder", w.Dir))
		}
	}
	if err != nil {
		w.Dir = ""
	}
	return env.serviceOver(w, err, wanted != recording)
}

// serviceOver wires the service over a data directory; noDir says why there is none.
// Other processes can reach it while it holds the data directory only if it is served.
func (env *environment) serviceOver(w datadir.Workspace, noDir error, served bool) (*service.Service, error) {
	return service.New(service.Config{
		Dir: w.Dir, NoDir: noDir, Now: env.now, OpenDevices: env.openDevices, DataSets: env.dataSets, Random: rand.Reader,
		Inference: inference.Config{Threads: env.threads, Features: env.cpuFeatures},
		OpenReadOnly: func(path string) (eventstore.Store, error) {
			store, err := sqlite.OpenReadOnly(path)
			if err != nil {
				return nil, err // not a nil *sqlite.Store
			}
			return store, nil
		},
		EmptyLog: func() eventstore.Store { return memory.New() },
		OpenForWriting: func(path string) (eventstore.Store, error) {
			store, err := sqlite.Open(path, sqlite.Config{})
			if err != nil {
				return nil, err // not a nil *sqlite.Store
			}
			return store, nil
		},
		Copies: copies(), Process: os.Getpid(), Command: env.command, User: currentUser,
		Serve: func(ctx context.Context, s *service.Service) (func() error, error) {
			if !served {
				return func() error { return nil }, nil
			}
			endpoint, err := serveControl(ctx, w, server.Handler(s))
			if err != nil {
				return nil, errorf("`reprise actors` cannot inspect this process: %w", err)
			}
			return endpoint.close, nil
		},
		Holder: func() (api.Service, func() error) {
			if w.Dir == "" || !writerAlive(w) {
				return nil, nil
			}
			holder := clientOfHolder(w)
			if holder == nil {
				return nil, nil // not a nil *client.Client
			}
			return holder, holder.Close
		},
	})
}

// copies copies the event logs that sqlite has.
func copies() service.Copies {
	return service.Copies{
		Backup: sqlite.Backup, Restore: sqlite.Restore,
		OpenWreck: func(ctx context.Context, path string) (service.Wreck, error) {
			wreck, err := sqlite.OpenWreck(ctx, path)
			if err != nil {
				return nil, err // not a nil *sqlite.Wreck
			}
			return wreck, nil
		},
	}
}

// finish returns the result of an operation that takes a while, and shows how far it is
// meanwhile.
func finish[Result any](updates iter.Seq2[api.Update[Result], error], progress *counter) (Result, error) {
	defer progress.close()
	var none Result
	for u, err := range updates {
		switch {
		case err != nil:
			return none, err
		case u.Result != nil:
			return *u.Result, nil
		}
		progress.update(u.Done, u.Of)
	}
	return none, errors.New("the service gave no result")
}

// notices shows what the service has to say beside an answer. What an attempt has said is
// not repeated when the next one says it again.
type notices struct {
	env      *environment
	download *download
	// said is what this attempt has said, before what earlier ones have.
	said, before []string
}

// begin begins an attempt.
func (n *notices) begin() {
	n.before = append(n.before, n.said...)
	n.said = nil
}

func (n *notices) show(notice api.Notice) {
	if d := notice.Download; d != nil && !d.Ended {
		if n.download == nil {
			n.download = &download{env: n.env}
		}
		n.download.update(dataset.Progress{Name: d.Name, File: d.File, Done: d.Done, Total: d.Total})
		return
	}
	n.close()
	text := ""
	switch {
	case notice.Warning != "":
		text = "reprise: warning: " + notice.Warning
	case notice.Note != "":
		text = "reprise: note: " + notice.Note
	case notice.Event != "":
		text = "reprise: " + notice.Event
	}
	if text == "" || slices.Contains(n.before, text) {
		return
	}
	n.said = append(n.said, text)
	writeLines(n.env.stderr, text)
}

// close clears the line of a download.
func (n *notices) close() {
	if n.download != nil {
		n.download.close()
	}
}

// privateSocket is a socket of this process for itself.
type privateSocket struct {
	path   string
	server *socketServer
}

// serveSocket serves a service on a socket in a temporary folder that only this user can
// enter. close must follow.
func serveSocket(ctx context.Context, s api.Service) (*privateSocket, error) {
	folder, err := os.MkdirTemp("", controlPrefix)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, socketName)
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(folder))
	}
	return &privateSocket{path: path, server: serveOn(context.Background(), listener, server.Handler(s), nil)}, nil
}

func (s *privateSocket) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", s.path)
}

// close ends the server and removes the socket.
func (s *privateSocket) close() error {
	return errors.Join(s.server.close(), os.RemoveAll(filepath.Dir(s.path)))
}

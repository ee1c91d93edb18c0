package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reprise/fault"
	"reprise/internal/disk"
)

// fetch brings the missing files of an entry into the cache. They are written to
// disk only after all of their content is in memory and its hash is right.
func (l *Library) fetch(ctx context.Context, entry Entry, have loaded) error {
	if l.config.CacheDir == "" {
		return fmt.Errorf("data set %s has to be fetched: %w", entry.Name, errors.Join(l.config.NoCache, have.damage))
	}
	var attempts []Attempt
	if have.damage != nil {
		attempts = append(attempts, Attempt{From: l.dir(entry), Err: have.damage})
	}
	var err error
	if entry.origin.module != "" {
		err = l.fetchModule(ctx, entry, have.missing, attempts)
	} else {
		err = l.fetchFiles(ctx, entry, have.missing, attempts)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("fetch data set %s: %w", entry.Name, ctx.Err())
	}
	if err != nil && len(l.load(entry).missing) == 0 {
		return nil // another process was faster, and removed what this one wrote
	}
	return err
}

// fetchFiles fetches each file from the entry's address.
func (l *Library) fetchFiles(ctx context.Context, entry Entry, files []File, attempts []Attempt) error {
	for _, f := range files {
		address := entry.origin.url + f.Name
		content, err := l.download(ctx, address, f.Bytes, Progress{Name: entry.Name, File: f.Name, Total: f.Bytes})
		if err != nil {
			return l.offline(entry, append(attempts, Attempt{From: address, Err: err}))
		}
		if err := checkHash(address, content, f); err != nil {
			return err
		}
		if err := l.keep(entry, f, content); err != nil {
			return err
		}
	}
	return l.sweep(entry)
}

// offline is the error when everything has been tried.
func (l *Library) offline(entry Entry, attempts []Attempt) error {
	var names []string
	for _, f := range entry.Files {
		names = append(names, f.Name)
	}
	var b strings.Builder
	if o := entry.origin; o.module != "" {
		fmt.Fprintf(&b, "Set GOPROXY to a module proxy that can be reached, such as %s. Or, on a machine with Go and a network, run\n"+
			"  go mod download -json %s@%s\nand copy %s from the folder %s of the module (%s) to\n  %s",
			"https://proxy.golang.org", o.module, o.version, strings.Join(names, ", "), o.folder, `"Dir" in its output`, l.dir(entry))
	} else {
		fmt.Fprintf(&b, "Check the network. Or, elsewhere, download %s from\n  %s\nand copy the files to\n  %s",
			strings.Join(names, ", "), o.url, l.dir(entry))
		if o.alternative != "" {
			b.WriteString("\nOr " + o.alternative + ".")
		}
	}
	return &OfflineError{Name: entry.Name, Attempts: attempts, Advice: b.String()}
}

// statusError is an HTTP status other than 200.
type statusError int

// Error returns the status with its name.
func (e statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", int(e), http.StatusText(int(e)))
}

// Kind returns Unavailable.
func (e statusError) Kind() fault.Kind { return fault.Unavailable }

// Is reports whether the server says that there is no such file.
func (e statusError) Is(target error) bool {
	return target == fs.ErrNotExist && (e == http.StatusNotFound || e == http.StatusGone)
}

// download returns what is at an http or https address: at most `most` bytes.
func (l *Library) download(ctx context.Context, address string, most int64, progress Progress) ([]byte, error) {
	watched, beat, stop := watch(ctx, l.config.StallTimeout)
	defer stop()
	content, err := l.get(watched, address, most, progress, beat)
	if err != nil && ctx.Err() == nil && watched.Err() != nil {
		return nil, context.Cause(watched)
	}
	return content, err
}

func (l *Library) get(ctx context.Context, address string, most int64, progress Progress, beat func()) (content []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	// Without this, the client unpacks .gz files that a server declares as encoded.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := l.config.HTTP.Do(request)
	if err != nil {
		var wrapped *url.Error // repeats the address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the connection ended without an answer: %w", err)
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	if response.ContentLength > 0 {
		progress.Total = response.ContentLength
	}
	r := &meter{Reader: io.LimitReader(response.Body, most+1), library: l, progress: progress, beat: beat}
	content, err = io.ReadAll(r)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the connection ended after %d of %d bytes: %w", len(content), progress.Total, err)
	case err != nil:
		return nil, err
	case int64(len(content)) > most:
		return nil, fmt.Errorf("the server sent more than the %d bytes of the data set", most)
	}
	return content, nil
}

// meter reports progress, and calls beat for each read that returns data.
type meter struct {
	io.Reader
	library  *Library
	progress Progress
	beat     func()
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.beat()
		m.progress.Done += int64(n)
		if report := m.library.config.Progress; report != nil {
			report(m.progress)
		}
	}
	return n, err
}

// watch returns a context that is cancelled if beat is not called for as long as
// the limit. stop ends the watch and waits for its goroutine.
func watch(parent context.Context, limit time.Duration) (ctx context.Context, beat, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	beats := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			pause, end := context.WithTimeout(ctx, limit)
			select {
			case <-pause.Done():
				end()
				// Has no effect if the context has ended for another reason.
				cancel(fmt.Errorf("nothing arrived for %v", limit))
				return
			case <-beats:
				end()
			}
		}
	}()
	beat = func() {
		select {
		case beats <- struct{}{}:
		default: // one beat is waiting already
		}
	}
	return ctx, beat, func() {
		cancel(nil)
		<-done
	}
}

// The names of files that are being written.
const partial = ".download-"

// keep writes the verified content of a file to the cache: under a temporary name,
// synced, then renamed, so that a crash leaves all of it or nothing.
func (l *Library) keep(entry Entry, f File, content []byte) (err error) {
	dir := l.dir(entry)
	defer func() {
		if err != nil {
			err = &DataError{File: filepath.Join(dir, f.Name), Problem: "cannot be written: " + err.Error(),
				Fix: "make the folder writable, or choose another folder for the cache", Cause: err}
		}
	}()
	if err := disk.MkdirAll(disk.OS{}, dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, partial+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(temp, bytes.NewReader(content))
	if err == nil {
		err = errors.Join(temp.Chmod(0o644), temp.Sync())
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, f.Name))
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // the first error says more
		return err
	}
	return disk.OS{}.SyncDir(dir)
}

// sweep removes what fetches that were killed left behind. If it removes a file of a
// fetch that is still running in another process, that fetch finds the files
// complete in the cache.
func (l *Library) sweep(entry Entry) error {
	left, err := os.ReadDir(l.dir(entry))
	if err != nil {
		return err
	}
	for _, file := range left {
		random, ok := strings.CutPrefix(file.Name(), partial)
		if ok && file.Type().IsRegular() && random != "" && strings.Trim(random, "0123456789") == "" { // as os.CreateTemp makes them
			_ = os.Remove(filepath.Join(l.dir(entry), file.Name())) // what cannot be removed does no harm
		}
	}
	return nil
}

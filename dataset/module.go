package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"reprise/fault"
)

// proxy is an element of GOPROXY.
type proxy struct {
	// address is a URL, "direct" or "off".
	address string
	// anyError says that the next element is tried after any error, not only after
	// "no such module".
	anyError bool
}

// parseProxies reads the value of GOPROXY as the go command does.
func parseProxies(value string) ([]proxy, error) {
	var proxies []proxy
	for rest := value; rest != ""; {
		address, anyError := rest, false
		if i := strings.IndexAny(rest, ",|"); i >= 0 {
			address, anyError, rest = rest[:i], rest[i] == '|', rest[i+1:]
		} else {
			rest = ""
		}
		switch address = strings.TrimSpace(address); address {
		case "":
			continue
		case "direct", "off":
			return append(proxies, proxy{address: address}), nil // what follows is never reached
		}
		// A host without a scheme means https.
		if strings.ContainsAny(address, ".:/") && !strings.Contains(address, ":/") && !filepath.IsAbs(address) && !path.IsAbs(address) {
			address = "https://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file" {
			return nil, &fault.FieldError{Field: "GOPROXY", Value: redact(address), Problem: "is not the address of a module proxy",
				Fix: "use https://, http:// or file://, direct or off"}
		}
		proxies = append(proxies, proxy{address: address, anyError: anyError})
	}
	if len(proxies) == 0 {
		return nil, &fault.FieldError{Field: "GOPROXY", Value: quote(value), Problem: "has no proxy in it",
			Fix: "use a list such as " + DefaultGoProxy}
	}
	return proxies, nil
}

// redact hides the password of an address.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address" // a password may be anywhere in it
	}
	return u.Redacted()
}

// fetchModule extracts the files from a module: from the module cache, which is
// laid out like a proxy, or else from each proxy in turn.
func (l *Library) fetchModule(ctx context.Context, entry Entry, files []File, attempts []Attempt) error {
	location, err := moduleZip(entry.origin)
	if err != nil {
		return err
	}
	if l.config.ModuleCache != "" {
		file := filepath.Join(l.config.ModuleCache, "cache", "download", filepath.FromSlash(location))
		err := l.installFile(entry, files, file)
		if err == nil || errors.As(err, new(*DataError)) {
			return err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			attempts = append(attempts, Attempt{From: file, Err: err})
		}
	}
	proxies, err := parseProxies(l.config.GoProxy)
	if err != nil {
		return err
	}
	for _, p := range proxies {
		from, err := l.tryProxy(ctx, entry, files, p, location)
		if err == nil || ctx.Err() != nil || errors.As(err, new(*HashError)) || errors.As(err, new(*DataError)) {
			return err // wrong content is an error, not a reason to try the next proxy
		}
		attempts = append(attempts, Attempt{From: from, Err: err})
		if !p.anyError && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return l.offline(entry, attempts)
}

// moduleZip returns the path of the module's zip at a proxy.
func moduleZip(o origin) (string, error) {
	escapedPath, err := module.EscapePath(o.module)
	if err != nil {
		return "", err
	}
	version, err := module.EscapeVersion(o.version)
	return escapedPath + "/@v/" + version + ".zip", err
}

// tryProxy installs the files from one proxy. It also returns what to call it.
func (l *Library) tryProxy(ctx context.Context, entry Entry, files []File, p proxy, location string) (string, error) {
	switch p.address {
	case "off":
		return "GOPROXY=off", errors.New("forbids the network")
	case "direct":
		return "direct", errors.New("needs version control; reprise fetches modules from proxies only")
	}
	u, err := url.Parse(p.address)
	if err != nil {
		return redact(p.address), err
	}
	if u.Scheme == "file" {
		// u.Path is /C:/... on Windows.
		root := filepath.FromSlash(u.Path)
		if drive := strings.TrimPrefix(root, `\`); filepath.VolumeName(drive) != "" {
			root = drive
		}
		return p.address, l.installFile(entry, files, filepath.Join(root, filepath.FromSlash(location)))
	}
	// The raw path leaves the exclamation marks, which stand for capitals, unescaped.
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + "/" + location
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + location
	content, err := l.download(ctx, u.String(), maxZip(entry.origin),
		Progress{Name: entry.Name, File: path.Base(entry.origin.module) + "@" + path.Base(location), Total: entry.origin.zipBytes})
	if err != nil {
		return u.Redacted(), err
	}
	return u.Redacted(), l.install(entry, files, u.Redacted(), content)
}

// maxZip is the largest size of a module's zip: proxies may compress it differently.
func maxZip(o origin) int64 { return 2*o.zipBytes + 1<<20 }

// installFile installs the files from a local zip.
func (l *Library) installFile(entry Entry, files []File, zipPath string) error {
	info, err := os.Stat(zipPath)
	if err != nil {
		return err
	}
	if info.Size() > maxZip(entry.origin) {
		return fmt.Errorf("the file has %d bytes, the module has %d", info.Size(), entry.origin.zipBytes)
	}
	content, err := readSized(zipPath, info.Size())
	if err != nil {
		return err
	}
	return l.install(entry, files, zipPath, content)
}

// install checks the hash of the module, and then that of each file, and keeps
// the files. from names the zip in errors.
func (l *Library) install(entry Entry, files []File, from string, content []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("what was sent is not a zip file: %w", err)
	}
	o := entry.origin
	got, err := hashModule(archive, 4*maxZip(o))
	if err != nil {
		return fmt.Errorf("the zip is damaged: %w", err)
	}
	if got != o.hash {
		return &HashError{File: from, Want: o.hash, Got: got}
	}
	for _, f := range files {
		name := path.Join(o.module+"@"+o.version, o.folder, f.Name)
		r, err := archive.Open(name)
		if err != nil {
			return fmt.Errorf("%s in the zip: %w", name, err)
		}
		data, err := io.ReadAll(io.LimitReader(r, f.Bytes+1))
		if err = errors.Join(err, r.Close()); err != nil {
			return fmt.Errorf("%s in the zip: %w", name, err)
		}
		if err := checkHash(from+": "+name, data, f); err != nil {
			return err
		}
		if err := l.keep(entry, f, data); err != nil {
			return err
		}
	}
	return l.sweep(entry)
}

// hashModule returns the hash of a module's content, as go.sum has it.
func hashModule(archive *zip.Reader, most int64) (string, error) {
	entries := map[string]*zip.File{}
	var names []string
	var total uint64
	for _, f := range archive.File {
		if total += f.UncompressedSize64; f.UncompressedSize64 > uint64(most) || total > uint64(most) {
			return "", fmt.Errorf("it unpacks to more than %d bytes", most)
		}
		names = append(names, f.Name)
		entries[f.Name] = f
	}
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return entries[name].Open() })
}

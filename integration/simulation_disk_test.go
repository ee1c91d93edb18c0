package integration

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reprise/internal/disk"
)

// simDisk is a disk in memory that knows what has reached it: content by the
// Sync of its file, names by the SyncDir of their folder.
type simDisk struct {
	root *simNode
	// point is asked before every operation. It says whether the operation is
	// carried out, and what it then returns.
	point func(op, name string, writes bool) (carry bool, err error)
}

var _ disk.FS = (*simDisk)(nil)

// simNode is a file, or a folder where entries is not nil.
type simNode struct {
	content []byte // as the system sees it
	synced  []byte // as the disk has it
	pending []simEdit
	entries map[string]*simNode
	onDisk  map[string]*simNode
	changes []map[string]*simNode // changes of names, not synced yet; nil for a removal
}

// simEdit is a write, or a truncation to size at where data is nil.
type simEdit struct {
	at   int
	data []byte
}

func newSimFolder() *simNode {
	return &simNode{entries: map[string]*simNode{}, onDisk: map[string]*simNode{}}
}

func (e simEdit) apply(content []byte) []byte {
	end := e.at + len(e.data)
	if len(content) < end {
		content = append(content, make([]byte, end-len(content))...)
	}
	if e.data == nil {
		return content[:e.at:e.at]
	}
	copy(content[e.at:], e.data)
	return content
}

func (n *simNode) edit(e simEdit) {
	n.content = e.apply(n.content)
	n.pending = append(n.pending, e)
}

func (n *simNode) sync() {
	for _, e := range n.pending {
		n.synced = e.apply(n.synced)
	}
	n.pending = nil
}

// losePower leaves what is on the disk, and of the rest a random part, if any:
// each change of a name fully or not at all, each edit fully, torn or not at
// all.
func (n *simNode) losePower(random *rand.Rand) {
	some := random.IntN(2) == 0
	if n.entries == nil {
		for _, e := range n.pending {
			if !some || random.IntN(2) == 0 {
				continue
			}
			if e.data != nil && random.IntN(2) == 0 {
				e.data = e.data[:random.IntN(len(e.data)+1)]
			}
			n.synced = e.apply(n.synced)
		}
		n.content, n.pending = slices.Clone(n.synced), nil
		return
	}
	for _, c := range n.changes {
		if some && random.IntN(2) == 0 {
			mergeNames(n.onDisk, c)
		}
	}
	n.entries, n.changes = maps.Clone(n.onDisk), nil
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		n.entries[name].losePower(random)
	}
}

func mergeNames(entries, change map[string]*simNode) {
	for name, n := range change {
		if entries[name] = n; n == nil {
			delete(entries, name)
		}
	}
}

func (d *simDisk) find(name string) *simNode {
	n := d.root
	for part := range strings.SplitSeq(filepath.ToSlash(name), "/") {
		if part == "" || part == "." {
			continue
		}
		if n == nil || n.entries == nil {
			return nil
		}
		n = n.entries[part]
	}
	return n
}

// do carries out an operation, or does not.
func (d *simDisk) do(op, name string, writes bool, carryOut func() error) error {
	carry, err := d.point(op, name, writes)
	if carry {
		if failed := carryOut(); failed != nil {
			return cmp.Or(err, failed)
		}
	}
	return err
}

func (d *simDisk) change(op, name string, c map[string]*simNode) error {
	parent := d.find(path.Dir(name))
	if parent == nil || parent.entries == nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	mergeNames(parent.entries, c)
	parent.changes = append(parent.changes, c)
	return nil
}

func (d *simDisk) OpenFile(name string, flag int, _ fs.FileMode) (disk.File, error) {
	var opened *simFile
	err := d.do("open", name, flag&os.O_CREATE != 0, func() error {
		n := d.find(name)
		switch {
		case n == nil && flag&os.O_CREATE == 0:
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		case n != nil && flag&os.O_EXCL != 0:
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
		case n == nil:
			n = &simNode{}
			if err := d.change("open", name, map[string]*simNode{path.Base(name): n}); err != nil {
				return err
			}
		case flag&os.O_TRUNC != 0:
			n.edit(simEdit{})
		}
		opened = &simFile{disk: d, node: n, name: name}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

func (d *simDisk) Mkdir(name string, _ fs.FileMode) error {
	return d.do("mkdir", name, true, func() error {
		if d.find(name) != nil {
			return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
		}
		return d.change("mkdir", name, map[string]*simNode{path.Base(name): newSimFolder()})
	})
}

// Rename stays within a folder and replaces nothing; no more is needed.
func (d *simDisk) Rename(from, to string) error {
	return d.do("rename", from, true, func() error {
		n := d.find(from)
		switch {
		case n == nil || path.Dir(from) != path.Dir(to):
			return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
		case d.find(to) != nil:
			return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
		}
		return d.change("rename", from, map[string]*simNode{path.Base(from): nil, path.Base(to): n})
	})
}

func (d *simDisk) Remove(name string) error { return d.RemoveAll(name) }

func (d *simDisk) RemoveAll(name string) error {
	return d.do("remove", name, true, func() error {
		if d.find(name) == nil {
			return nil
		}
		return d.change("remove", name, map[string]*simNode{path.Base(name): nil})
	})
}

func (d *simDisk) Stat(name string) (info fs.FileInfo, err error) {
	err = d.do("stat", name, false, func() error {
		n := d.find(name)
		if n == nil {
			return &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
		}
		info = simInfo{path.Base(name), n}
		return nil
	})
	return info, err
}

func (d *simDisk) Lstat(name string) (fs.FileInfo, error) { return d.Stat(name) }

func (d *simDisk) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = d.do("readdir", name, false, func() error {
		n := d.find(name)
		if n == nil || n.entries == nil {
			return &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
		}
		for _, base := range slices.Sorted(maps.Keys(n.entries)) {
			entries = append(entries, fs.FileInfoToDirEntry(simInfo{base, n.entries[base]}))
		}
		return nil
	})
	return entries, err
}

// SyncDir makes names durable. If it fails, they are still pending: a system
// that cannot write its journal stops.
func (d *simDisk) SyncDir(name string) error {
	n := d.find(name)
	if n == nil || n.entries == nil {
		return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
	}
	return d.do("syncdir", name, true, func() error {
		for _, c := range n.changes {
			mergeNames(n.onDisk, c)
		}
		n.changes = nil
		return nil
	})
}

// simFile is an open file.
type simFile struct {
	disk *simDisk
	node *simNode
	name string
	at   int
}

func (f *simFile) Read(b []byte) (n int, err error) {
	n, err = f.ReadAt(b, int64(f.at))
	if f.at += n; n > 0 {
		err = nil
	}
	return n, err
}

func (f *simFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.disk.do("read", f.name, false, func() error {
		if int(off) < len(f.node.content) {
			n = copy(b, f.node.content[off:])
		}
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *simFile) Write(b []byte) (n int, err error) {
	err = f.disk.do("write", f.name, true, func() error {
		f.node.edit(simEdit{f.at, append([]byte{}, b...)})
		f.at += len(b)
		n = len(b)
		return nil
	})
	return n, err
}

func (f *simFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		f.at = int(offset)
	case io.SeekCurrent:
		f.at += int(offset)
	default:
		f.at = len(f.node.content) + int(offset)
	}
	return int64(f.at), nil
}

func (f *simFile) Truncate(size int64) error {
	return f.disk.do("truncate", f.name, true, func() error {
		f.node.edit(simEdit{at: int(size)})
		return nil
	})
}

func (f *simFile) Stat() (fs.FileInfo, error) { return simInfo{path.Base(f.name), f.node}, nil }

// Sync makes content durable. What a failed Sync lost is never written later.
func (f *simFile) Sync() error {
	err := f.disk.do("sync", f.name, true, func() error { f.node.sync(); return nil })
	if err != nil && !errors.Is(err, errDied) {
		f.node.pending = nil
	}
	return err
}

func (f *simFile) Name() string { return f.name }
func (f *simFile) Close() error { return nil }

type simInfo struct {
	name string
	node *simNode
}

func (i simInfo) Name() string { return i.name }
func (i simInfo) Size() int64  { return int64(len(i.node.content)) }
func (i simInfo) IsDir() bool  { return i.node.entries != nil }
func (i simInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
func (i simInfo) ModTime() time.Time { return time.Time{} }
func (i simInfo) Sys() any           { return nil }

package checkpoint

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"reprise/internal/disk"
)

// powerFiles is a file system in memory that knows what has reached the disk:
// content by Sync of the file, names by SyncDir of the folder. losePower drops
// some or all of the rest, as a disk may. Each change of names is there as a
// whole or not at all, a rename included; nothing is assumed of their order.
type powerFiles struct {
	root *node
}

// node is a file, or a folder where entries is not nil.
type node struct {
	content, synced []byte
	entries         map[string]*node
	onDisk          map[string]*node
	unsynced        []change
}

// change is what one operation did to the names of a folder; nil is none.
type change map[string]*node

func (n *node) apply(c change) {
	n.unsynced = append(n.unsynced, c)
	merge(n.entries, c)
}

func merge(entries map[string]*node, c change) {
	for name, n := range c {
		if entries[name] = n; n == nil {
			delete(entries, name)
		}
	}
}

func newPowerFiles() *powerFiles { return &powerFiles{root: newFolder()} }

func newFolder() *node { return &node{entries: map[string]*node{}, onDisk: map[string]*node{}} }

// losePower leaves what is on disk. A name, or a content, that was not synced
// is there or not, as chosen at random; nil loses all of it. Content that
// survives in part is torn.
func (p *powerFiles) losePower(random *rand.Rand) { p.root.losePower(random) }

func (n *node) losePower(random *rand.Rand) {
	if n.entries == nil {
		if random == nil || random.IntN(2) == 0 {
			n.content = n.synced
		} else {
			n.content = n.content[:random.IntN(len(n.content)+1)]
			if len(n.content) < len(n.synced) {
				n.content = n.synced
			}
		}
		n.content, n.synced = bytes.Clone(n.content), bytes.Clone(n.content)
		return
	}
	after := maps.Clone(n.onDisk)
	for _, c := range n.unsynced {
		if random != nil && random.IntN(2) == 0 {
			merge(after, c)
		}
	}
	n.unsynced = nil
	n.entries, n.onDisk = after, maps.Clone(after)
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		n.entries[name].losePower(random)
	}
}

func (p *powerFiles) find(name string) *node {
	n := p.root
	for part := range strings.SplitSeq(strings.Trim(filepath.ToSlash(name), "/"), "/") {
		if part == "" {
			continue
		}
		if n == nil || n.entries == nil {
			return nil
		}
		n = n.entries[part]
	}
	return n
}

func notFound(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (p *powerFiles) MkdirAll(name string) error {
	n := p.root
	for part := range strings.SplitSeq(strings.Trim(filepath.ToSlash(name), "/"), "/") {
		if n.entries[part] == nil {
			n.entries[part] = newFolder()
		}
		n.onDisk[part] = n.entries[part]
		n = n.entries[part]
	}
	return nil
}

// add puts a node under a name that is free.
func (p *powerFiles) add(op, name string, n *node) error {
	parent := p.find(path.Dir(filepath.ToSlash(name)))
	if parent == nil || parent.entries == nil {
		return notFound(op, name)
	}
	if parent.entries[path.Base(filepath.ToSlash(name))] != nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	parent.apply(change{path.Base(filepath.ToSlash(name)): n})
	return nil
}

func (p *powerFiles) Mkdir(name string) error { return p.add("mkdir", name, newFolder()) }

func (p *powerFiles) Create(name string) (outFile, error) {
	n := &node{content: []byte{}}
	if err := p.add("create", name, n); err != nil {
		return nil, err
	}
	return &powerFile{n: n}, nil
}

func (p *powerFiles) Open(name string) (inFile, error) {
	n := p.find(name)
	if n == nil {
		return nil, notFound("open", name)
	}
	return &powerFile{n: n, in: bytes.NewReader(n.content)}, nil
}

func (p *powerFiles) Kind(name string) (kind, error) {
	switch n := p.find(name); {
	case n == nil:
		return missing, nil
	case n.entries == nil:
		return other, nil
	}
	return folder, nil
}

func (p *powerFiles) Names(name string) ([]string, error) {
	n := p.find(name)
	if n == nil {
		return nil, notFound("readdir", name)
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// Rename stays within a folder and refuses to replace another folder, as every
// system does where that is not empty.
func (p *powerFiles) Rename(from, to string) error {
	from, to = filepath.ToSlash(from), filepath.ToSlash(to)
	n, parent := p.find(from), p.find(path.Dir(to))
	switch {
	case n == nil || path.Dir(from) != path.Dir(to):
		return notFound("rename", from)
	case p.find(to) != nil:
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	parent.apply(change{path.Base(from): nil, path.Base(to): n})
	return nil
}

func (p *powerFiles) RemoveAll(name string) error {
	name = filepath.ToSlash(name)
	if p.find(name) != nil {
		p.find(path.Dir(name)).apply(change{path.Base(name): nil})
	}
	return nil
}

func (p *powerFiles) SyncDir(name string) error {
	n := p.find(name)
	if n == nil {
		return notFound("sync", name)
	}
	n.onDisk, n.unsynced = maps.Clone(n.entries), nil
	return nil
}

type powerFile struct {
	n  *node
	in *bytes.Reader
}

func (f *powerFile) Write(b []byte) (int, error) {
	f.n.content = append(f.n.content, b...)
	return len(b), nil
}

func (f *powerFile) Read(b []byte) (int, error) { return f.in.Read(b) }

func (f *powerFile) Sync() error {
	f.n.synced = bytes.Clone(f.n.content)
	return nil
}

func (f *powerFile) Size() (int64, error) {
	if f.n.entries != nil {
		return 0, disk.ErrNotRegular
	}
	return int64(len(f.n.content)), nil
}

func (f *powerFile) Close() error { return nil }

var _ io.Reader = (*powerFile)(nil)

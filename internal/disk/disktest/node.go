package disktest

import (
	"path/filepath"
	"slices"
	"strings"

	"reprise/fault"
)

// node is a file, or a folder where entries is not nil, as the disk has it.
type node struct {
	synced  []byte
	pending []edit // what was done to the content since, in order

	entries  map[string]*node
	onDisk   map[string]*node
	unsynced []map[string]*node // changes of names since, in order; nil is none
}

// edit is a write of data, or a truncation.
type edit struct {
	at       int64
	data     []byte
	truncate bool
	size     int64
}

func newFolder() *node { return &node{entries: map[string]*node{}, onDisk: map[string]*node{}} }

func (n *node) edit(e edit) { n.pending = append(n.pending, e) }

func (n *node) syncContent() {
	for _, e := range n.pending {
		n.synced = e.apply(n.synced)
	}
	n.pending = nil
}

func (n *node) syncNames() {
	for _, c := range n.unsynced {
		merge(n.onDisk, c)
	}
	n.unsynced = nil
}

// clone returns a copy. Nodes that were copied already are in known.
func (n *node) clone(known map[*node]*node) *node {
	if n == nil || known[n] != nil {
		return known[n]
	}
	c := &node{synced: slices.Clone(n.synced), pending: slices.Clone(n.pending)}
	known[n] = c
	if n.entries == nil {
		return c
	}
	names := func(from map[string]*node) map[string]*node {
		to := make(map[string]*node, len(from))
		for name, child := range from {
			to[name] = child.clone(known)
		}
		return to
	}
	c.entries, c.onDisk = names(n.entries), names(n.onDisk)
	for _, change := range n.unsynced {
		c.unsynced = append(c.unsynced, names(change))
	}
	return c
}

// apply returns the content after the edit; content is not used any more.
func (e edit) apply(content []byte) []byte {
	if e.truncate {
		return resized(content, e.size)
	}
	content = resized(content, max(int64(len(content)), e.at+int64(len(e.data))))
	copy(content[e.at:], e.data)
	return content
}

func resized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

// merge applies a change to names.
func merge(entries, change map[string]*node) {
	for name, n := range change {
		if entries[name] = n; n == nil {
			delete(entries, name)
		}
	}
}

// find returns the node of a path below the root, nil where there is none.
func (d *Disk) find(name string) *node {
	n := d.tree
	for part := range strings.SplitSeq(d.relative(name), "/") {
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

// change changes names of the folder that name lies in.
func (d *Disk) change(name string, c map[string]*node) error {
	parent := d.find(filepath.Dir(name))
	if parent == nil || parent.entries == nil {
		return &outsideError{name}
	}
	merge(parent.entries, c)
	parent.unsynced = append(parent.unsynced, c)
	return nil
}

// outsideError says that a path is not below the disk's root.
type outsideError struct{ path string }

func (e *outsideError) Error() string { return e.path + " does not lie on the disk" }

// Kind returns Internal: the test is at fault.
func (e *outsideError) Kind() fault.Kind { return fault.Internal }

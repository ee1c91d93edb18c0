package disktest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Survival says what the end of a process leaves of what was not synced.
type Survival struct {
	kind survivalKind
	seed uint64
}

type survivalKind int

const (
	all survivalKind = iota
	none
	some
)

// Killed leaves everything: the process died and the system did not. What was
// not synced is still not.
func Killed() Survival { return Survival{kind: all} }

// Strict leaves nothing.
func Strict() Survival { return Survival{kind: none} }

// Random leaves some of it, as the seed says: each change of a name as a whole or
// not at all, each write whole, torn, as zeros or not at all, in no order.
func Random(seed uint64) Survival { return Survival{kind: some, seed: seed} }

// String names the survival and its seed.
func (s Survival) String() string {
	switch s.kind {
	case all:
		return "killed"
	case none:
		return "power lost, and all that was not synced"
	default:
		return fmt.Sprintf("power lost, some of what was not synced is there (seed %d)", s.seed)
	}
}

// sharedMemory ends the names of files that mean nothing without their process.
const sharedMemory = "-shm"

// sector is what a disk writes as a whole.
const sector = 512

// After writes what is left of the disk into the folder root, which is empty, and
// returns the disk that it is, without a fault.
func (d *Disk) After(s Survival, root string) (*Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := New(root)
	if s.kind == all {
		after.tree = d.tree.clone(map[*node]*node{})
		return after, copyFiles(root, d.root)
	}
	random := chance{seed: s.seed, all: s.kind == none}
	return after, d.tree.survive(&random, root, after.tree)
}

// copyFiles copies a folder of the operating system into the folder to.
func copyFiles(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == from || strings.HasSuffix(path, sharedMemory) {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.Mkdir(at, 0o755)
		}
		content, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(at, content, 0o644))
	})
}

// survive writes what is left of a folder's content into the folder path.
func (n *node) survive(random *chance, path string, into *node) error {
	names := maps.Clone(n.onDisk)
	for _, c := range n.unsynced {
		if random.of(2) == 1 {
			merge(names, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child, at := names[name], filepath.Join(path, name)
		left := newFolder()
		var err error
		if child.entries != nil {
			if err = os.Mkdir(at, 0o755); err == nil {
				err = child.survive(random, at, left)
			}
		} else {
			left = &node{synced: child.contentLeft(random)}
			err = os.WriteFile(at, left.synced, 0o644)
		}
		if err != nil {
			return err
		}
		into.entries[name], into.onDisk[name] = left, left
	}
	return nil
}

// contentLeft is what is left of a file.
func (n *node) contentLeft(random *chance) []byte {
	content := slices.Clone(n.synced)
	for _, e := range n.pending {
		whole := len(content)
		switch fate := random.of(4); {
		case fate == 0:
			continue
		case fate == 1 && !e.truncate:
			e.data = e.data[:torn(e.at, len(e.data), random)]
		case fate == 2 && !e.truncate && e.at >= int64(whole):
			e.data = make([]byte, len(e.data)) // the new length is there, what fills it is not
		}
		content = e.apply(content)
	}
	return content
}

// torn returns the length of a write's part that ends with a sector.
func torn(at int64, length int, random *chance) int64 {
	end := at + int64(random.of(uint64(length)+1))
	return max(0, end-end%sector-at)
}

// chance is a sequence of numbers that a seed gives; zeros where all is lost.
type chance struct {
	seed, drawn uint64
	all         bool
}

// of returns a number below n.
func (c *chance) of(n uint64) uint64 {
	if c.all {
		return 0
	}
	c.drawn++
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, c.seed), c.drawn))
	return binary.LittleEndian.Uint64(sum[:]) % n
}

// Fingerprint is the SHA-256 of all names and content, as the system sees them.
func (d *Disk) Fingerprint() (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, sharedMemory) {
			return err
		}
		var content []byte
		if !e.IsDir() {
			content, err = os.ReadFile(path)
		}
		name := d.relative(path)
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(name))))
		h.Write([]byte(name))
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(content))))
		h.Write(content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Package disktest is a disk to test on: it counts its operations, fails the one
// it is told to, and knows what the loss of power would leave of it.
//
// Content reaches the disk by the Sync of its file, a name by the SyncDir of its
// folder. All else may be lost, torn or be there without what was written before
// it. The sync of a file that failed is never made up for: the system takes the
// content for written, and it is not. Names can still be synced after that, since a
// file system that cannot write its own journal stops for everyone.
//
// What is written lies in a folder of the operating system, so that SQLite's own
// file layer, locks and shared memory work on it (VFS). A Disk is safe for
// concurrent use; its operations follow one another.
package disktest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"reprise/fault"
	"reprise/internal/disk"
)

// Op is one operation on a disk.
type Op struct {
	Name, Path string
	Kind       Kind
}

// String returns "sync steps.series".
func (o Op) String() string { return o.Name + " " + o.Path }

// Kind says what an operation does to the disk.
type Kind int

// The kinds of operations.
const (
	Reads   Kind = iota // it changes nothing
	Grows               // it takes room: a write, a file or a folder that is made
	Changes             // it takes no room
	Syncs               // it makes durable
)

// Fault is what happens to one operation.
type Fault int

const (
	// Fail fails the operation, and no other. Of a sync nothing is durable.
	Fail Fault = iota
	// Tear writes half of a write and then fails it; others are carried out.
	Tear
	// Full fails what takes room, from the operation on.
	Full
	// Cut carries the operation out and fails it, and everything after it: the
	// process is dead.
	Cut
)

// String names the fault.
func (f Fault) String() string {
	return [...]string{"failure", "torn write", "full disk", "cut"}[f]
}

// ErrCut is what operations fail with when the power is gone.
var ErrCut = fault.New(fault.Internal, "the power is gone")

// Disk is a file system below one folder.
type Disk struct {
	root string

	mu     sync.Mutex
	tree   *node
	log    []Op
	at     int // the operation to fail, or the first one; -1 for none
	fault  Fault
	struck bool
	full   bool
	dead   bool
	// holding is what holds from the operation at on, until it is lifted.
	holding *Condition
}

// Condition is something that makes operations fail for as long as it holds.
type Condition struct {
	Name  string
	Errno syscall.Errno
	// Fails says of which operations.
	Fails func(Op) bool
}

// Conditions returns the ones that a disk may be in, or the process that uses it.
func Conditions() []Condition {
	return []Condition{
		{"full disk", syscall.ENOSPC, func(o Op) bool { return o.Kind == Grows }},
		{"disk that fails", syscall.EIO, func(Op) bool { return true }},
		{"process with too many open files", syscall.EMFILE, func(o Op) bool { return o.Name == "open" || o.Name == "create" || o.Name == "readdir" }},
	}
}

var _ disk.FS = (*Disk)(nil)

// New returns a disk whose content lies in the folder root, which is empty.
func New(root string) *Disk { return &Disk{root: root, tree: newFolder(), at: -1} }

// Root returns the folder that stands for the disk's.
func (d *Disk) Root() string { return d.root }

// Inject fails the operation with the index at, counted from 0 and from when the
// disk was made. It is called before the first operation.
func (d *Disk) Inject(at int, fault Fault) { d.at, d.fault = at, fault }

// Hold has a condition hold from the operation with the index at on. It is called
// before the first operation.
func (d *Disk) Hold(at int, c Condition) { d.at, d.holding = at, &c }

// Lift ends the condition.
func (d *Disk) Lift() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding = nil
}

// Struck reports whether the injected fault has happened.
func (d *Disk) Struck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}

// Log returns the operations so far.
func (d *Disk) Log() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Op(nil), d.log...)
}

// operation is an Op and how it is carried out.
type operation struct {
	Op
	// carry does it to the files and to the model of the disk.
	carry func() error
	// fail, if not nil, is what a failure leaves; tear what half of it does.
	fail, tear func()
}

// do carries out an operation or its fault.
func (d *Disk) do(o operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	index := len(d.log)
	o.Path = d.relative(o.Path)
	d.log = append(d.log, o.Op)
	switch {
	case d.dead:
		return o.failed(ErrCut)
	case d.full && o.Kind == Grows:
		return o.failed(syscall.ENOSPC)
	case d.holding != nil:
		if index < d.at || !d.holding.Fails(o.Op) {
			return o.carry()
		}
		if d.struck = true; o.fail != nil {
			o.fail()
		}
		return o.failed(d.holding.Errno)
	case index != d.at:
		return o.carry()
	}
	switch {
	case d.fault == Tear && o.tear != nil:
		o.tear()
	case d.fault == Full && o.Kind == Grows:
		d.struck, d.full = true, true
		return o.failed(syscall.ENOSPC)
	case d.fault == Cut && o.Kind != Reads:
		d.struck, d.dead = true, true
		if err := o.carry(); err != nil {
			return err
		}
		return o.failed(ErrCut)
	case d.fault == Fail:
		if o.fail != nil {
			o.fail()
		}
	default: // the fault is none for this operation
		return o.carry()
	}
	d.struck = true
	return o.failed(syscall.EIO)
}

func (o operation) failed(err error) error {
	return &fs.PathError{Op: o.Name, Path: o.Path, Err: err}
}

func (d *Disk) relative(path string) string {
	return strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(path, d.root)), "/")
}

// OpenFile implements disk.FS.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	op := Op{"open", name, Reads}
	if flag&os.O_CREATE != 0 {
		op = Op{"create", name, Grows}
	}
	var opened *file
	err := d.do(operation{Op: op, carry: func() error {
		f, err := os.OpenFile(name, flag, perm)
		if err != nil {
			return err
		}
		n, err := d.created(name)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if flag&os.O_TRUNC != 0 {
			n.edit(edit{size: 0, truncate: true})
		}
		opened = &file{File: f, disk: d, node: n}
		return nil
	}})
	if err != nil {
		if opened != nil {
			_ = opened.File.Close() // the system closes what a dead process held
		}
		return nil, err
	}
	return opened, nil
}

// created returns the node of a file that is there, which may be new.
func (d *Disk) created(name string) (*node, error) {
	if n := d.find(name); n != nil {
		return n, nil
	}
	n := &node{}
	return n, d.change(name, map[string]*node{filepath.Base(name): n})
}

// Mkdir implements disk.FS.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	return d.do(operation{Op: Op{"mkdir", name, Grows}, carry: func() error {
		if err := os.Mkdir(name, perm); err != nil {
			return err
		}
		return d.change(name, map[string]*node{filepath.Base(name): newFolder()})
	}})
}

// Rename implements disk.FS, within a folder.
func (d *Disk) Rename(from, to string) error {
	return d.do(operation{Op: Op{"rename", from, Changes}, carry: func() error {
		if filepath.Dir(from) != filepath.Dir(to) {
			return fmt.Errorf("rename %s to %s: from folder to folder is not supported here", from, to)
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
		return d.change(from, map[string]*node{filepath.Base(from): nil, filepath.Base(to): d.find(from)})
	}})
}

// Remove implements disk.FS.
func (d *Disk) Remove(name string) error {
	return d.do(operation{Op: Op{"remove", name, Changes}, carry: func() error {
		if err := os.Remove(name); err != nil {
			return err
		}
		return d.forget(name)
	}})
}

// RemoveAll implements disk.FS.
func (d *Disk) RemoveAll(name string) error {
	return d.do(operation{Op: Op{"removeall", name, Changes}, carry: func() error {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
		return d.forget(name)
	}})
}

// forget removes a name, if it is one of the model's.
func (d *Disk) forget(name string) error {
	if d.find(name) == nil {
		return nil
	}
	return d.change(name, map[string]*node{filepath.Base(name): nil})
}

// Stat implements disk.FS.
func (d *Disk) Stat(name string) (info fs.FileInfo, err error) {
	err = d.do(operation{Op: Op{"stat", name, Reads}, carry: func() error {
		info, err = os.Stat(name)
		return err
	}})
	return info, err
}

// Lstat implements disk.FS.
func (d *Disk) Lstat(name string) (info fs.FileInfo, err error) {
	err = d.do(operation{Op: Op{"lstat", name, Reads}, carry: func() error {
		info, err = os.Lstat(name)
		return err
	}})
	return info, err
}

// ReadDir implements disk.FS.
func (d *Disk) ReadDir(name string) (entries []fs.DirEntry, err error) {
	err = d.do(operation{Op: Op{"readdir", name, Reads}, carry: func() error {
		entries, err = os.ReadDir(name)
		return err
	}})
	return entries, err
}

// SyncDir implements disk.FS.
func (d *Disk) SyncDir(name string) error {
	return d.do(operation{Op: Op{"syncdir", name, Syncs}, carry: func() error {
		n := d.find(name)
		if n == nil {
			return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
		}
		n.syncNames()
		return nil
	}})
}

// file is an open file of a Disk.
type file struct {
	*os.File
	disk *Disk
	node *node
}

func (f *file) Read(b []byte) (n int, err error) {
	var end error // io.EOF is no failure
	err = f.disk.do(operation{Op: Op{"read", f.Name(), Reads}, carry: func() error {
		n, end = f.File.Read(b)
		return nil
	}})
	return n, cmp.Or(err, end)
}

func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	var end error
	err = f.disk.do(operation{Op: Op{"read", f.Name(), Reads}, carry: func() error {
		n, end = f.File.ReadAt(b, off)
		return nil
	}})
	return n, cmp.Or(err, end)
}

func (f *file) Write(b []byte) (n int, err error) {
	some := func(b []byte) error {
		off, err := f.Seek(0, 1)
		if err == nil {
			n, err = f.File.Write(b)
		}
		f.node.edit(edit{at: off, data: append([]byte(nil), b[:n]...)})
		return err
	}
	err = f.disk.do(operation{
		Op:    Op{"write", f.Name(), Grows},
		carry: func() error { return some(b) },
		tear:  func() { _ = some(b[:len(b)/2]) },
	})
	return n, err
}

func (f *file) Truncate(size int64) error {
	return f.disk.do(operation{Op: Op{"truncate", f.Name(), Changes}, carry: func() error {
		f.node.edit(edit{size: size, truncate: true})
		return f.File.Truncate(size)
	}})
}

func (f *file) Stat() (info fs.FileInfo, err error) {
	err = f.disk.do(operation{Op: Op{"stat", f.Name(), Reads}, carry: func() error {
		info, err = f.File.Stat()
		return err
	}})
	return info, err
}

func (f *file) Sync() error { return f.disk.syncContent(f.Name(), f.node) }

func (d *Disk) syncContent(name string, n *node) error {
	return d.do(operation{
		Op:    Op{"sync", name, Syncs},
		carry: func() error { n.syncContent(); return nil },
		fail:  func() { n.pending = nil },
	})
}

func (f *file) Close() error {
	err := f.disk.do(operation{Op: Op{"close", f.Name(), Reads}, carry: func() error { return nil }})
	return errors.Join(err, f.File.Close())
}

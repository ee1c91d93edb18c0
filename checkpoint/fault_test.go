package checkpoint

import (
	"errors"
	"fmt"
)

// mishap is what happens at one operation.
type mishap int

const (
	failOnce   mishap = iota // the operation fails, later ones work
	diskFull                 // it and every later write, creation or mkdir fails
	shortWrite               // a write takes half without an error; others fail
	crash                    // it and everything after it fails: the process is dead
	crashAfter               // as crash, but the operation itself was carried out
)

func (m mishap) String() string {
	return [...]string{"one failure", "full disk", "short write", "crash before", "crash after"}[m]
}

var errInjected = errors.New("injected")

// faultyFiles fails the operation with the index at, counted from 0.
type faultyFiles struct {
	fileLayer
	at     int
	mishap mishap
	count  int
	log    []string
	dead   bool
	full   bool
}

// do carries out an operation or its mishap.
func (f *faultyFiles) do(op, path string, grows bool, carryOut func() error) error {
	index := f.count
	f.count++
	f.log = append(f.log, op+" "+path)
	if f.dead || (f.full && grows) {
		return fmt.Errorf("%s: %w", op, errInjected)
	}
	if index != f.at {
		return carryOut()
	}
	switch f.mishap {
	case crash:
		f.dead = true
	case crashAfter:
		f.dead = true
		if err := carryOut(); err != nil {
			return err
		}
	case diskFull:
		f.full = true
		if !grows {
			return carryOut()
		}
	default: // the operation fails, and no other
	}
	return fmt.Errorf("%s %s: %w", op, path, errInjected)
}

func (f *faultyFiles) MkdirAll(p string) error {
	return f.do("mkdirall", p, true, func() error { return f.fileLayer.MkdirAll(p) })
}

func (f *faultyFiles) Mkdir(p string) error {
	return f.do("mkdir", p, true, func() error { return f.fileLayer.Mkdir(p) })
}

func (f *faultyFiles) Create(p string) (out outFile, err error) {
	err = f.do("create", p, true, func() error {
		out, err = f.fileLayer.Create(p)
		return err
	})
	if err != nil {
		if out != nil {
			_ = out.Close() // the system closes what a dead process held
		}
		return nil, err
	}
	return &faultyOut{out, f, p}, nil
}

func (f *faultyFiles) Open(p string) (in inFile, err error) {
	err = f.do("open", p, false, func() error {
		in, err = f.fileLayer.Open(p)
		return err
	})
	if err != nil {
		if in != nil {
			_ = in.Close()
		}
		return nil, err
	}
	return &faultyIn{in, f, p}, nil
}

func (f *faultyFiles) Kind(p string) (k kind, err error) {
	err = f.do("kind", p, false, func() error {
		k, err = f.fileLayer.Kind(p)
		return err
	})
	return k, err
}

func (f *faultyFiles) Names(p string) (names []string, err error) {
	err = f.do("names", p, false, func() error {
		names, err = f.fileLayer.Names(p)
		return err
	})
	return names, err
}

func (f *faultyFiles) Rename(from, to string) error {
	return f.do("rename", from, false, func() error { return f.fileLayer.Rename(from, to) })
}

func (f *faultyFiles) RemoveAll(p string) error {
	return f.do("removeall", p, false, func() error { return f.fileLayer.RemoveAll(p) })
}

func (f *faultyFiles) SyncDir(p string) error {
	return f.do("syncdir", p, false, func() error { return f.fileLayer.SyncDir(p) })
}

type faultyOut struct {
	outFile
	files *faultyFiles
	path  string
}

func (o *faultyOut) Write(b []byte) (n int, err error) {
	if o.files.count == o.files.at && o.files.mishap == shortWrite && !o.files.dead {
		o.files.count++
		return o.outFile.Write(b[:len(b)/2])
	}
	err = o.files.do("write", o.path, true, func() error {
		n, err = o.outFile.Write(b)
		return err
	})
	return n, err
}

func (o *faultyOut) Sync() error { return o.files.do("sync", o.path, false, o.outFile.Sync) }

func (o *faultyOut) Close() error {
	closed := false
	err := o.files.do("close", o.path, false, func() error { closed = true; return o.outFile.Close() })
	if !closed {
		_ = o.outFile.Close()
	}
	return err
}

type faultyIn struct {
	inFile
	files *faultyFiles
	path  string
}

func (i *faultyIn) Read(b []byte) (n int, err error) {
	var end error
	err = i.files.do("read", i.path, false, func() error {
		n, end = i.inFile.Read(b)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, end
}

func (i *faultyIn) Size() (n int64, err error) {
	err = i.files.do("size", i.path, false, func() error {
		n, err = i.inFile.Size()
		return err
	})
	return n, err
}

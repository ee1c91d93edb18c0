package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"reprise/tensor"
)

// Write writes a checkpoint into the folder dir, which it creates if need be. It
// returns the Ref that finds and pins it once it would survive the loss of power. It
// fails with *fault.FieldError for a content that cannot be read back, having written
// nothing, and with the errors of the file system. After an error there is no such
// checkpoint; Sweep removes what is left of it.
//
// A folder of the same step, left by a crash before its event, is replaced. Until
// then it is set aside whole, and removed only where the new checkpoint is the same;
// another one is kept (Folder.SetAside). A folder that is marked as committed (Mark)
// is not replaced: Write fails with *CommittedError. A temporary folder with something
// in it that this package did not write gives *ForeignError.
func Write(dir string, c Content) (Ref, error) { return Folder{Path: dir}.Write(c) }

// Write writes a checkpoint into the folder, as the function Write does.
func (f Folder) Write(c Content) (Ref, error) { return write(f.files(), f.Path, c, nil) }

// WritePending is Write for a checkpoint whose event is still to be appended. The
// note is in its folder when that gets its name.
func (f Folder) WritePending(c Content, p Pending) (Ref, error) {
	return write(f.files(), f.Path, c, &p)
}

func write(files fileLayer, dir string, c Content, pending *Pending) (Ref, error) {
	if err := c.validate(); err != nil {
		return Ref{}, fmt.Errorf("write checkpoint of step %d: %w", c.Step, err)
	}
	name := folderName(c.Step)
	ref, err := writeWhole(files, dir, name, c, pending)
	if err == nil {
		err = publish(files, dir, name)
	}
	if err != nil {
		return Ref{}, fmt.Errorf("write checkpoint %s: %w", filepath.Join(dir, name), err)
	}
	return ref, nil
}

// The names of a folder that is being written, of one that is being replaced, and of
// one that is being removed.
func partName(name string) string    { return "." + name + partSuffix }
func asideName(name string) string   { return "." + name + asideSuffix }
func removedName(name string) string { return "." + name + removedSuffix }

const (
	partSuffix    = ".part"
	asideSuffix   = ".aside"
	removedSuffix = ".removed"
)

// writeWhole writes the files of a checkpoint into its temporary folder and
// makes them durable.
func writeWhole(files fileLayer, dir, name string, c Content, pending *Pending) (Ref, error) {
	if err := files.MkdirAll(dir); err != nil {
		return Ref{}, err
	}
	part := filepath.Join(dir, partName(name))
	if err := removeFolder(files, part, false); err != nil { // of an earlier crash
		return Ref{}, err
	}
	ref, err := writeFiles(files, part, c, pending)
	if err != nil {
		// Room for others, on a full disk. Nothing depends on it.
		return Ref{}, errors.Join(err, files.RemoveAll(part))
	}
	return ref, nil
}

func writeFiles(files fileLayer, part string, c Content, pending *Pending) (Ref, error) {
	if err := files.Mkdir(part); err != nil {
		return Ref{}, err
	}
	ref, err := assemble(c, func(name string, content func(io.Writer) error) (int64, string, error) {
		return writeFile(files, filepath.Join(part, name), content)
	})
	if err == nil && pending != nil {
		err = writePending(files, part, *pending)
	}
	if err != nil {
		return Ref{}, err
	}
	return ref, files.SyncDir(part)
}

// assemble hands the files of a checkpoint to store, the manifest last, and
// returns what pins them. store returns the size and the SHA-256 of a file.
func assemble(c Content, store func(name string, content func(io.Writer) error) (int64, string, error)) (Ref, error) {
	m := manifest{
		Format: manifestFormat, Version: manifestVersion,
		RunID: c.RunID, SessionID: c.SessionID, Step: c.Step, Epoch: c.Epoch, Metrics: c.Metrics,
	}
	for _, f := range []struct {
		name    string
		tensors []tensor.Tensor
	}{{weightsFile, c.Weights}, {optimizerFile, c.Optimizer}} {
		size, sum, err := store(f.name, func(w io.Writer) error { return encode(w, f.tensors) })
		if err != nil {
			return Ref{}, err
		}
		names := make([]string, len(f.tensors))
		for i, t := range f.tensors {
			names[i] = t.Name
		}
		m.Files = append(m.Files, fileEntry{Name: f.name, Bytes: size, SHA256: sum, Tensors: names})
	}
	if c.Preprocessing != nil {
		size, sum, err := store(documentFile, func(w io.Writer) error {
			_, err := w.Write(c.Preprocessing)
			return err
		})
		if err != nil {
			return Ref{}, err
		}
		m.Preprocessing = &documentEntry{Name: documentFile, Bytes: size, SHA256: sum}
	}
	raw, err := m.encode()
	if err != nil {
		return Ref{}, err
	}
	_, sum, err := store(manifestFile, func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
	return Ref{Dir: folderName(c.Step), ManifestSHA256: sum, WeightsSHA256: m.Files[0].SHA256, Step: c.Step, Epoch: c.Epoch}, err
}

// RefOf returns what Write would return for the content, and writes nothing.
func RefOf(c Content) (Ref, error) {
	if err := c.validate(); err != nil {
		return Ref{}, fmt.Errorf("checkpoint of step %d: %w", c.Step, err)
	}
	return assemble(c, func(_ string, content func(io.Writer) error) (int64, string, error) {
		sum := &summingWriter{to: io.Discard, hash: sha256.New()}
		err := content(sum)
		return sum.size, hex.EncodeToString(sum.hash.Sum(nil)), err
	})
}

// writeFile makes a file durable and returns its size and SHA-256. A sync that
// failed is not tried again: what it should have written may be gone, and the
// next one would not say so.
func writeFile(files fileLayer, path string, content func(io.Writer) error) (int64, string, error) {
	f, err := files.Create(path)
	if err != nil {
		return 0, "", err
	}
	sum := &summingWriter{to: f, hash: sha256.New()}
	err = content(sum)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, "", err
	}
	return sum.size, hex.EncodeToString(sum.hash.Sum(nil)), nil
}

// publish gives a checkpoint that is whole its name.
func publish(files fileLayer, dir, name string) error {
	part, target := filepath.Join(dir, partName(name)), filepath.Join(dir, name)
	occupied, err := files.Kind(target)
	if err != nil {
		return err
	}
	if occupied != missing {
		return replace(files, dir, name)
	}
	if err := files.Rename(part, target); err != nil {
		return err
	}
	return files.SyncDir(dir)
}

// replace does what publish does where the name is taken. One of the two is there
// whole at every moment: the second rename begins only once the first one is durable,
// since nothing promises that they reach the disk in order.
func replace(files fileLayer, dir, name string) error {
	part, target, aside := filepath.Join(dir, partName(name)), filepath.Join(dir, name), filepath.Join(dir, asideName(name))
	if _, err := removable(files, target, false); err != nil {
		return err
	}
	if err := discard(files, dir, name); err != nil { // what an earlier crash left
		return err
	}
	if err := files.Rename(target, aside); err != nil {
		return err
	}
	err := files.SyncDir(dir)
	if err == nil {
		err = files.Rename(part, target)
	}
	if err != nil {
		return errors.Join(err, files.Rename(aside, target))
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	return discard(files, dir, name)
}

// discard removes the folder that was set aside for another one to get its name, if
// there is such a folder. Where that is another checkpoint, which may have been
// committed under another log, it is kept.
func discard(files fileLayer, dir, name string) error {
	aside := filepath.Join(dir, asideName(name))
	found, err := files.Kind(aside)
	if err != nil || found == missing {
		return err
	}
	empty, err := removable(files, aside, false)
	if err != nil {
		return err
	}
	same := empty
	if !empty {
		if same, err = sameContent(files, filepath.Join(dir, name), aside); err != nil {
			return err
		}
	}
	if same {
		return drop(files, dir, asideName(name))
	}
	_, err = setAside(files, dir, asideName(name), name)
	return err
}

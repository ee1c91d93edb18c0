package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// unrecordedSuffix ends the name of a checkpoint that may have been committed: no
// event of the log names it, and nothing shows that none ever did. This package
// never removes such a folder.
const unrecordedSuffix = ".unrecorded"

func unrecordedName(name string) string { return name + unrecordedSuffix }

// SetAside renames the checkpoint of a step to step-NNNNNNNN.unrecorded, and returns
// the path that it has then. Where the same checkpoint has that name already, it is
// removed instead. A loss of power may undo it.
func (f Folder) SetAside(step uint64) (string, error) {
	files, name := f.files(), folderName(step)
	if _, err := setAside(files, f.Path, name, name); err != nil {
		return "", fmt.Errorf("set checkpoint %s aside: %w", filepath.Join(f.Path, name), err)
	}
	return filepath.Join(f.Path, unrecordedName(name)), nil
}

// Reclaim gives a checkpoint that was set aside its name back, where nothing has the
// name and the checkpoint is what ref pins. It reports whether it did. A loss of power
// may undo it.
func (f Folder) Reclaim(ref Ref) (bool, error) {
	files := f.files()
	if err := ref.Validate(); err != nil {
		return false, err
	}
	target, aside := filepath.Join(f.Path, ref.Dir), filepath.Join(f.Path, unrecordedName(ref.Dir))
	for path, want := range map[string]kind{target: missing, aside: folder} {
		if found, err := files.Kind(path); found != want || err != nil {
			return false, err
		}
	}
	whole, err := isWhole(files, aside, ref)
	if !whole || err != nil {
		return false, err
	}
	if err := files.Rename(aside, target); err != nil {
		return false, err
	}
	return true, nil
}

// setAside gives the folder that now has the name from, and is a checkpoint of that
// name, its name as one that is unrecorded. It reports false where the folder was a
// second copy and was removed.
func setAside(files fileLayer, dir, from, name string) (bool, error) {
	path, aside := filepath.Join(dir, from), filepath.Join(dir, unrecordedName(name))
	found, err := files.Kind(aside)
	if err != nil {
		return false, err
	}
	if found == missing {
		return true, files.Rename(path, aside)
	}
	same, err := sameContent(files, aside, path)
	if err != nil {
		return false, err
	}
	if !same {
		return false, fmt.Errorf("%s cannot be set aside: there is another checkpoint in %s; move that elsewhere", path, aside)
	}
	return false, drop(files, dir, from)
}

// drop removes a folder of checkpoint files. It gets another name first, so that
// what a crash leaves of it counts for nothing.
func drop(files fileLayer, dir, name string) error {
	original, hidden := cutHidden(name, asideSuffix)
	if !hidden {
		original = name
	}
	removed := filepath.Join(dir, removedName(original))
	if err := removeFolder(files, removed, false); err != nil { // of an earlier crash
		return err
	}
	if err := files.Rename(filepath.Join(dir, name), removed); err != nil {
		return err
	}
	return files.RemoveAll(removed)
}

// sameContent reports whether the folder kept holds a whole checkpoint, and other
// one with the same manifest, so that nothing is lost with it.
func sameContent(files fileLayer, kept, other string) (bool, error) {
	raw, err := readManifest(files, kept)
	if err != nil || raw == nil {
		return false, err
	}
	second, err := readManifest(files, other)
	if err != nil || !bytes.Equal(raw, second) {
		return false, err
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return false, nil //nolint:nilerr // one of another version is not compared
	}
	sum := sha256.Sum256(raw)
	return isWhole(files, kept, Ref{
		Dir: folderName(m.Step), ManifestSHA256: hex.EncodeToString(sum[:]), WeightsSHA256: m.Files[0].SHA256, Step: m.Step, Epoch: m.Epoch,
	})
}

// readManifest returns the bytes of a manifest; nil where there is none.
func readManifest(files fileLayer, path string) ([]byte, error) {
	f, _, err := reader{files: files, folder: path}.open(manifestFile)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxManifest+1))
}

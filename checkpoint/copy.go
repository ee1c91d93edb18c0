package checkpoint

import "fmt"

// Copy copies the checkpoint that ref pins from another folder into this one, durably
// and completely or not at all. It fails as Read and Write do. The same ref pins the
// copy, since the bytes follow from the content alone; the notes beside them are not
// copied.
func (f Folder) Copy(from Folder, ref Ref) error {
	content, err := from.Read(ref)
	if err != nil {
		return err
	}
	copied, err := f.Write(content)
	if err != nil {
		return err
	}
	if copied != ref {
		return fmt.Errorf("copy checkpoint %s to %s: the copy is %+v instead of %+v", ref.Dir, f.Path, copied, ref)
	}
	return nil
}

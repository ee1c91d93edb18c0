package checkpoint

import "fmt"

// Copy writes the checkpoint of another folder that ref pins into this one,
// durably and whole or not at all. It fails as Read and Write do. The copy is
// pinned by the same ref, since the bytes follow from the content alone.
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

package checkpoint

import "fmt"

// Copy writes the checkpoint that ref pins into another folder of checkpoints,
// durably and whole or not at all. It fails as Read and Write do. The copy is
// pinned by the same ref, since the bytes follow from the content alone.
func Copy(to, from string, ref Ref) error {
	content, err := Read(from, ref)
	if err != nil {
		return err
	}
	copied, err := Write(to, content)
	if err != nil {
		return err
	}
	if copied != ref {
		return fmt.Errorf("copy checkpoint %s to %s: the copy is %+v instead of %+v", ref.Dir, to, copied, ref)
	}
	return nil
}

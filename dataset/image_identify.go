package dataset

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"reprise/dataset/imagefile"
	"reprise/dataset/preprocess"
	tablefile "reprise/dataset/table"
	"reprise/internal/disk"
)

// headOf returns the beginning of a file, from which its format can be told.
func headOf(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &DataError{File: path, Problem: "is not a regular file", Fix: "write it to a file first"}
	}
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	head := make([]byte, tablefile.IdentifyBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, unreadable(path, err)
	}
	return head[:n], nil
}

// isIDX reports whether a file begins as those of IDX do, compressed or not.
func isIDX(head []byte) bool {
	content := tablefile.Unpack(head)
	return len(content) >= 4 && content[0] == 0 && content[1] == 0 && content[2] >= idxTypeUByte && content[2] <= idxTypeFloat64
}

// checkHoldsImages fails for a file that holds no images of IDX or CIFAR-10, judging by
// its content, and says what it is. labelled says that their classes are wanted, too.
func checkHoldsImages(path string, p preprocess.Pixels, labelled bool) error {
	head, err := headOf(path)
	if err != nil || isIDX(head) {
		return err
	}
	what, _ := tablefile.Identify(head)
	format, err := imagefile.Recognize(head)
	var unread *imagefile.Error
	switch {
	case err == nil:
		what = "an image (" + string(format) + ")"
	case errors.As(err, &unread) && unread.One != imagefile.NotImage().One:
		return &DataError{File: path, Problem: unread.One, Fix: unread.Fix}
	case len(head) == 0:
		what = "empty"
	case what == "" && filepath.Ext(path) == ".bin":
		return nil // records of CIFAR-10 look like nothing
	case what == "":
		what = "of no known format"
	}
	return &DataError{File: path, Problem: "is " + what + ", and the model predicts from images", Fix: wantedImages(p, labelled)}
}

// holdsTable reports whether a file may be a table, by its content.
func holdsTable(path string) bool {
	head, err := headOf(path)
	_, readable := tablefile.Identify(head)
	return err == nil && readable
}

// wantedImages says what a model takes.
func wantedImages(p preprocess.Pixels, labelled bool) string {
	fix := "name a folder of images, the file of one (PNG, JPEG, GIF, BMP, WebP or TIFF), an IDX file of images"
	if labelled {
		fix = "name a folder that has one of images for each class, an IDX file of images beside that of their labels"
	}
	if p.Column != "" {
		fix += ", a table with the paths of images in column " + strconv.Quote(p.Column)
	}
	return fix + ", or a file of CIFAR-10 (.bin)"
}

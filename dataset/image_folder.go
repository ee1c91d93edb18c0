package dataset

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/dataset/imagefile"
	"reprise/dataset/number"
	"reprise/dataset/preprocess"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/figures"
)

// imageItem is an image of a folder.
type imageItem struct {
	imageSource
	class string
	split Split
}

// imageFolder is a folder of images by class while it is opened.
type imageFolder struct {
	path     string
	items    []imageItem
	folders  [splits]string // of the splits; "" for none
	found    map[string]bool
	empty    map[string]string // classes without images in some split: where
	problems imageProblems
	left     []string // files that are not images
	unused   []string // folders beside those of the splits
}

// isHidden reports whether a file or folder is hidden, or was left by an operating system.
func isHidden(name string) bool {
	switch strings.ToLower(name) {
	case "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", "@eadir", "$recycle.bin":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// splitOf returns the split that the name of a folder stands for.
func splitOf(name string) (Split, bool) {
	switch strings.ToLower(name) {
	case "train", "training":
		return Train, true
	case "val", "valid", "validation":
		return Validation, true
	case "test", "testing":
		return Test, true
	}
	return 0, false
}

// subfolders returns the names of the folders in a folder, also by links, and of the files
// that have the ending of an image, in the order of their bytes. Hidden ones are left out.
func subfolders(folder string) (folders, images []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if isHidden(e.Name()) {
			continue
		}
		info, err := os.Stat(filepath.Join(folder, e.Name()))
		switch {
		case err == nil && info.IsDir():
			folders = append(folders, e.Name())
		case imagefile.HasEnding(e.Name()):
			images = append(images, e.Name())
		}
	}
	return folders, images, nil
}

// holdsImages reports whether a folder, or one below it to some depth, has a file with the
// ending of an image.
func holdsImages(folder string, depth int) bool {
	folders, images, err := subfolders(folder)
	if err != nil || len(images) > 0 {
		return err == nil
	}
	return depth > 0 && slices.ContainsFunc(folders, func(name string) bool { return holdsImages(filepath.Join(folder, name), depth-1) })
}

// isImageFolder reports whether a folder is one of images: it or a folder in it has some.
// Beside text, which may have pictures, two folders must.
func isImageFolder(folder string, besideText bool) bool {
	folders, images, err := subfolders(folder)
	if err != nil {
		return false
	}
	if len(images) > 0 && !besideText {
		return true
	}
	const depth = 3
	want := 1
	if besideText {
		want = 2
	}
	for _, name := range folders {
		if holdsImages(filepath.Join(folder, name), depth) {
			if want--; want == 0 {
				return true
			}
		}
	}
	return false
}

// openImageFolder reads a folder of images by class.
func openImageFolder(ctx context.Context, source Source, p packing) (*Dataset, error) {
	share, err := checkImageSource(source)
	if err != nil {
		return nil, err
	}
	f := &imageFolder{path: source.Path, found: map[string]bool{}, empty: map[string]string{}, problems: imageProblems{}}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	if err := f.checkSplit(source); err != nil {
		return nil, err
	}
	classes := f.sort()
	files := make([]imageSource, len(f.items))
	for i, item := range f.items {
		files[i] = item.imageSource
	}
	all, err := loadImages(ctx, f.path, files, source.Image, f.problems, p)
	if err != nil {
		return nil, err
	}
	d := &Dataset{
		name: filepath.Base(source.Path), shape: all.shape, classNames: classes, scaling: byteScaling(255),
		images: &imageData{content: all.content, resized: source.Image.Size != [2]int{}, notes: append(f.notes(), all.notes...)},
	}
	b := all.block()
	b.labels = make([]int32, len(f.items))
	index := map[string]int32{}
	for i, name := range classes {
		index[name] = int32(i)
	}
	for i, item := range f.items {
		b.labels[i] = index[item.class]
	}
	of, notes, err := f.split(b.labels, classes, share, source.Table.Split)
	if err != nil {
		return nil, err
	}
	d.images.notes = append(d.images.notes, notes...)
	d.parts = partition(b, of)
	return d.seal()
}

// checkImageSource finds what is wrong with a source of a folder of images, whatever the
// folder holds, and returns the fraction for validation.
func checkImageSource(source Source) (float64, error) {
	const what = "a folder of images by class"
	errs := source.Image.check()
	share, err := checkFraction(source.ValidationFraction)
	plain := source
	plain.Table.Split, plain.Image = SplitOptions{}, ImageOptions{}
	errs = append(errs, err, checkNoTable(plain, what), checkNoText(source, what, Classification))
	if source.Target != "" {
		errs = append(errs, doesNotFit(FieldTarget, quote(source.Target), what, "leave it out; it is for tables"))
	}
	split := source.Table.Split
	switch split.Method {
	case "", SplitRandom, SplitStratified:
		errs = append(errs, split.check(share*b2f(split.Folds == 0))...)
		errs = append(errs, split.checkFolds(source.ValidationFraction)...)
	default:
		errs = append(errs, doesNotFit(FieldSplit+".method", quote(string(split.Method)), what, "use random or stratified, or leave it out"))
	}
	return share, joinAll(errs)
}

// find finds the images, and what is wrong with where they are.
func (f *imageFolder) find(ctx context.Context) error {
	folders, images, err := subfolders(f.path)
	if err != nil {
		return unreadable(f.path, err)
	}
	var of [splits][]string
	var others []string
	for _, name := range folders {
		if s, ok := splitOf(name); ok {
			of[s] = append(of[s], name)
		} else {
			others = append(others, name)
		}
	}
	for _, name := range images {
		f.problems.add(name, problemBeside())
	}
	held := len(of[Validation]) + len(of[Test])
	if len(of[Train]) == 0 || held == 0 && len(folders) > 1 {
		if held > 0 && len(others) == 0 {
			return &DataError{File: f.path, Problem: "has no folder train beside " + strings.Join(folders, " and "), Fix: "put the images for training, by class, into a folder called train"}
		}
		err = f.findClasses(ctx, "", Train, folders)
	} else {
		f.unused = others
		err = f.findSplits(ctx, of)
	}
	if err != nil {
		return err
	}
	return f.check()
}

// findSplits finds the images of each split in its folder.
func (f *imageFolder) findSplits(ctx context.Context, of [splits][]string) error {
	for s, names := range of {
		if len(names) > 1 {
			return &DataError{File: f.path, Value: "the folders " + strings.Join(names, " and "), Problem: fmt.Sprintf("are both for the %v split", Split(s)), Fix: "keep one of them"}
		}
		if len(names) == 0 {
			continue
		}
		f.folders[s] = names[0]
		classes, images, err := subfolders(filepath.Join(f.path, names[0]))
		if err != nil {
			return unreadable(filepath.Join(f.path, names[0]), err)
		}
		for _, name := range images {
			f.problems.add(path.Join(names[0], name), problemBeside())
		}
		if err := f.findClasses(ctx, names[0], Split(s), classes); err != nil {
			return err
		}
	}
	return nil
}

// findClasses finds the images of each class in its folder, at any depth.
func (f *imageFolder) findClasses(ctx context.Context, base string, split Split, classes []string) error {
	for _, class := range classes {
		name := path.Join(base, class)
		if !utf8.ValidString(class) {
			f.problems.add(name, problemName())
			continue
		}
		before := len(f.items)
		err := walkImages(ctx, filepath.Join(f.path, base, class), name, f.problems, func(at imageSource) {
			f.items = append(f.items, imageItem{imageSource: at, class: class, split: split})
		}, func(name string) { f.left = append(f.left, name) })
		if err != nil {
			return err
		}
		switch {
		case len(f.items) == before && !f.found[class]:
			f.empty[class] = name
		case len(f.items) > before:
			if split != Train && !f.found[class] {
				f.problems.add(name, problemUntrained())
			}
			f.found[class] = true
			delete(f.empty, class)
		}
	}
	return nil
}

// check finds classes without images, and folders that are not what they should be.
func (f *imageFolder) check() error {
	for _, class := range slices.Sorted(maps.Keys(f.empty)) {
		f.problems.add(f.empty[class], problemEmptyClass())
	}
	if len(f.found) == 0 && len(f.empty) == 0 {
		return &DataError{File: f.path, Problem: "has images, but no folder for each class",
			Fix: "put the images of each class into a folder that has its name, or name a table with a column of paths and a column of classes"}
	}
	if len(f.found) == 1 && len(f.problems) == 0 {
		for class := range f.found {
			e := &DataError{File: f.path, Value: quote(class), Problem: "is the only class: there is nothing to tell apart", Fix: "add a folder for another class"}
			if inner, _, err := subfolders(filepath.Join(f.path, f.folders[Train], class)); err == nil && len(inner) > 1 {
				e.Fix = "write dataset_path: " + filepath.Join(f.path, f.folders[Train], class) + " if the folders in it are the classes"
			}
			return e
		}
	}
	return nil
}

// checkSplit finds options that the folder leaves no choice about.
func (f *imageFolder) checkSplit(source Source) error {
	var errs []error
	own := func(s Split, field, value string) {
		errs = append(errs, &fault.FieldError{Field: field, Value: value,
			Problem: fmt.Sprintf("does not fit %s, which has images for %v of its own (%s)", f.path, s, f.folders[s]), Fix: "leave it out"})
	}
	split := source.Table.Split
	if f.folders[Validation] != "" {
		if source.ValidationFraction != 0 {
			own(Validation, FieldValidationFraction, fmt.Sprint(source.ValidationFraction))
		}
		switch {
		case split.Folds > 0:
			own(Validation, FieldFolds, fmt.Sprint(split.Folds))
		case split.TestFraction == 0 && split != (SplitOptions{}):
			own(Validation, FieldSplit, "a mapping")
		}
	}
	if f.folders[Test] != "" && split.TestFraction != 0 {
		own(Test, FieldSplit+".test_fraction", fmt.Sprint(split.TestFraction))
	}
	if f.folders[Validation] != "" && f.folders[Test] == "" && split.TestFraction != 0 {
		errs = append(errs, &fault.FieldError{Field: FieldSplit + ".test_fraction", Value: fmt.Sprint(split.TestFraction),
			Problem: "does not fit " + f.path + ", which is split already", Fix: "leave it out, or put the images for the test into a folder called test"})
	}
	return joinAll(errs)
}

// sort puts the images into their order, and returns the classes in theirs: names in the
// order of their bytes, or numbers in ascending order if all names are.
func (f *imageFolder) sort() []string {
	classes := make([]string, 0, len(f.found))
	for class := range f.found {
		classes = append(classes, class)
	}
	values := map[string]number.Decimal{}
	for _, class := range classes {
		if v, ok := number.ParseDecimal(class); ok {
			values[class] = v
		}
	}
	slices.SortFunc(classes, func(a, b string) int {
		if len(values) < len(classes) {
			return cmp.Compare(a, b)
		}
		return cmp.Or(values[a].Compare(values[b]), cmp.Compare(a, b))
	})
	slices.SortFunc(f.items, func(a, b imageItem) int { return cmp.Or(cmp.Compare(a.split, b.split), compareFiles(a.name, b.name)) })
	return classes
}

// compareFiles compares the paths of images: by the names of the files, in which numbers
// count as such, and then by the bytes of the paths. So images that are numbered across
// all classes have the order of the numbers.
func compareFiles(a, b string) int {
	return cmp.Or(compareNames(path.Base(a), path.Base(b)), cmp.Compare(a, b))
}

// compareNames compares names piece by piece: digits as a number, all else by its bytes.
func compareNames(a, b string) int {
	digits := func(s string) int {
		return len(s) - len(strings.TrimLeft(s, "0123456789"))
	}
	for a != "" && b != "" {
		i, j := digits(a), digits(b)
		if i > 0 && j > 0 {
			x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[i:], b[j:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// split returns the split of each image, and what there is to say of it.
func (f *imageFolder) split(labels []int32, classes []string, share float64, o SplitOptions) ([]Split, []string, error) {
	of := make([]Split, len(f.items))
	n := 0
	for i, item := range f.items {
		of[i] = item.split
		if item.split == Train {
			n++ // those for training come first
		}
	}
	if f.folders[Validation] != "" {
		for s, name := range f.folders {
			if name != "" && !slices.Contains(of, Split(s)) {
				return nil, nil, &DataError{File: f.path, Value: name, Problem: "has no images", Fix: "put in images by class, or remove the folder"}
			}
		}
		return of, nil, nil
	}
	if n < 2 {
		return nil, nil, &DataError{File: f.path, Value: figures.Plural(n, "image"), Problem: "is not enough to train and validate on", Fix: "add images"}
	}
	if o.Folds > 0 {
		inFold, notes, err := foldOf(n, labels[:n], classes, o)
		copy(of, inFold)
		return of, notes, err
	}
	validation := currentReading.validationRows(n, share)
	test := testRows(n, validation, o.TestFraction)
	if o.Method == SplitRandom {
		copy(of, splitAtRandom(n, validation, test, o.Seed))
	} else {
		copy(of, splitStratified(labels[:n], len(classes), validation, test, o.Seed))
	}
	if !slices.Contains(of, Validation) {
		return nil, nil, &DataError{File: f.path, Value: figures.Plural(n, "image"), Problem: "leave none of any class for validation", Fix: "add images, or use split: {method: random}"}
	}
	return of, nil, nil
}

// notes says what was decided that nobody asked for.
func (f *imageFolder) notes() []string {
	var notes []string
	if f.folders[Test] != "" && f.folders[Validation] == "" {
		notes = append(notes, fmt.Sprintf("%s has no folder val: a part of the images in %s is for validation; those in %s are not seen in training", filepath.Base(f.path), f.folders[Train], f.folders[Test]))
	}
	if len(f.unused) > 0 {
		notes = append(notes, "not used, beside the folders of the splits: "+listFirst(f.unused, 8, showPath))
	}
	if n := len(f.left); n == 1 {
		notes = append(notes, "left out: 1 file that is not an image, "+showPath(f.left[0]))
	} else if n > 1 {
		notes = append(notes, fmt.Sprintf("left out: %d files that are not images, the first of them %s", n, showPath(f.left[0])))
	}
	return notes
}

// walkImages calls image for each file in a folder and below that has the ending or the
// content of an image, and other for every other file. Hidden ones are left out, and links
// are followed. name is what problems call the folder; in it, folders are separated by /.
func walkImages(ctx context.Context, folder, name string, problems imageProblems, image func(imageSource), other func(name string)) error {
	w := &imageWalk{ctx: ctx, problems: problems, image: image, other: other}
	info, err := os.Stat(folder)
	if err != nil {
		problems.add(name, err)
		return nil
	}
	return w.folder(folder, name, []os.FileInfo{info})
}

// imageWalk is a walk over the files of a folder.
type imageWalk struct {
	ctx      context.Context
	problems imageProblems
	image    func(imageSource)
	other    func(name string)
}

// folder walks over a folder; within are it and those that it lies in.
func (w *imageWalk) folder(folder, name string, within []os.FileInfo) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		w.problems.add(name, err)
		return nil
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", folder, err)
		}
		if isHidden(e.Name()) {
			continue
		}
		at := imageSource{path: filepath.Join(folder, e.Name()), name: path.Join(name, e.Name())}
		info, err := os.Stat(at.path)
		switch {
		case !utf8.ValidString(e.Name()):
			w.problems.add(at.name, problemName())
		case err != nil:
			w.problems.add(at.name, err)
		case info.IsDir():
			if slices.ContainsFunc(within, func(outer os.FileInfo) bool { return os.SameFile(outer, info) }) {
				w.problems.add(at.name, problemLoop())
			} else if err := w.folder(at.path, at.name, append(within[:len(within):len(within)], info)); err != nil {
				return err
			}
		case !info.Mode().IsRegular():
			w.problems.add(at.name, problemIrregular())
		case imagefile.HasEnding(e.Name()) || looksLikeImage(at.path):
			w.image(at)
		default:
			w.other(at.name)
		}
	}
	return nil
}

// looksLikeImage reports whether a file begins as an image does.
func looksLikeImage(path string) bool {
	f, err := disk.Open(disk.OS{}, path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	head := make([]byte, imagefile.HeadBytes)
	n, _ := io.ReadFull(f, head) // a short file is not an image, whatever the reason
	return imagefile.IsImage(head[:n])
}

// imageData is what a data set of files of images has beside its pixels.
type imageData struct {
	content string // the SHA-256 of names and pixels as they were before resizing
	resized bool
	column  string // of a table, that has the paths
	notes   []string
	kinds   []ColumnKind // of a table
	// missing and target are those of the document of a table.
	missing []string
	target  preprocess.Target
}

package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"reprise/dataset/preprocess"
	"reprise/tensor"
)

// writePNG writes a gray image whose pixels are those, in rows of width.
func writePNG(t *testing.T, path string, width int, pixels ...byte) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, len(pixels)/width))
	copy(m.Pix, pixels)
	writeImage(t, path, m)
}

func writeImage(t *testing.T, path string, m image.Image) {
	t.Helper()
	var out bytes.Buffer
	var err error
	if strings.HasSuffix(path, ".jpg") {
		err = jpeg.Encode(&out, m, nil)
	} else {
		err = png.Encode(&out, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	writeDeep(t, path, out.Bytes())
}

// writeDeep writes a file, and the folders that it lies in.
func writeDeep(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// writeIDX writes a pair of IDX files of 2 x 3 pixels.
func writeIDX(t *testing.T, folder, prefix string, images [][]byte, labels []byte) {
	t.Helper()
	data := []byte{0, 0, 8, 3}
	for _, n := range []int{len(images), 2, 3} {
		data = binary.BigEndian.AppendUint32(data, uint32(n))
	}
	writeDeep(t, filepath.Join(folder, prefix+"-images-idx3-ubyte"), append(data, slices.Concat(images...)...))
	head := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(len(labels)))
	writeDeep(t, filepath.Join(folder, prefix+"-labels-idx1-ubyte"), append(head, labels...))
}

// The images of IDX files, written to a file each and numbered across the classes, are the
// same samples in the same order.
func TestAFolderOfImagesHasTheSamplesOfIDX(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	root := t.TempDir()
	idx, folder := filepath.Join(root, "idx"), filepath.Join(root, "images")
	for _, split := range []struct {
		name, prefix string
		n            int
	}{{"train", "train", 120}, {"val", "t10k", 25}} {
		var images [][]byte
		var labels []byte
		for i := range split.n {
			pixels, label := make([]byte, 6), byte(i*7%11)
			for j := range pixels {
				pixels[j] = byte(rng.Uint32())
			}
			images, labels = append(images, pixels), append(labels, label)
			writePNG(t, filepath.Join(folder, split.name, fmt.Sprint(label), fmt.Sprintf("%d.png", i)), 3, pixels...)
		}
		writeIDX(t, idx, split.prefix, images, labels)
	}
	want, got := mustOpen(t, Source{Path: idx}), mustOpen(t, Source{Path: folder})
	if !slices.Equal(got.ClassNames(), want.ClassNames()) || !got.SampleShape().Equal(tensor.Shape{2, 3, 1}) {
		t.Errorf("classes %q, shape %v", got.ClassNames(), got.SampleShape())
	}
	for _, split := range []Split{Train, Validation, Test} {
		x, labels := gather(want, split)
		y, others := gather(got, split)
		if !slices.Equal(x, y) || !slices.Equal(labels, others) {
			t.Errorf("%v: other samples than those of IDX", split)
		}
	}
	again := mustOpen(t, Source{Path: folder + string(filepath.Separator)})
	if again.Fingerprint() != got.Fingerprint() {
		t.Error("the fingerprint is another the second time")
	}
}

// pets writes a folder of two classes.
func pets(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	for i := range n {
		writePNG(t, filepath.Join(root, []string{"cat", "dog"}[i%2], fmt.Sprintf("%03d.png", i)), 2, byte(i), byte(2*i), byte(3*i), byte(100+i%2*100))
	}
	return root
}

func TestAFolderWithoutSplitsIsSplitByClass(t *testing.T) {
	root := pets(t, 20)
	d := mustOpen(t, Source{Path: root})
	s := inspect(t, d)
	if !slices.Equal(s.Train.PerClass, []int{8, 8}) || !slices.Equal(s.Validation.PerClass, []int{2, 2}) || d.Len(Test) != 0 || len(d.Notes()) != 0 {
		t.Errorf("%+v, notes %q", s, d.Notes())
	}
	d = mustOpen(t, Source{Path: root, ValidationFraction: 0.25, Table: TableOptions{Split: SplitOptions{Method: SplitRandom, Seed: 3, TestFraction: 0.1}}})
	if d.Len(Train) != 13 || d.Len(Validation) != 5 || d.Len(Test) != 2 {
		t.Errorf("%d + %d + %d", d.Len(Train), d.Len(Validation), d.Len(Test))
	}
}

func TestTheFoldersOfSplitsAreTheSplits(t *testing.T) {
	root := t.TempDir()
	for _, split := range []string{"Training", "valid", "test"} {
		for i := range 4 {
			writePNG(t, filepath.Join(root, split, []string{"b", "a"}[i%2], "deep", fmt.Sprintf("%d.png", i)), 1, byte(len(split)), byte(i))
		}
	}
	d := mustOpen(t, Source{Path: root})
	x, labels := gather(d, Test)
	if d.Len(Train) != 4 || d.Len(Validation) != 4 || !slices.Equal(labels, []int32{1, 0, 1, 0}) || x[0] != float32(4)/255 || x[1] != 0 {
		t.Errorf("%d + %d + %v %v", d.Len(Train), d.Len(Validation), x, labels)
	}
	if err := os.RemoveAll(filepath.Join(root, "valid")); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, Source{Path: root})
	if d.Len(Train) != 3 || d.Len(Validation) != 1 || d.Len(Test) != 4 || len(d.Notes()) != 1 || !strings.Contains(d.Notes()[0], "no folder val") {
		t.Errorf("%d + %d + %d, notes %q", d.Len(Train), d.Len(Validation), d.Len(Test), d.Notes())
	}
	// A class may have the name of a split.
	root = pets(t, 8)
	if err := os.Rename(filepath.Join(root, "cat"), filepath.Join(root, "train")); err != nil {
		t.Fatal(err)
	}
	if d := mustOpen(t, Source{Path: root}); !slices.Equal(d.ClassNames(), []string{"dog", "train"}) {
		t.Errorf("classes %q", d.ClassNames())
	}
}

func TestImagesGetTheSizeAndChannelsOfTheRequest(t *testing.T) {
	root := t.TempDir()
	for i := range 6 {
		m := image.NewNRGBA(image.Rect(0, 0, 4+i, 6))
		for j := range m.Pix {
			m.Pix[j] = 255
		}
		if i%2 == 0 {
			for y := range 6 {
				m.Set(0, y, color.NRGBA{255, 0, 0, 255})
			}
		}
		writeImage(t, filepath.Join(root, []string{"edge", "white"}[i%2], fmt.Sprintf("%d.png", i)), m)
	}
	_, err := open(t, Source{Path: root})
	checkError(t, err, "images of 6 sizes cannot be trained on together (height x width: 1 is 6 x 4, 1 is 6 x 5, 1 is 6 x 6, 1 is 6 x 7, 1 is 6 x 8, and so on for 1 more); write image: {size: [6, 4]} below dataset:")
	d := mustOpen(t, Source{Path: root, Image: ImageOptions{Size: [2]int{3, 2}}})
	// The first image for training is 2.png: of 3 columns that become one, one is red.
	if row, label, _ := d.AppendRaw(nil, Train, 0); !d.SampleShape().Equal(tensor.Shape{3, 2, 3}) || label != 0 || !slices.Equal(row[:6], []float64{255, 170, 170, 255, 255, 255}) {
		t.Errorf("%v %v of class %d", d.SampleShape(), row, label)
	}
	gray := mustOpen(t, Source{Path: root, Image: ImageOptions{Size: [2]int{3, 2}, Channels: 1}})
	if !gray.SampleShape().Equal(tensor.Shape{3, 2, 1}) || gray.Fingerprint() == d.Fingerprint() {
		t.Errorf("%v", gray.SampleShape())
	}
	document, err := preprocess.Parse(d.Preprocessing())
	if err != nil || document.Pixels.Resize != preprocess.AreaResize || !slices.Equal(document.Target.Classes, []string{"edge", "white"}) {
		t.Errorf("%+v, %v", document, err)
	}
}

// A pixel that resizing would average away is part of the fingerprint, and so is the name.
func TestAChangedImageChangesTheFingerprint(t *testing.T) {
	root := t.TempDir()
	pixels := make([]byte, 400)
	for i := range 6 {
		writePNG(t, filepath.Join(root, []string{"a", "b"}[i%2], fmt.Sprintf("%d.png", i)), 20, pixels...)
	}
	source := Source{Path: root, Image: ImageOptions{Size: [2]int{1, 1}}}
	before := mustOpen(t, source)
	pixels[77] = 1
	writePNG(t, filepath.Join(root, "a", "4.png"), 20, pixels...)
	after := mustOpen(t, source)
	x, _ := gather(before, Train)
	y, _ := gather(after, Train)
	if !slices.Equal(x, y) || before.Fingerprint() == after.Fingerprint() {
		t.Error("the change does not show")
	}
	if err := os.Rename(filepath.Join(root, "a", "4.png"), filepath.Join(root, "a", "04.png")); err != nil {
		t.Fatal(err)
	}
	if renamed := mustOpen(t, source); renamed.Fingerprint() == after.Fingerprint() {
		t.Error("the new name does not show")
	}
}

func TestAllProblemsOfAFolderAreReportedAtOnce(t *testing.T) {
	root := pets(t, 6)
	whole, err := os.ReadFile(filepath.Join(root, "cat", "000.png"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, content string) {
		writeDeep(t, filepath.Join(root, filepath.FromSlash(name)), []byte(content))
	}
	put("cat/cut.png", string(whole[:len(whole)-20]))
	put("dog/cut.png", string(whole[:len(whole)-20]))
	put("dog/page.jpg", "<html>")
	put("dog/empty.gif", "")
	put("dog/phone.heic", "\x00\x00\x00\x18ftypheic")
	put("beside.png", string(whole))
	put("cat/.DS_Store", "x")
	put("cat/Thumbs.db", "x")
	put("cat/notes.txt", "x")
	if err := os.MkdirAll(filepath.Join(root, "bird"), 0o777); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"2 files, the first of them cat/cut.png, are truncated",
		"dog/page.jpg is not an image by its content", "dog/empty.gif is empty", "dog/phone.heic is in the format HEIC, which is not read; convert to PNG or JPEG",
		"beside.png is an image in no folder of a class", "bird is a folder without images",
	}
	if runtime.GOOS == "linux" {
		if err := os.Symlink("../cat", filepath.Join(root, "cat", "loop")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("nowhere.png", filepath.Join(root, "cat", "dangling.png")); err != nil {
			t.Fatal(err)
		}
		put("cat/caf\xe9.png", string(whole))
		want = append(want, "cat/loop is a link to a folder that it lies in", "cat/dangling.png does not exist", `"cat/caf\xe9.png" has a name that is not UTF-8`)
	}
	_, err = open(t, Source{Path: root})
	for _, text := range want {
		checkError(t, err, text)
	}
}

func TestFilesThatAreNoImagesAreLeftOut(t *testing.T) {
	root := pets(t, 6)
	for _, name := range []string{"README.md", "cat/notes.txt", "cat/.DS_Store", "dog/Thumbs.db", ".git/x.png", "__MACOSX/cat/000.png"} {
		writeDeep(t, filepath.Join(root, filepath.FromSlash(name)), []byte("text"))
	}
	whole, err := os.ReadFile(filepath.Join(root, "cat", "000.png"))
	if err != nil {
		t.Fatal(err)
	}
	writeDeep(t, filepath.Join(root, "cat", "no ending"), whole)
	writeDeep(t, filepath.Join(root, "cat", "other.jpg"), whole)
	d := mustOpen(t, Source{Path: root})
	notes := strings.Join(d.Notes(), "\n")
	if d.Len(Train)+d.Len(Validation) != 8 || !slices.Equal(d.ClassNames(), []string{"cat", "dog"}) ||
		notes != "left out: 1 file that is not an image, cat/notes.txt\n1 image has the ending of another format: cat/other.jpg, which is PNG" {
		t.Errorf("%d + %d samples of %q, notes %q", d.Len(Train), d.Len(Validation), d.ClassNames(), notes)
	}
}

func TestFoldersThatAreNoSetOfImagesSayWhy(t *testing.T) {
	flat, one, noTrain, twoTrain, untrained := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	for i := range 4 {
		name := fmt.Sprintf("%d.png", i)
		writePNG(t, filepath.Join(flat, name), 1, 1)
		writePNG(t, filepath.Join(one, "images", []string{"a", "b"}[i%2], name), 1, 1)
		writePNG(t, filepath.Join(noTrain, []string{"val", "test"}[i%2], "a", name), 1, 1)
		for _, split := range []string{"train", "Training", "test"} {
			writePNG(t, filepath.Join(twoTrain, split, []string{"a", "b"}[i%2], name), 1, 1)
		}
		writePNG(t, filepath.Join(untrained, "train", []string{"a", "b"}[i%2], name), 1, 1)
		writePNG(t, filepath.Join(untrained, "val", []string{"a", "c"}[i%2], name), 1, 1)
	}
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{Path: flat}, "has images, but no folder for each class; put the images of each class into a folder"},
		{Source{Path: one}, `"images" is the only class: there is nothing to tell apart; write dataset_path: ` + filepath.Join(one, "images")},
		{Source{Path: noTrain}, "has no folder train beside test and val"},
		{Source{Path: twoTrain}, "the folders Training and train are both for the train split; keep one of them"},
		{Source{Path: untrained}, "val/c is a class without images for training"},
		{Source{Path: untrained, ValidationFraction: 0.1, Table: TableOptions{Split: SplitOptions{Seed: 4}}}, "which has images for validation of its own (val); leave it out"},
		{Source{Path: pets(t, 4), Target: "x"}, "does not fit a folder of images by class"},
		{Source{Path: pets(t, 4), Task: Regression}, "does not fit a folder of images by class"},
		{Source{Path: pets(t, 4), Table: TableOptions{Split: SplitOptions{Method: SplitTime, Column: "x"}}}, "split.method"},
		{Source{Path: pets(t, 4), Image: ImageOptions{Size: [2]int{0, 9000}, Channels: 2}}, "image.size"},
		{Source{Path: "digits", Image: ImageOptions{Channels: 1}}, "image: a mapping does not fit the catalogue's digits"},
	} {
		_, err := open(t, c.source)
		checkError(t, err, c.want)
	}
}

// A folder of text stays one if it has pictures.
func TestTextWithPicturesIsText(t *testing.T) {
	root := t.TempDir()
	writeDeep(t, filepath.Join(root, "a.md"), []byte(strings.Repeat("some text of a book ", 200)))
	writePNG(t, filepath.Join(root, "figures", "1.png"), 1, 1)
	if d := mustOpen(t, Source{Path: root}); d.Task() != NextToken {
		t.Errorf("task %s", d.Task())
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant %q in it", err, want)
	}
}

func TestNamesOfFilesAreComparedByTheirNumbers(t *testing.T) {
	want := []string{"b/1.png", "a/2.png", "c/10.png", "a/10a.png", "a/img2.png", "b/img02.png", "a/img10.png"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareFiles)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

package dataset

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"reprise/dataset/imagefile"
	"reprise/dataset/preprocess"
)

// readers are the ways in which images are read, all of them in one room.
func readers(t *testing.T, room *ImageRoom) map[string]func(context.Context) error {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"a/1.png", "a/2.png", "b/1.png", "b/2.png"} {
		writePNG(t, filepath.Join(folder, name), 2, 1, 2, 3, byte(len(name)), 5, 6)
	}
	table := writeFile(t, folder, "labels.csv", "file,kind\na/1.png,x\na/2.png,x\nb/1.png,y\nb/2.png,y\n")
	open := func(source Source) func(context.Context) error {
		return func(ctx context.Context) error {
			library, err := NewLibrary(Config{Images: room})
			if err == nil {
				_, err = library.Open(ctx, source)
			}
			return err
		}
	}
	return map[string]func(context.Context) error{
		"a folder": open(Source{Path: folder}),
		"a table":  open(Source{Path: table, Target: "kind"}),
		"a model's input": func(ctx context.Context) error {
			p := preprocess.Pixels{Shape: []int{3, 2, 1}, Divisor: 255}
			return EachImage(ctx, folder, p, room, func(InputImage) error { return nil })
		},
	}
}

// takeAll takes all of a room, for an image that just fits.
func takeAll(t *testing.T, room *ImageRoom) (giveBack func()) {
	t.Helper()
	giveBack, err := room.take(t.Context(), imagefile.Info{Height: 1, Width: imagefile.MaxPixels, Bytes: imagefile.MaxFileBytes})
	if err != nil {
		t.Fatal(err)
	}
	return giveBack
}

func TestAllReadingsShareARoom(t *testing.T) {
	room := NewImageRoom(0)
	for name, read := range readers(t, room) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				giveBack := takeAll(t, room)
				ended := make(chan error, 1)
				go func() { ended <- read(t.Context()) }()
				synctest.Wait()
				select {
				case err := <-ended:
					t.Errorf("it did not wait for room: %v", err)
				default:
				}
				giveBack()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestWhoeverWaitsForRoomCanBeCanceled(t *testing.T) {
	room := NewImageRoom(0)
	giveBack := takeAll(t, room)
	for name, read := range readers(t, room) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- read(ctx) }()
			synctest.Wait()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	giveBack()
	takeAll(t, room)() // which would wait for ever if something kept its room
}

func TestWhatNeverFitsIsRefused(t *testing.T) {
	for name, read := range readers(t, NewImageRoom(100)) {
		var bad *DataError
		if err := read(t.Context()); !errors.As(err, &bad) || !strings.Contains(err.Error(), "may need more memory to decode than the limit of 100 B") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

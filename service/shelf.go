package service

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"reprise/api"
	"reprise/dataset"
	"reprise/fault"
	"reprise/training"
)

// shelf keeps the data that was opened last, while somebody uses the shelf: requests that
// are trained together mostly share theirs. Other data is opened again when it is needed,
// since that of all of them might not fit into memory. It is safe for concurrent use.
type shelf struct {
	mu       sync.Mutex // held around fields only
	users    int
	held     volume
	data     *dataset.Dataset // of held; nil for none
	openings map[volume]*opening
}

// volume is what is opened: two equal ones have the same data.
type volume struct {
	source dataset.Source
	// fingerprint is that of recorded data; "" for data as it is now.
	fingerprint string
	// files is what stampOf returned.
	files string
}

// opening is data that is being opened. The other fields are set when done is closed.
type opening struct {
	done chan struct{}
	data *dataset.Dataset
	err  error
	left bool // whoever opened it went away: somebody else has to
}

// use keeps what is opened from now on, until the function that it returns is called.
func (f *shelf) use() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.users--; f.users == 0 {
			f.held, f.data = volume{}, nil
		}
	}
}

// requested opens the data that a request names, with relative paths from the folder. A
// mistake in the request or the files is the user's to correct; a missing network is not.
func (f *shelf) requested(ctx context.Context, s *Service, request api.TrainingRequest, folder string) (dataset.Source, *dataset.Dataset, error) {
	library, done, err := s.library(ctx)
	if err != nil {
		return dataset.Source{}, nil, err
	}
	defer done()
	source, err := request.DatasetReference(entryNames(library), folder, stat)
	if err != nil {
		return dataset.Source{}, nil, invalid(err)
	}
	data, err := f.open(ctx, volume{source: source, files: stampOf(library, source)}, func() (*dataset.Dataset, error) {
		return library.Open(ctx, source)
	})
	if fault.KindOf(err) == fault.Invalid {
		err = invalid(request.Locate(err))
	}
	return source, data, err
}

// recorded is openRecorded.
func (f *shelf) recorded(ctx context.Context, s *Service, d training.Dataset) (*dataset.Dataset, error) {
	library, done, err := s.library(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	v := volume{source: d.Source(), fingerprint: d.Fingerprint, files: stampOf(library, d.Source())}
	return f.open(ctx, v, func() (*dataset.Dataset, error) { return openRecorded(ctx, library, d) })
}

// open returns data that is held, or reads it. Whoever asks for what is being read waits
// for it, and reads it where the other one went away.
func (f *shelf) open(ctx context.Context, v volume, read func() (*dataset.Dataset, error)) (*dataset.Dataset, error) {
	return f.openFrom(ctx, v, f.take, read)
}

// openThere is open for data that must have been read where the volume says: the same data
// from elsewhere would not show that they are there, too.
func (f *shelf) openThere(ctx context.Context, v volume, read func() (*dataset.Dataset, error)) (*dataset.Dataset, error) {
	return f.openFrom(ctx, v, f.takeThere, read)
}

func (f *shelf) openFrom(
	ctx context.Context, v volume, take func(volume) (*dataset.Dataset, *opening, bool), read func() (*dataset.Dataset, error),
) (*dataset.Dataset, error) {
	for {
		data, o, mine := take(v)
		switch {
		case data != nil:
			return data, nil
		case mine:
			f.read(ctx, v, o, read)
			return o.data, o.err
		}
		select {
		case <-o.done:
			if !o.left {
				return o.data, o.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns data that is held or, if there is none, who reads it: mine says that the
// caller has to.
func (f *shelf) take(v volume) (data *dataset.Dataset, o *opening, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data != nil && v.fingerprint != "" && f.data.Fingerprint() == v.fingerprint {
		return f.data, nil, false
	}
	return f.takeLocked(v)
}

// takeThere is take for data that must have been read where the volume says.
func (f *shelf) takeThere(v volume) (data *dataset.Dataset, o *opening, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.takeLocked(v)
}

func (f *shelf) takeLocked(v volume) (data *dataset.Dataset, o *opening, mine bool) {
	if f.data != nil && f.held == v {
		return f.data, nil, false
	}
	if o = f.openings[v]; o == nil {
		mine, o = true, &opening{done: make(chan struct{}), left: true}
		if f.openings == nil {
			f.openings = map[volume]*opening{}
		}
		f.openings[v] = o
	}
	return nil, o, mine
}

// read reads data and gives it to those who wait for it.
func (f *shelf) read(ctx context.Context, v volume, o *opening, read func() (*dataset.Dataset, error)) {
	defer func() { // also if it panics
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.openings, v)
		if o.data != nil && o.err == nil && f.users > 0 && !o.data.ReadsOtherFiles() {
			f.held, f.data = v, o.data
		}
		close(o.done)
	}()
	o.data, o.err = read()
	o.left = o.err != nil && ctx.Err() != nil
}

// stampOf describes the files of a source, without reading them, such that it changes
// when one of them does. It is "" for names of the catalogue, whose content never does.
func stampOf(library *dataset.Library, source dataset.Source) string {
	if _, ok := library.Lookup(source.Path); ok {
		return ""
	}
	var stamp strings.Builder
	for _, path := range []string{source.Path, source.Table.Split.ValidationPath, source.Table.Split.TestPath, source.Table.Root} {
		if path == "" {
			continue
		}
		files, err := filepath.Glob(path)
		if err != nil || exists(path) {
			files = []string{path}
		}
		for _, file := range files {
			stampFiles(&stamp, file)
		}
	}
	return stamp.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// stampFiles describes a file, or all of a folder.
func stampFiles(stamp *strings.Builder, path string) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		stamp.WriteString(err.Error()) // reading it will fail, too
		return
	}
	_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error { // it returns none
		var info fs.FileInfo
		if err == nil {
			info, err = os.Stat(path) // what a link points to
		}
		if err != nil {
			fmt.Fprintf(stamp, "%q %v\n", path, err)
			return nil
		}
		fmt.Fprintf(stamp, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
}

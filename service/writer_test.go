package service

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/fault"
)

// noCopies copies nothing.
func noCopies() Copies {
	copied := func(context.Context, string, string) (eventstore.Head, error) {
		return eventstore.Head{}, errors.New("unexpected")
	}
	return Copies{Backup: copied, Restore: copied, OpenWreck: func(context.Context, string) (Wreck, error) { return nil, errors.New("unexpected") }}
}

// Without a data directory nothing is looked for, or made, where the process happens to be.
func TestWhatNeedsADataDirectorySaysWhyThereIsNone(t *testing.T) {
	t.Chdir(t.TempDir())
	noDir := fault.New(fault.Invalid, "there is no home directory")
	unexpected := errors.New("unexpected")
	s, err := New(Config{
		NoDir: noDir, Random: bytes.NewReader(nil), Now: func() time.Time { return noon },
		OpenReadOnly:   func(string) (eventstore.Store, error) { return nil, unexpected },
		OpenForWriting: func(string) (eventstore.Store, error) { return nil, unexpected },
		EmptyLog:       func() eventstore.Store { return memory.New() },
		OpenDevices:    func() ([]device.Driver, func() error, error) { return nil, nil, unexpected },
		DataSets:       func() dataset.Config { return dataset.Config{} },
		Copies:         noCopies(), Process: 7, Command: "a test", User: func() string { return "ada" },
		Serve: func(context.Context, *Service) (func() error, error) { return nil, unexpected },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, progress := t.Context(), func(uint64, uint64) {}
	folder := t.TempDir()
	for name, call := range map[string]func() error{
		"tail":    func() error { return last(s.Tail(ctx, api.TailRequest{Newest: 1})) },
		"follow":  func() error { return last(s.Tail(ctx, api.TailRequest{Follow: true})) },
		"replay":  func() error { return last(s.Replay(ctx, api.ReplayRequest{Run: "latest"})) },
		"verify":  func() error { return last(s.VerifyLog(ctx, api.VerifyLogRequest{})) },
		"export":  func() error { return last(s.Export(ctx, api.ExportRequest{})) },
		"backup":  func() error { return last(s.Backup(ctx, api.BackupRequest{Folder: folder + "/copy"})) },
		"head":    func() error { _, err := s.Head(ctx, api.HeadRequest{}); return err },
		"list":    func() error { _, err := s.Projections(ctx, api.ProjectionsRequest{}); return err },
		"rebuild": func() error { _, err := s.RebuildProjections(ctx, api.RebuildRequest{}); return err },
		"import":  func() error { _, err := s.Import(ctx, bytes.NewReader(nil), true); return err },
		"salvage": func() error { _, err := s.Salvage(ctx, folder+"/saved", progress); return err },
	} {
		if err := call(); err == nil || err.Error() != noDir.Error() || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// last returns the error that a stream ends with.
func last[Item any](stream func(func(Item, error) bool)) (err error) {
	for _, err = range stream {
	}
	return err
}

// Another user's data directory is right as it is: it is not a mistake, and says one way out.
func TestADataDirectoryOfAnotherUserIsForbidden(t *testing.T) {
	s := newService(t)
	denied := &fs.PathError{Op: "open", Path: s.workspace.LockPath(), Err: fs.ErrPermission}
	err := s.lockError(&datadir.LockError{Dir: s.workspace.Dir, Err: denied})
	explain(t.Context(), &err)
	want := "data_dir: open " + s.workspace.LockPath() + ": permission denied; run this as its owner, or choose a folder that you may write to"
	want = strings.Replace(want, "permission denied", fs.ErrPermission.Error(), 1)
	if fault.KindOf(err) != fault.Forbidden || err.Error() != want {
		t.Errorf("%v: %v, want %s", fault.KindOf(err), err, want)
	}
}

package service

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"reprise/api"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/fault"
)

func TestADownloadIsToldUntilItEnds(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 100_000)) // not the module
	}))
	t.Cleanup(proxy.Close)
	noDir := fault.New(fault.Invalid, "there is no home directory")
	s, err := New(Config{
		NoDir: noDir, Random: rand.Reader, Now: func() time.Time { return noon },
		OpenReadOnly:   func(string) (eventstore.Store, error) { return nil, errors.New("unexpected") },
		OpenForWriting: func(string) (eventstore.Store, error) { return nil, errors.New("unexpected") },
		Copies: Copies{
			Backup:    sqlite.Backup,
			Restore:   sqlite.Restore,
			OpenWreck: func(context.Context, string) (Wreck, error) { return nil, errors.New("unexpected") },
		},
		Process: 1, Command: "test", User: func() string { return "ada" },
		Serve:       func(context.Context, *Service) (func() error, error) { return nil, errors.New("unexpected") },
		EmptyLog:    func() eventstore.Store { return memory.New() },
		OpenDevices: func() ([]device.Driver, func() error, error) { return nil, nil, errors.New("unexpected") },
		DataSets: func() dataset.Config {
			return dataset.Config{CacheDir: t.TempDir(), GoProxy: proxy.URL, SystemDir: t.TempDir()}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []api.Download
	ctx := api.WithNotices(t.Context(), func(n api.Notice) {
		if n.Download == nil {
			t.Errorf("%+v", n)
			return
		}
		told = append(told, *n.Download)
	})
	if _, err := s.FetchDataSet(ctx, api.FetchDataSetRequest{Name: "mnist"}); !errors.As(err, new(*api.Error)) {
		t.Errorf("%#v", err)
	}
	if len(told) != 2 || told[0].Name != "mnist" || told[0].File == "" || told[0].Ended || !told[1].Ended || told[1].Done < told[0].Done {
		t.Errorf("%+v", told) // the clock stands still
	}
	// What needs a data directory says why there is none.
	if _, err := s.Runs(t.Context(), api.RunsRequest{}); err == nil || err.Error() != noDir.Error() || fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

package service_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/api/servicetest"
	"reprise/dataset"
	"reprise/device"
	"reprise/device/cpu"
	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/sqlite"
	"reprise/queue"
	"reprise/service"
)

func config(dir string) service.Config {
	return service.Config{
		Dir: dir, Now: func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) },
		OpenReadOnly:   func(path string) (eventstore.Store, error) { return sqlite.OpenReadOnly(path) },
		EmptyLog:       func() eventstore.Store { return memory.New() },
		OpenForWriting: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
		Copies: service.Copies{
			Backup: sqlite.Backup, Restore: sqlite.Restore,
			OpenWreck: func(ctx context.Context, path string) (service.Wreck, error) { return sqlite.OpenWreck(ctx, path) },
		},
		Process: 7, Command: "a test",
		OpenDevices: func() ([]device.Driver, func() error, error) {
			d, err := cpu.New(cpu.Config{})
			return []device.Driver{d}, d.Close, err
		},
		DataSets: func() dataset.Config { return dataset.Config{GoProxy: "off", SystemDir: "none"} },
		Random:   rand.Reader,
		User:     func() string { return "ada" },
		Serve:    func(context.Context, *service.Service) (func() error, error) { return func() error { return nil }, nil },
	}
}

func TestTheServiceKeepsItsContract(t *testing.T) {
	servicetest.Run(t, servicetest.Harness{
		Logs:  "../integration/testdata/golden",
		Store: func(path string) (eventstore.Store, error) { return sqlite.Open(path, sqlite.Config{}) },
		Open: func(t testing.TB, dir string) api.Service {
			s, err := service.New(config(dir))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
	})
}

func TestAConfigNamesWhatItLacks(t *testing.T) {
	_, err := service.New(service.Config{Dir: "x", Now: time.Now})
	if err == nil || strings.Contains(err.Error(), "Config.Dir") {
		t.Fatal(err)
	}
	for _, name := range []string{"OpenReadOnly", "EmptyLog", "OpenDevices", "DataSets", "Random", "OpenForWriting", "Copies", "Process", "Command", "Serve"} {
		if !strings.Contains(err.Error(), "Config."+name+" is missing") {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestAConfigNamesWhatMakesNoSense(t *testing.T) {
	c := config("x")
	c.Queue, c.Limits = &queue.Policy{Backfill: "some", Quotas: map[string]int{"ada": -1}}, &queue.Limits{Waiting: -1}
	_, err := service.New(c)
	for _, want := range []string{`Config.Queue: backfill: "some" is unknown`, "quotas.ada: -1", "Config.Limits: waiting: -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

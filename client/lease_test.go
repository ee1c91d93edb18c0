package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"reprise/api"
	"reprise/device"
	"reprise/device/cpu"
	"reprise/fault"
	"reprise/server"
	"reprise/service"
	"reprise/tensor"
)

// over opens a service over a data directory whose device has that much memory, and
// which asks holder for leases.
func over(t *testing.T, dir string, memory tensor.Bytes, holder api.Service) *service.Service {
	t.Helper()
	c := config(dir)
	c.OpenDevices = func() ([]device.Driver, func() error, error) {
		d, err := cpu.New(cpu.Config{MemoryLimit: memory})
		return []device.Driver{d}, d.Close, err
	}
	if holder != nil {
		c.Holder = func() (api.Service, func() error) { return holder, func() error { return nil } }
	}
	return open(t, c)
}

// submit starts a run of a small model.
func submit(t *testing.T, s api.Service, epochs string) string {
	t.Helper()
	const content = "model_architecture: mlp\ndataset_path: digits\nmodel: {hidden: [64]}\nconfig: {batch_size: 480, learning_rate: 0.01, epochs: 2}\n"
	run := ""
	for u, err := range s.Submit(t.Context(), api.SubmitRequest{
		Folder: "/", Files: []api.RequestFile{{Name: "job.yaml", Content: content}}, Settings: api.Settings{Values: []api.Text{api.Text("config.epochs=" + epochs)}},
	}) {
		if err != nil || u.Error != nil {
			t.Fatalf("%+v, %v", u, err)
		}
		run = string(u.RunID)
	}
	return run
}

// follow follows a run to its end, or until look returns false.
func follow(t *testing.T, s api.Service, run string, look func(api.RunUpdate) bool) {
	t.Helper()
	for u, err := range s.Follow(t.Context(), api.FollowRequest{Runs: []string{run}}) {
		if err != nil {
			t.Fatal(err)
		}
		if !look(u) {
			return
		}
	}
}

func trains(u api.RunUpdate) bool {
	return u.Event == nil || u.Event.Type != "training.epoch_completed.v1"
}

func toTheEnd(api.RunUpdate) bool { return true }

// verify verifies a run, and passes what is said meanwhile to told.
func verify(ctx context.Context, s api.Service, run string, told func(api.Notice)) (report *api.VerifyReport, err error) {
	for u, e := range s.Verify(api.WithNotices(ctx, told), api.VerifyRequest{Run: run}) {
		if e != nil {
			return report, e
		}
		report = u.Report
	}
	return report, err
}

// memoryOf returns the memory that a run of submit was leased.
func memoryOf(t *testing.T, s api.Service, run string) tensor.Bytes {
	t.Helper()
	list, err := s.Devices(t.Context(), api.DevicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Devices {
		for _, l := range d.Leases {
			if l.Holder == "run/"+run {
				return l.Memory
			}
		}
	}
	t.Fatalf("run %s has no lease", run)
	return 0
}

// Of a verification and a training with memory for one only, the verification waits and
// says why, in the process of the training and in another one.
func TestAVerificationWaitsForTheMemoryOfATraining(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	before := over(t, dir, 0, nil)
	done := submit(t, before, "2")
	follow(t, before, done, toTheEnd)
	run := submit(t, before, "1000000")
	follow(t, before, run, trains)
	memory := memoryOf(t, before, run)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	host := over(t, dir, memory*3/2, nil)
	wire := serve(t, server.Handler(host))
	for name, reader := range map[string]api.Service{"in another process": over(t, dir, 0, wire), "in the same process": host} {
		run := submit(t, host, "1000000")
		follow(t, host, run, trains)
		interrupt := func() {
			if _, err := host.Interrupt(t.Context(), api.InterruptRequest{Runs: []string{run}, Cause: "a test"}); err != nil {
				t.Error(err)
			}
		}
		// Whoever stops waiting is not waited for.
		ctx, cancel := context.WithCancel(t.Context())
		var said []string
		_, err := verify(ctx, reader, done, func(n api.Notice) {
			said = append(said, n.Event+n.Warning)
			cancel()
		})
		if !errors.Is(err, context.Canceled) || len(said) != 1 || !strings.Contains(said[0], "waiting for a device") {
			t.Errorf("%s: a wait that is interrupted: %v, said %q", name, err, said)
		}
		cancel()
		report, err := verify(t.Context(), reader, done, func(n api.Notice) {
			if n.Warning != "" || !strings.Contains(n.Event, "waiting for a device") {
				t.Errorf("%s: %+v", name, n)
			}
			interrupt() // which ends the wait
		})
		if err != nil || report == nil || !report.Verified {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		follow(t, host, run, toTheEnd)
		if v, err := host.Run(t.Context(), api.RunRequest{Run: run}); err != nil || v.Details.Reason != "a test" {
			t.Errorf("%s: the training ended before the wait: %+v, %v", name, v.Details.Run, err)
		}
	}
	// What the device of the host can never take is refused at once.
	small := over(t, dir, memory*3/2, nil)
	run = submit(t, small, "1000000")
	follow(t, small, run, trains)
	for u, err := range small.Lease(t.Context(), api.LeaseRequest{Kind: device.HolderGeneration, Run: done, Workload: device.Workload{
		Name: "w", Memory: device.MemoryRequirement{Size: memory * 2}, Shared: true,
	}}) {
		var e *api.Error
		if !errors.As(err, &e) || e.Code != api.NoDevice || fault.KindOf(err) != fault.Invalid || !strings.Contains(e.Message, (memory*2).String()) {
			t.Errorf("%+v, %v", u, err)
		}
	}
}

package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"reprise/api"
	"reprise/device"
	"reprise/fault"
	"reprise/integration"
)

// leasePatience is how long a process that holds the data directory may say nothing to
// one that waits for a lease.
const leasePatience = 5 * api.LeaseInterval

// lessor leases devices for one call that only reads the data directory. The lease that
// the work uses is one of this process alone, and nothing records it. Where runs train,
// in this process or in another one, their host grants the call a lease first, which it
// plans and records with theirs.
//
// A host that ends while the call works takes only its own lease with it: nothing that
// it knows of uses the devices any more, and the call continues. A host that cannot be
// asked does not keep anybody from reading, either.
type lessor struct {
	service   *Service
	release   func() // ends the lease of the host; nil if there is none
	undevices func() // ends the use of the devices; nil if they are not used
	stop      func()
}

// lessor returns what leases devices for a call, and the context for its work, which also
// ends when the service is closed. close must follow.
func (s *Service) lessor(ctx context.Context) (*lessor, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	unwatch := context.AfterFunc(s.closing, cancel)
	return &lessor{service: s, stop: func() {
		unwatch()
		cancel()
	}}, ctx
}

// Acquire implements integration.Lessor. It is called once.
func (l *lessor) Acquire(ctx context.Context, r integration.LeaseRequest) (*integration.Lease, error) {
	var err error
	if l.release, err = l.service.askHost(ctx, r); err != nil {
		return nil, err
	}
	drivers, undevices, err := l.service.devices() // now: how much memory is free is found out once
	if err != nil {
		return nil, err
	}
	l.undevices = undevices
	devices, err := l.service.leases(drivers)
	if err != nil {
		return nil, err
	}
	return devices.Acquire(ctx, r)
}

// close lets go of the lease of the host, after the one that Acquire returned. An error of
// the call that came of the end of the service says so.
func (l *lessor) close(err *error) {
	l.stop()
	if l.release != nil {
		l.release()
	}
	if l.undevices != nil {
		l.undevices()
	}
	if *err != nil && isDone(l.service.closing) && endOnly(*err) {
		*err = errEnding()
	}
}

// askHost asks whoever hosts runs in the data directory for a lease, which lasts until
// release is called. release is nil where nobody grants one.
func (s *Service) askHost(ctx context.Context, r integration.LeaseRequest) (release func(), err error) {
	var host api.Service
	if s.hostsRuns() {
		host = s
	} else if s.config.Holder != nil {
		other, closeOther := s.config.Holder()
		if other == nil {
			return nil, nil
		}
		host = other
		defer func() { // once the call has ended
			let := release
			if let == nil {
				_ = closeOther() // nothing depends on it
				return
			}
			release = func() {
				let()
				_ = closeOther() // nothing depends on it
			}
		}()
	}
	if host == nil {
		return nil, nil
	}
	release, err = leaseOf(ctx, host, api.LeaseRequest{Kind: r.Kind, Run: string(r.Run), Workload: r.Workload}, r.Waiting)
	var e *api.Error
	switch {
	case err == nil || ctx.Err() != nil:
		return release, err
	case errors.As(err, &e) && e.Code == api.NoDevice:
		return nil, err
	case fault.KindOf(err) == fault.Unavailable && !errors.Is(err, errSilent), fault.KindOf(err) == fault.Canceled:
		return nil, nil // it is ending or just starting
	}
	api.Notify(ctx, api.Notice{Warning: fmt.Sprintf(
		"the process that trains in %s does not know of this %s, and may give away the memory that it needs: %v", s.workspace.Dir, r.Kind, err)})
	return nil, nil
}

// errSilent is the error of a host that says nothing.
var errSilent = fault.New(fault.Unavailable, "it has not answered for %v", leasePatience)

// leaseOf asks a host for a lease. It lasts until release is called, which returns once
// the call has ended.
func leaseOf(ctx context.Context, host api.Service, q api.LeaseRequest, waiting func(why string)) (release func(), err error) {
	type answer struct {
		api.LeaseUpdate
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan answer)
	go func() {
		defer close(answers)
		for u, err := range host.Lease(ctx, q) {
			select {
			case answers <- answer{u, err}:
			case <-ctx.Done():
			}
		}
	}()
	release = func() {
		cancel()
		for range answers { // until the call has ended
		}
	}
	patience := time.NewTimer(leasePatience)
	defer patience.Stop()
	for told := false; ; patience.Reset(leasePatience) {
		select {
		case a, ok := <-answers:
			switch {
			case !ok:
				a.err = fault.New(fault.Unavailable, "it gave no lease")
				fallthrough
			case a.err != nil:
				release()
				return nil, a.err
			case a.Granted != nil:
				return release, nil
			case a.Waiting != "" && !told && waiting != nil:
				told = true
				waiting(a.Waiting)
			}
		case <-patience.C:
			release()
			return nil, errSilent
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
}

// hostsRuns reports whether runs train in this process.
func (s *Service) hostsRuns() bool {
	_, err := s.host()
	return err == nil
}

// Lease implements api.Service.
func (s *Service) Lease(ctx context.Context, q api.LeaseRequest) iter.Seq2[api.LeaseUpdate, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.LeaseUpdate) error) (err error) {
		if err := q.Validate(); err != nil {
			return err
		}
		host, err := s.host()
		if err != nil {
			return err
		}
		r, err := s.findBegun(api.WithNotices(ctx, func(api.Notice) {}), q.Run) // the caller was told when it read the run
		if err != nil {
			return err
		}
		r.close()
		lease, err := acquire(ctx, host.Devices(), integration.LeaseRequest{Kind: q.Kind, Run: r.run.ID, Workload: q.Workload}, send)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lease.Release()) }()
		recorded := lease.Recorded()
		if err := send(api.LeaseUpdate{Granted: &recorded}); err != nil {
			return err
		}
		return lease.Hold(ctx)
	})
}

// acquire waits for a lease, and sends again and again that the caller has to wait.
func acquire(ctx context.Context, devices *integration.Devices, r integration.LeaseRequest, send func(api.LeaseUpdate) error) (*integration.Lease, error) {
	type outcome struct {
		lease *integration.Lease
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waits, came := make(chan string, 1), make(chan outcome, 1)
	r.Waiting = func(why string) {
		select {
		case waits <- why:
		case <-ctx.Done():
		}
	}
	go func() {
		lease, err := devices.Acquire(ctx, r)
		came <- outcome{lease, err}
	}()
	ticker := time.NewTicker(api.LeaseInterval)
	defer ticker.Stop()
	for update := (api.LeaseUpdate{}); ; {
		select {
		case o := <-came:
			return o.lease, o.err
		case update.Waiting = <-waits:
		case <-ticker.C:
		}
		if err := send(update); err != nil {
			cancel()
			if o := <-came; o.lease != nil {
				err = errors.Join(err, o.lease.Release())
			}
			return nil, err
		}
	}
}

// leases returns the devices of this machine for calls that only read the data
// directory: who uses them is not recorded. All of them share what there is.
func (s *Service) leases(drivers []device.Driver) (_ *integration.Devices, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leased == nil {
		s.leased, err = integration.OpenDevices(integration.DevicesConfig{
			Store: s.config.EmptyLog(), Devices: drivers, Now: s.config.Now, NewID: s.newID,
		})
	}
	return s.leased, err
}

// tellWaiting tells the notices of ctx why a call waits for a device.
func tellWaiting(ctx context.Context) func(why string) {
	return func(why string) { api.Notify(ctx, api.Notice{Event: "waiting for a device: " + why}) }
}

// newID returns 128 random bits.
func (s *Service) newID() string {
	var random [16]byte
	mustRead(s.config.Random, random[:])
	return hex.EncodeToString(random[:])
}

func mustRead(randomness io.Reader, to []byte) {
	if _, err := io.ReadFull(randomness, to); err != nil {
		panic(fmt.Sprintf("service: Config.Random: %v", err)) // as crypto/rand never fails
	}
}

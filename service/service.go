// Package service is api.Service over a data directory, in this process: it holds the
// use cases, which join the contexts. [New] makes one.
//
// It owns no rule of training, knows no flag or command, and prints nothing: what is
// wrong with a request is an *api.Error that names the request's fields. Stores and
// drivers are handed in, so that it depends on none of them.
//
// Runs train in the process of the Service, which takes the data directory when the
// first one is started and lets go of it when the last one is at rest. They do not
// depend on the calls that started or follow them. Close interrupts them. A run's actor
// never waits for a follower.
//
// Restore, Import and Salvage are not operations of api.Service: they make a data
// directory, or save what is left of one, where nothing is served yet. They are called
// in the process. Private keys stay with the caller: it signs a head itself.
//
// A Service may be used by several goroutines. Each call opens the event log again, as
// another process may be writing it.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/device"
	"reprise/eventstore"
	"reprise/inference"
	"reprise/integration"
	"reprise/queue"
	"reprise/training"
)

var _ api.Service = (*Service)(nil)

// Config is what a Service works with. Every field but Inference, Holder, Queue and Limits is
// needed, and only one of Dir and NoDir.
type Config struct {
	// Dir is the data directory; it need not exist. Where it is "", NoDir is the error of
	// every call that needs one.
	Dir   string
	NoDir error
	// Now is the clock.
	Now func() time.Time
	// OpenReadOnly opens the event log at a path, which exists. EmptyLog returns one
	// without events, for a data directory that has none yet.
	OpenReadOnly func(path string) (eventstore.Store, error)
	EmptyLog     func() eventstore.Store
	// OpenForWriting opens the event log at a path, and creates it if need be.
	OpenForWriting func(path string) (eventstore.Store, error)
	// Copies copies event logs, also damaged ones.
	Copies Copies
	// Process and Command are this process, as the lock of the data directory names its
	// holder.
	Process int
	Command string
	// User returns the name of the user whose process this is, who owns the jobs of
	// requests that name no owner and come without [AsUser]. It may return "" if it is not
	// known: they then have none.
	User func() string
	// OpenDevices opens the devices of the machine, once; the function that it returns
	// closes them.
	OpenDevices func() ([]device.Driver, func() error, error)
	// Inference says how predictions are computed. Its Images is not used: those of a
	// service share one bound with its data sets.
	Inference inference.Config
	// DataSets says where data sets are looked for and fetched from. Its Progress and
	// Images are not used.
	DataSets func() dataset.Config
	// Random gives random bytes and never fails, as crypto/rand.Reader.
	Random io.Reader
	// Serve makes the service known to other processes while it holds the data
	// directory, until the function that it returns is called.
	Serve func(context.Context, *Service) (func() error, error)
	// Holder returns the service of another process that holds the data directory, with
	// what closes the connection; nil where there is none that can be asked. It may be nil:
	// then other processes do not know what this one uses the devices for.
	Holder func() (api.Service, func() error)
	// Queue is how runs share the devices, and Limits how many jobs may wait; nil stands
	// for queue.DefaultPolicy and queue.DefaultLimits.
	Queue  *queue.Policy
	Limits *queue.Limits
}

// policy returns how runs share the devices.
func (c Config) policy() queue.Policy {
	if c.Queue == nil {
		return queue.DefaultPolicy()
	}
	return *c.Queue
}

// limits returns how many jobs may wait.
func (c Config) limits() queue.Limits {
	if c.Limits == nil {
		return queue.DefaultLimits()
	}
	return *c.Limits
}

// Validate reports what is missing or makes no sense.
func (c Config) Validate() error {
	var errs []error
	for name, missing := range map[string]bool{
		"Dir": c.Dir == "" && c.NoDir == nil, "Now": c.Now == nil, "OpenReadOnly": c.OpenReadOnly == nil, "EmptyLog": c.EmptyLog == nil,
		"OpenDevices": c.OpenDevices == nil, "OpenForWriting": c.OpenForWriting == nil, "DataSets": c.DataSets == nil, "Random": c.Random == nil,
		"Copies": !c.Copies.complete(), "Process": c.Process == 0, "Command": c.Command == "", "User": c.User == nil, "Serve": c.Serve == nil,
	} {
		if missing {
			errs = append(errs, errors.New("service: Config."+name+" is missing"))
		}
	}
	if err := c.policy().Validate(); err != nil {
		errs = append(errs, fmt.Errorf("service: Config.Queue: %w", err))
	}
	if c.Limits != nil {
		if err := c.Limits.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("service: Config.Limits: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Service implements api.Service.
type Service struct {
	config    Config
	workspace datadir.Workspace

	// closing is done once Close was called.
	closing context.Context
	shut    context.CancelFunc
	uses    sync.WaitGroup // of the devices and of what begin began
	// patience is checkPatience.
	patience time.Duration
	images   *dataset.ImageRoom // of all data sets and models

	mu           sync.Mutex      // guards what follows, and the beginning of uses
	drivers      []device.Driver // nil until they are needed
	closeDrivers func() error
	leased       *integration.Devices // nil until somebody needs one

	shelf shelf
	hosts hosts
}

// New returns a service. Close must follow.
func New(c Config) (*Service, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Service{config: c, workspace: datadir.Workspace{Dir: c.Dir}, patience: checkPatience, images: dataset.NewImageRoom(0), hosts: hosts{
		turn: make(chan struct{}, 1), joined: make(chan struct{}), derive: make(chan struct{}, 1), feeds: map[training.RunID]*feed{},
	}}
	s.closing, s.shut = context.WithCancel(context.Background())
	return s, nil
}

// Close interrupts the runs that train here, lets go of the data directory once they
// are at rest, and closes the devices. Other calls may be in progress, but not one that
// waits for the goroutine that calls Close. Those that use a device, and later ones that
// need a device or write, fail with the code ProcessEnding; Close waits until they have
// returned. Calls that only read continue. To close again does nothing.
func (s *Service) Close() error {
	s.mu.Lock()
	s.shut()
	s.mu.Unlock()
	err := s.hosts.close()
	s.uses.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leased != nil {
		err = errors.Join(err, s.leased.Close())
	}
	if s.closeDrivers != nil {
		err = errors.Join(err, s.closeDrivers())
	}
	s.drivers, s.closeDrivers, s.leased = nil, nil, nil
	return err
}

// inference returns how predictions are computed.
func (s *Service) inference() inference.Config {
	c := s.config.Inference
	c.Images = s.images
	return c
}

// devices returns the devices of the machine, which stay open until release is called.
func (s *Service) devices() (drivers []device.Driver, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isDone(s.closing) {
		return nil, nil, errEnding()
	}
	if s.closeDrivers == nil {
		if s.drivers, s.closeDrivers, err = s.config.OpenDevices(); err != nil {
			s.closeDrivers = nil
			return nil, nil, err
		}
	}
	s.uses.Add(1)
	return s.drivers, s.uses.Done, nil
}

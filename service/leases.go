package service

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"reprise/api"
	"reprise/integration"
)

// leases returns the devices of this machine for calls that only read the data
// directory: who uses them is not recorded. All of them share what there is.
func (s *Service) leases() (*integration.Devices, error) {
	drivers, err := s.devices()
	if err != nil {
		return nil, err
	}
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

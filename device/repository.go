package device

import (
	"slices"
	"strings"
	"sync"
)

// Repository holds the devices of a system. Implementations pass
// devicetest.Repository and are safe for concurrent use. Devices come back
// ordered by ID and share no memory with what is stored.
type Repository interface {
	// FindAvailable returns the devices that can execute the workload now; it
	// is not an error if there are none.
	FindAvailable(Workload) ([]Device, error)
	// GetByID returns the device and whether there is one.
	GetByID(ID) (Device, bool)
	// List returns every device.
	List() ([]Device, error)
	// Save adds the device or replaces the one with its ID. It fails with a
	// *fault.FieldError for the zero Device.
	Save(Device) error
}

// MemoryRepository is a Repository in memory. The zero value is empty and ready
// for use. It must not be copied.
type MemoryRepository struct {
	mu      sync.RWMutex
	devices map[ID]Device
}

// NewMemoryRepository returns an empty repository.
func NewMemoryRepository() *MemoryRepository { return &MemoryRepository{} }

// FindAvailable implements Repository.
func (r *MemoryRepository) FindAvailable(w Workload) ([]Device, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	all, err := r.List()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(d Device) bool { return !d.CanExecute(w) }), nil
}

// GetByID implements Repository.
func (r *MemoryRepository) GetByID(id ID) (Device, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return d, ok
}

// List implements Repository.
func (r *MemoryRepository) List() ([]Device, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]Device, 0, len(r.devices))
	for _, d := range r.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Device) int { return strings.Compare(string(a.ID()), string(b.ID())) })
	return all, nil
}

// Save implements Repository.
func (r *MemoryRepository) Save(d Device) error {
	if d.ID() == "" {
		return invalid("device", "id", `""`, "is not a name", "make the device with New")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices == nil {
		r.devices = map[ID]Device{}
	}
	r.devices[d.ID()] = d
	return nil
}

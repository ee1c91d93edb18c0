package device

import (
	"fmt"
	"slices"
	"strconv"
)

// Workload is a piece of work as the scheduler sees it: what it requires of a
// device. It is not a kernel.Kernel: a training run is one workload of many
// kernels.
type Workload struct {
	Name         string            `json:"name"`
	Requirements []Feature         `json:"requirements,omitempty"`
	Memory       MemoryRequirement `json:"memory"`
	// Items is how many independent parts the work has, which determines the
	// launch configuration; 0 means unknown.
	Items int64 `json:"items,omitempty"`
	// Shared says that the work takes no slot, only memory: it may run beside
	// whatever else the device does.
	Shared bool `json:"shared,omitempty"`
}

// Validate fails with a *fault.FieldError for a workload that makes no sense for
// any device.
func (w Workload) Validate() error {
	subject := fmt.Sprintf("workload %q", w.Name)
	if w.Items < 0 {
		return invalid(subject, "items", strconv.FormatInt(w.Items, 10), "must not be negative", "use 0 or more")
	}
	for i, f := range w.Requirements {
		if f == "" {
			return invalid(subject, fmt.Sprintf("requirements[%d]", i), `""`, "is not a feature", "name one, or leave it out")
		}
	}
	return w.Memory.validate(subject)
}

func (w Workload) clone() Workload {
	w.Requirements = slices.Clone(w.Requirements)
	return w
}

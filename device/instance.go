package device

import (
	"fmt"

	"reprise/fault"
)

// ErrInvalidState is wrapped by every *InvalidStateError.
var ErrInvalidState = fault.New(fault.Internal, "invalid state for this transition")

// InstanceID names a KernelInstance.
type InstanceID string

// ExecutionState is a state in the life of a KernelInstance.
type ExecutionState string

// The states. StateCompleted, StateFailed and StateCancelled are final.
const (
	StateReady     ExecutionState = "ready"
	StateLaunching ExecutionState = "launching"
	StateRunning   ExecutionState = "running"
	StateCompleted ExecutionState = "completed"
	StateFailed    ExecutionState = "failed"
	StateCancelled ExecutionState = "cancelled"
)

// Transition is a step from one state to another.
type Transition string

// The transitions.
const (
	TransitionLaunch   Transition = "launch"
	TransitionStart    Transition = "start"
	TransitionComplete Transition = "complete"
	TransitionFail     Transition = "fail"
	TransitionCancel   Transition = "cancel"
)

// next is the whole state machine; transitions that it does not list are
// refused.
func (s ExecutionState) next(t Transition) (ExecutionState, bool) {
	switch {
	case s == StateReady && t == TransitionLaunch:
		return StateLaunching, true
	case s == StateLaunching && t == TransitionStart:
		return StateRunning, true
	case s == StateRunning && t == TransitionComplete:
		return StateCompleted, true
	case (s == StateLaunching || s == StateRunning) && t == TransitionFail:
		return StateFailed, true
	case (s == StateReady || s == StateLaunching || s == StateRunning) && t == TransitionCancel:
		return StateCancelled, true
	}
	return s, false
}

// Final reports whether no transition leaves the state.
func (s ExecutionState) Final() bool {
	return s == StateCompleted || s == StateFailed || s == StateCancelled
}

// InvalidStateError says that an instance cannot take a transition from the
// state it is in; the instance stays there.
type InvalidStateError struct {
	Instance   InstanceID
	State      ExecutionState
	Transition Transition
}

// Error names the instance, its state and the transition.
func (e *InvalidStateError) Error() string {
	return fmt.Sprintf("instance %s cannot %s: it is %s", e.Instance, e.Transition, e.State)
}

// Kind returns Internal.
func (e *InvalidStateError) Kind() fault.Kind { return fault.Internal }

// Unwrap returns ErrInvalidState.
func (e *InvalidStateError) Unwrap() error { return ErrInvalidState }

// KernelInstance is a workload placed on a device, on its way from StateReady to a
// final state. KernelScheduler.Schedule makes it. It belongs to one goroutine.
type KernelInstance struct {
	id       InstanceID
	workload Workload
	device   Device
	state    ExecutionState
	config   LaunchConfig
	failure  string
}

// ID returns what identifies the instance.
func (i *KernelInstance) ID() InstanceID { return i.id }

// Workload returns what is executed.
func (i *KernelInstance) Workload() Workload { return i.workload.clone() }

// Device returns the device as it was when the instance was scheduled.
func (i *KernelInstance) Device() Device { return i.device }

// State returns the instance's state.
func (i *KernelInstance) State() ExecutionState { return i.state }

// LaunchConfig returns how the work is spread over the device.
func (i *KernelInstance) LaunchConfig() LaunchConfig { return i.config }

// Failure returns the reason given to Fail or Cancel, or "".
func (i *KernelInstance) Failure() string { return i.failure }

// Launch moves from StateReady to StateLaunching: the work is being handed to the
// device. It fails with an *InvalidStateError from any other state.
func (i *KernelInstance) Launch() error { return i.transit(TransitionLaunch, "") }

// Start moves from StateLaunching to StateRunning: the device has begun.
func (i *KernelInstance) Start() error { return i.transit(TransitionStart, "") }

// Complete moves from StateRunning to StateCompleted.
func (i *KernelInstance) Complete() error { return i.transit(TransitionComplete, "") }

// Fail moves from StateLaunching or StateRunning to StateFailed.
func (i *KernelInstance) Fail(reason string) error { return i.transit(TransitionFail, reason) }

// Cancel moves from any state that is not final to StateCancelled.
func (i *KernelInstance) Cancel(reason string) error { return i.transit(TransitionCancel, reason) }

func (i *KernelInstance) transit(t Transition, reason string) error {
	next, ok := i.state.next(t)
	if !ok {
		return &InvalidStateError{Instance: i.id, State: i.state, Transition: t}
	}
	i.state, i.failure = next, reason
	return nil
}

// LaunchConfig says how work is spread over a device. Results never depend on
// it (docs/numerics.md); only time does.
type LaunchConfig struct {
	Threads int   // on a CPU
	Grid    int64 // elsewhere: blocks (work-groups)
	Block   int   // elsewhere: threads per block (work-items per work-group)
}

const (
	warp = 32 // threads that a CUDA device issues together, on every version so far
	// cudaBlock threads make full warps and fit the limit of every version (512
	// before 2.0, 1024 since) with registers to spare.
	cudaBlock = 256
	// openCLGroup is a multiple of the wavefront of every common device.
	openCLGroup = 64
	// blocksPerUnit fills a multiprocessor's 2048 threads if the amount of work
	// is unknown.
	blocksPerUnit = 8
	// The grid's first dimension (Guide, Technical Specifications per Compute
	// Capability). A kernel strides over the items beyond a full grid.
	maxGridBefore3 = 1<<16 - 1
	maxGrid        = 1<<31 - 1
)

// launchConfig spreads the workload: on a CPU one thread per unit, but no more
// than items; elsewhere one item per thread in blocks, up to the largest grid.
func launchConfig(w Workload, d Device) LaunchConfig {
	units := int64(d.Units())
	if d.Kind() == CPU {
		if w.Items > 0 {
			units = min(units, w.Items)
		}
		return LaunchConfig{Threads: int(units)}
	}
	block, grids := int64(openCLGroup), int64(maxGrid)
	if d.Kind() == CUDA {
		block = cudaBlock
		if d.d.Capability.Major < 3 {
			grids = maxGridBefore3
		}
	}
	if w.Items == 0 {
		return LaunchConfig{Grid: min(units*blocksPerUnit, grids), Block: int(block)}
	}
	if w.Items < block && d.Kind() == CUDA {
		block = ceilDiv(w.Items, warp) * warp
	}
	return LaunchConfig{Grid: min(ceilDiv(w.Items, block), grids), Block: int(block)}
}

// ceilDiv returns a/b rounded up, for a and b above 0, without overflow.
func ceilDiv(a, b int64) int64 { return (a-1)/b + 1 }

package queue

import (
	"time"

	"reprise/device"
)

// JobID names a job within a snapshot.
type JobID string

// Snapshot is everything that a decision depends on. Times are since an origin
// that the caller chooses, the same for all of them.
type Snapshot struct {
	Now     time.Duration `json:"now"`
	Devices []Device      `json:"devices"`
	Jobs    []Entry       `json:"jobs"`
	// Usage is the device time that owners have used of late, for Policy.Order
	// OrderShare. The type Usage sums it.
	Usage  map[string]time.Duration `json:"usage,omitempty"`
	Policy Policy                   `json:"policy"`
}

// Device is a device as the queue sees it.
type Device struct {
	ID device.ID `json:"id"`
	// Worker is where the device is. A gang is kept on as few workers as its size
	// allows.
	Worker      string             `json:"worker,omitempty"`
	Description device.Description `json:"description"`
	Labels      []string           `json:"labels,omitempty"`
	// Held is what others than the jobs of the snapshot hold, such as a
	// verification: slots and bytes.
	HeldSlots  int   `json:"held_slots,omitempty"`
	HeldMemory int64 `json:"held_memory,omitempty"`
}

// Entry is a job that waits or runs, as a decision sees it.
type Entry struct {
	ID       JobID  `json:"id"`
	Owner    string `json:"owner,omitempty"`
	Priority int    `json:"priority,omitempty"` // higher first
	// Submitted is when the job entered the queue.
	Submitted time.Duration `json:"submitted"`
	Need      Need          `json:"need"`
	// Devices is the size of the gang; 0 means 1. All are granted or none.
	Devices int `json:"devices,omitempty"`
	// After are jobs that must end first, and have not.
	After []JobID `json:"after,omitempty"`
	// Paused says that the job shall not run for now.
	Paused bool `json:"paused,omitempty"`

	// NotBefore is when a job that was deferred may be placed again; 0 is at once.
	NotBefore time.Duration `json:"not_before,omitempty"`

	// On is where the job runs, one entry for each of its devices; empty if it
	// waits. Since is when it was placed there.
	On    []device.ID   `json:"on,omitempty"`
	Since time.Duration `json:"since,omitempty"`
	// Served is how long the job has run in all, and Waited how long it has not,
	// including time after it gave way, but not while it was paused, had to come after
	// others or was deferred.
	Served time.Duration `json:"served,omitempty"`
	Waited time.Duration `json:"waited,omitempty"`
	// Remaining is an estimate of the run time that is left; 0 is unknown.
	Remaining time.Duration `json:"remaining,omitempty"`
}

// Need is what a job requires of each of its devices.
type Need struct {
	Features []device.Feature         `json:"features,omitempty"`
	Memory   device.MemoryRequirement `json:"memory"`
	// Shared says that the job takes memory, but no slot.
	Shared bool `json:"shared,omitempty"`
	// Device is the only one that will do, if it is set.
	Device  device.ID   `json:"device,omitempty"`
	Exclude []device.ID `json:"exclude,omitempty"`
	Labels  []string    `json:"labels,omitempty"` // all of them
}

// size is the number of devices of the gang.
func (j *Entry) size() int { return max(1, j.Devices) }

// held reports whether something other than devices keeps the job from running.
func (j *Entry) held(now time.Duration) bool {
	return j.Paused || len(j.After) > 0 || now < j.NotBefore
}

// attained is the device time that the job has used.
func (j *Entry) attained() time.Duration { return j.Served * time.Duration(j.size()) }

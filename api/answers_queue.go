package api

import (
	"time"

	"reprise/device"
	"reprise/queue"
)

// QueueRequest asks how the queue is shared and how full it is.
type QueueRequest struct{}

// SetQueueRequest asks for other settings of the queue: those that it names. A share or
// quota that is null, and an empty list of labels, removes what is set.
type SetQueueRequest struct{ queue.SettingsChange }

// Label asks for the labels of a device, which replace those that were set.
func (r *SetQueueRequest) Label(id string, labels []string) {
	if r.Labels == nil {
		r.Labels = map[device.ID][]string{}
	}
	r.Labels[device.ID(id)] = labels
}

// QueueReport is how the queue is shared, and how full it is.
type QueueReport struct {
	// Waiting is how many runs wait, and MostWaiting how many may; 0 is no bound.
	Waiting     int `json:"waiting"`
	MostWaiting int `json:"most_waiting,omitempty"`
	// Order says which of the runs of one priority comes first: by "attained" device time of
	// each run, or by "share", the recent device time of owners.
	Order queue.Order `json:"order"`
	// Owners are those who have runs that wait or train, who have used devices of late, or
	// who have a share or a quota, by name.
	Owners []QueueOwner `json:"owners"`
	// Devices are those of the machine.
	Devices []QueueDevice `json:"devices"`
	// Version counts the changes of the settings, and ChangedAt is when the last one was
	// made; 0 and null if nothing was ever set.
	Version   uint64     `json:"version"`
	ChangedAt *time.Time `json:"changed_at"`
}

// First says which runs of one priority are the first to get a device.
func (r QueueReport) First() string {
	switch r.Order {
	case queue.OrderShare:
		return "those of the owner who has used least for the share"
	case queue.OrderSubmission:
		return "those that were submitted first"
	case queue.OrderRemaining:
		return "those that will probably take the least time"
	case queue.OrderAttained:
	}
	return "those that have had devices for the least time"
}

// QueueOwner is an owner of runs; Owner is "" for runs that have none.
type QueueOwner struct {
	Owner string `json:"owner"`
	// Share is the weight: 1 unless another one was set.
	Share float64 `json:"share"`
	// Quota is how many devices the owner's runs may hold together; null is no bound.
	Quota *int `json:"quota"`
	// Devices is how many they hold, and Waiting how many of the runs wait.
	Devices int `json:"devices"`
	Waiting int `json:"waiting"`
	// UsedSeconds is the device time used of late: what lies one half-life back counts half.
	// It has only the attempts that have ended.
	UsedSeconds float64 `json:"used_seconds"`
}

// QueueDevice is a device and what jobs can ask of it.
type QueueDevice struct {
	ID     device.ID `json:"id"`
	Labels []string  `json:"labels"`
}

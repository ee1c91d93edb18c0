package describe

import (
	"fmt"

	"reprise/training"
)

// Command names what a saga does next.
func Command(c training.Command) string {
	switch c := c.(type) {
	case training.AllocateDevice:
		return "allocate a device"
	case training.LoadDataset:
		return "load the data"
	case training.InitializeModel:
		return "initialize the model"
	case training.TrainEpoch:
		return fmt.Sprintf("train epoch %d", c.Epoch)
	case training.CreateCheckpoint:
		return "write a checkpoint"
	case training.CompleteRun:
		return "complete the run"
	case training.ReleaseDevice:
		return "release " + string(c.Allocation.Device)
	case training.UnloadDataset:
		return "unload the data"
	case training.FailRun:
		return "record the failure"
	}
	return fmt.Sprintf("%T", c)
}

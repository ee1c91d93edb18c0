package integration

import (
	"reprise/device"
	"reprise/kernel"
	"reprise/nn"
	"reprise/training"
	"reprise/training/loop"
)

// WorkloadOf returns what the session's model needs of a device.
func WorkloadOf(session training.TrainingSession) (device.Workload, error) {
	plan, err := loop.PlanOf(session)
	if err != nil {
		return device.Workload{}, err
	}
	return workloadOf(session, plan), nil
}

func workloadOf(session training.TrainingSession, plan *nn.Plan) device.Workload {
	return workload(string(session.ModelID), plan)
}

// workload is what a plan needs of a device.
func workload(name string, plan *nn.Plan) device.Workload {
	return device.Workload{
		Name:         name,
		Requirements: []device.Feature{kernel.FMA},
		Memory:       device.MemoryRequirement{Size: plan.Memory().Total, Alignment: 64},
	}
}

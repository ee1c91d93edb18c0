package queue_test

import (
	"fmt"
	"testing"
	"time"

	"reprise/device"
	"reprise/kernel"
	"reprise/queue"
)

// BenchmarkPlan is a decision with its explanations for 10,000 jobs that wait for
// 1,000 devices, all held.
func BenchmarkPlan(b *testing.B) {
	s := crowd(1000, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if d := queue.Plan(s); len(d.Placed)+len(d.Pending) != 10_000 {
			b.Fatal("jobs are missing")
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "decisions/s")
}

// crowd has a running job on each device, and jobs of 1 to 8 devices, of four
// needs and three levels, that wait.
func crowd(devices, waiting int) *queue.Snapshot {
	s := &queue.Snapshot{
		Now: 1000 * time.Minute,
		Policy: queue.Policy{Preempt: true, Quantum: 30 * time.Minute, Patience: 2000 * time.Minute,
			Levels: []time.Duration{time.Hour, 4 * time.Hour, 16 * time.Hour}},
	}
	for i := range devices {
		id := device.ID(fmt.Sprintf("w%03d.gpu%d", i/8, i%8))
		s.Devices = append(s.Devices, queue.Device{ID: id, Worker: fmt.Sprintf("w%03d", i/8), Description: device.Description{
			ID: id, Kind: device.CUDA, Capability: device.ComputeCapability{Major: 8}, Health: device.Healthy,
			Memory: device.MemoryInfo{Total: 80 << 30, Available: 80 << 30},
		}})
		s.Jobs = append(s.Jobs, queue.Entry{ID: queue.JobID(fmt.Sprintf("running%05d", i)), On: []device.ID{id},
			Since: 980 * time.Minute, Served: time.Duration(i) * time.Minute})
	}
	for i := range waiting {
		s.Jobs = append(s.Jobs, queue.Entry{
			ID: queue.JobID(fmt.Sprintf("job%05d", i)), Owner: fmt.Sprint("owner", i%11), Submitted: time.Duration(i) * time.Second,
			Devices: 1 << (i % 4), Served: time.Duration(i%3) * 2 * time.Hour, Waited: 10 * time.Minute,
			Need: queue.Need{Features: []device.Feature{kernel.FP16}, Memory: device.MemoryRequirement{Size: 1 << (30 + i%4)}},
		})
	}
	return s
}

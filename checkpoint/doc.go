// Package checkpoint owns the files that hold a run's state at one step: its
// weights and its optimiser's moments as safetensors, and a manifest that pins
// both.
//
//	CHECKPOINTS/step-00001407/
//	  model.safetensors  optimizer.safetensors  manifest.json
//
// Write makes a checkpoint durable before it returns its Ref; Read and Verify
// accept nothing that differs from a Ref by one byte (*CorruptError). Whether a
// checkpoint exists is for the run's events to say: Sweep removes what no event
// refers to. docs/event-format.md specifies the files byte by byte.
//
// It refuses to write what it would not read back: values that are not finite,
// names used twice, shapes that do not fit their data (*ContentError).
//
// A folder of checkpoints has one writer at a time: Write and Sweep do not run
// beside each other. Read and Verify run beside anything but the removal of
// what they read. No function keeps a goroutine or any memory of its caller.
package checkpoint

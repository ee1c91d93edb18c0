// Package checkpoint owns the files that hold a run's state at one step: its
// weights and its optimizer's moments as safetensors, the document that says how data
// becomes the model's inputs, and a manifest that pins them.
//
//	CHECKPOINTS/step-00001407/
//	  model.safetensors  optimizer.safetensors  preprocessing.json  manifest.json
//	  pending.json  committed.json
//
// Write makes a checkpoint durable before it returns its Ref. Read and Verify
// accept nothing that differs from a Ref by a single byte (*CorruptError). A
// checkpoint exists once the run's events say so. Until then its folder notes which
// event its own is going to follow (Pending), and from then on that it was committed
// (Folder.Mark), so that a log that is older than the files is noticed. Sweep removes
// only what the log proves to be litter. docs/event-format.md specifies the files byte
// by byte.
//
// The package refuses to write what it would not read back: values that are not
// finite, names used twice, shapes that do not fit their data (*fault.FieldError).
//
// A folder of checkpoints has one writer at a time: Write and Sweep must not run
// concurrently. Read and Verify may run beside anything but the removal of what they
// read. No function keeps a goroutine or any memory of its caller.
package checkpoint

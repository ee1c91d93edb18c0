package device

// Refusal says why one device cannot take a workload.
type Refusal struct {
	Device  ID       `json:"device"`
	Reasons []Reason `json:"reasons"`
}

// ReasonCode is the machine-readable part of a Reason.
type ReasonCode string

// The reasons why a device is not given a piece of work.
const (
	ReasonMissingFeature     ReasonCode = "missing_feature"
	ReasonInsufficientMemory ReasonCode = "insufficient_memory"
	ReasonAlignment          ReasonCode = "insufficient_alignment"
	ReasonUnhealthy          ReasonCode = "unhealthy"
	ReasonLeased             ReasonCode = "leased"
	ReasonExcluded           ReasonCode = "excluded"
	ReasonNotRequested       ReasonCode = "not_requested"  // another device was asked for by name
	ReasonUnknownDevice      ReasonCode = "unknown_device" // the device asked for does not exist
)

// Reason answers "why does my job not run?": a code for programs, a sentence
// with figures for people.
type Reason struct {
	Code    ReasonCode `json:"code"`
	Message string     `json:"message"`
	// Transient says that waiting may help: others may release memory or slots,
	// or the device may recover.
	Transient bool `json:"transient"`
}

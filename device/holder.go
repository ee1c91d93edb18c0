package device

import (
	"strconv"
	"strings"
)

// HolderKind says what holds a lease; it begins the holder's name.
type HolderKind string

// The kinds of holder.
const (
	HolderRun          HolderKind = "run"
	HolderVerification HolderKind = "verification" // of a run
	HolderGeneration   HolderKind = "generation"   // of text, by the model of a run
)

// instances reports whether there can be several holders of the kind for one subject,
// which an instance tells apart, and whether the kind is known.
func (k HolderKind) instances() (several, known bool) {
	switch k {
	case HolderRun:
		return false, true
	case HolderVerification, HolderGeneration:
		return true, true
	default:
		return false, false
	}
}

// Holder is who uses a device. Its name is in the leases: "run/RUN", or
// "verification/RUN/INSTANCE".
type Holder struct {
	Kind HolderKind
	// Subject is what it is about: the run that trains, is verified or generates.
	Subject string
	// Instance tells apart the holders of a kind about the same subject. A run has none.
	Instance string
}

// String returns the holder's name. ParseHolder is its inverse.
func (h Holder) String() string {
	name := string(h.Kind) + "/" + h.Subject
	if h.Instance != "" {
		name += "/" + h.Instance
	}
	return name
}

// ParseHolder returns the holder of a name, and whether it is the name of one.
func ParseHolder(name string) (Holder, bool) {
	kind, rest, _ := strings.Cut(name, "/")
	h := Holder{Kind: HolderKind(kind), Subject: rest}
	if several, known := h.Kind.instances(); known && several {
		h.Subject, h.Instance, _ = strings.Cut(rest, "/")
	}
	return h, h.Validate() == nil
}

// Validate fails with ErrInvalid for a holder that cannot be.
func (h Holder) Validate() error {
	bad := func(field, value, problem, fix string) error {
		return invalid("holder", field, strconv.Quote(value), problem, fix)
	}
	several, known := h.Kind.instances()
	switch {
	case !known:
		return bad("kind", string(h.Kind), "is not a kind of holder", "use run, verification or generation")
	case h.Subject == "" || strings.Contains(h.Subject, "/"):
		return bad("subject", h.Subject, "is not a run", "name the run, without slashes")
	case several && (h.Instance == "" || strings.Contains(h.Instance, "/")):
		return bad("instance", h.Instance, "is not an id", "give it an id of its own, without slashes")
	case !several && h.Instance != "":
		return bad("instance", h.Instance, "is one too many", "leave it out: there is only one")
	}
	return nil
}

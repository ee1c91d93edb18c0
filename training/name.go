package training

import (
	"fmt"
	"strings"

	"reprise/fault"
)

// maxRunID is the longest name of a run, in bytes.
const maxRunID = 64

// Validate fails with a *fault.FieldError unless the name can be that of a run: 1 to 64
// of a-z, 0-9, - and _, beginning with a letter or digit, and not reserved by
// Windows. A run's files are in a folder of its name, so the name must be a single
// folder, distinct from all others, on every file system. A log may come from
// anywhere: what it names must not lead out of the data directory.
func (id RunID) Validate() error {
	var problem string
	switch {
	case id == "":
		problem = "is empty"
	case len(id) > maxRunID:
		problem = fmt.Sprintf("has %d bytes", len(id))
	case strings.ContainsFunc(string(id), notInRunID):
		problem = "has other characters"
	case id[0] == '-' || id[0] == '_':
		problem = "does not begin with a letter or digit"
	case reserved(string(id)):
		problem = "is reserved by Windows"
	default:
		return nil
	}
	value := string(id)
	if len(value) > maxRunID {
		value = value[:maxRunID] + "..."
	}
	return &fault.FieldError{Field: "run_id", Value: fmt.Sprintf("%q", value), Problem: problem,
		Fix: fmt.Sprintf("a run's name has 1 to %d of a-z, 0-9, - and _", maxRunID)}
}

func notInRunID(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// reserved reports whether a name is that of a device on Windows.
func reserved(name string) bool {
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	port := strings.HasPrefix(name, "com") || strings.HasPrefix(name, "lpt")
	return port && len(name) == 4 && name[3] >= '0' && name[3] <= '9'
}

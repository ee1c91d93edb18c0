package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"reprise/kernel/cpu"
)

// Machine is the machine that was measured, and when.
type Machine struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	Features  string `json:"features"`
	MemoryMiB int    `json:"memory_mib"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Commit    string `json:"commit,omitempty"`
	Date      string `json:"date"` // UTC
	// Load is the average number of runnable processes over the last minute.
	Load string `json:"load"`
}

// ThisMachine describes the machine as Linux does.
func ThisMachine(now time.Time, commit string) (Machine, error) {
	m := Machine{
		Cores: runtime.NumCPU(), Features: cpu.Detect().String(), Go: runtime.Version(),
		Commit: commit, Date: now.UTC().Format("2006-01-02 15:04"),
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.CPU = field(string(info), "model name")
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m, err
	}
	var kib int
	if _, err := fmt.Sscan(field(string(memory), "MemTotal"), &kib); err != nil {
		return m, fmt.Errorf("/proc/meminfo: %w", err)
	}
	m.MemoryMiB = kib >> 10
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, err
	}
	m.System = runtime.GOOS + "/" + runtime.GOARCH + " " + strings.TrimSpace(string(release))
	load, err := os.ReadFile("/proc/loadavg")
	m.Load, _, _ = strings.Cut(string(load), " ")
	return m, err
}

// Write writes the line.
func (m Machine) Write(w io.Writer) error { return json.NewEncoder(w).Encode(m) }

// field returns the first value of a "name : value" text, or "".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

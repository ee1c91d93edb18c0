package cpu

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"reprise/device"
	"reprise/tensor"
)

// fallbackMemory is assumed for a machine whose memory cannot be read: systems
// other than Linux. Config.MemoryLimit lowers it; nothing raises it, because a
// wrong guess would let a run start that the system then kills.
const fallbackMemory = 4 * tensor.GiB

// processorName returns the model name of the first processor in /proc/cpuinfo,
// or the architecture if there is none.
func processorName(machine fs.FS) string {
	source, err := fs.ReadFile(machine, "proc/cpuinfo")
	if err != nil {
		return architecture()
	}
	for line := range bytes.Lines(source) {
		key, value, ok := strings.Cut(string(line), ":")
		if name := strings.Join(strings.Fields(value), " "); ok && strings.TrimSpace(key) == "model name" && name != "" {
			return strings.ToValidUTF8(name, "?")
		}
	}
	return architecture()
}

// memoryInfo returns the memory that this process may use: the least of
// /proc/meminfo, the limits of its control groups, and the given limit (0:
// none).
//
// Available is rounded down to a multiple of at most a 64th of the total, so
// that the description of an idle machine is the same from one start to the
// next.
func memoryInfo(machine fs.FS, limit tensor.Bytes) device.MemoryInfo {
	total, available, ok := procMeminfo(machine)
	if !ok {
		total, available = fallbackMemory, fallbackMemory
	}
	for _, group := range controlGroups(machine) {
		total = min(total, group.limit)
		available = min(available, max(0, group.limit-group.used))
	}
	if limit > 0 {
		total = min(total, limit)
	}
	available = min(available, total)
	return device.MemoryInfo{Total: total, Available: available &^ (granule(total) - 1), Alignment: alignment}
}

// granule returns the largest power of two up to a 64th of the total, and 1 for
// a total below 64.
func granule(total tensor.Bytes) tensor.Bytes {
	g := tensor.Bytes(1)
	for g <= total/128 {
		g *= 2
	}
	return g
}

// procMeminfo reads /proc/meminfo (proc_meminfo(5)), whose figures are in KiB.
func procMeminfo(machine fs.FS) (total, available tensor.Bytes, ok bool) {
	source, err := fs.ReadFile(machine, "proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	total, hasTotal := figure(source, "MemTotal:", 1024)
	available, hasAvailable := figure(source, "MemAvailable:", 1024) // since Linux 3.14
	if !hasAvailable {
		available, hasAvailable = figure(source, "MemFree:", 1024)
	}
	return total, min(available, total), hasTotal && hasAvailable
}

// figure returns the number after the first line's key, times the unit.
func figure(source []byte, key string, unit tensor.Bytes) (tensor.Bytes, bool) {
	for line := range bytes.Lines(source) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || fields[0] != key {
			continue
		}
		return parseBytes(fields[1], unit)
	}
	return 0, false
}

// parseBytes parses a decimal number of units; it reports false for a number
// that does not fit.
func parseBytes(s string, unit tensor.Bytes) (tensor.Bytes, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > int64(math.MaxInt64/unit) {
		return 0, false
	}
	return tensor.Bytes(n) * unit, true
}

// controlGroup is a limit on the memory of the processes in a group, and how
// much of it they use and cannot release.
type controlGroup struct {
	limit, used tensor.Bytes
}

// hierarchy says where a version of control groups keeps its values
// (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst in Linux).
type hierarchy struct {
	root, limit, usage, inactive string
}

// controlGroups returns the groups with a limit that this process is in: its
// own and every one above it, as each limits all below. Both versions are read,
// since a hybrid system uses both.
func controlGroups(machine fs.FS) []controlGroup {
	membership, err := fs.ReadFile(machine, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var groups []controlGroup
	for line := range bytes.Lines(membership) {
		// hierarchy-ID:controller-list:path (cgroups(7))
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) != 3 {
			continue
		}
		var h hierarchy
		switch {
		case fields[0] == "0" && fields[1] == "":
			h = hierarchy{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"}
		case fields[1] == "memory":
			h = hierarchy{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
		default:
			continue
		}
		groups = append(groups, h.above(machine, fields[2])...)
	}
	return groups
}

// above reads the group at the path and those above it. Within a container the
// path may be one that only the host sees: missing groups are skipped, and the
// root is then the container's own group.
func (h hierarchy) above(machine fs.FS, at string) []controlGroup {
	var groups []controlGroup
	for at = path.Clean("/" + at); ; at = path.Dir(at) {
		if g, ok := h.read(machine, path.Join(h.root, at)); ok {
			groups = append(groups, g)
		}
		if at == "/" {
			return groups
		}
	}
}

// read returns a group's values; none if it has no limit ("max"). File pages
// that have not been used lately are reclaimed before the limit takes effect,
// so they do not count as used; container runtimes count the same way.
func (h hierarchy) read(machine fs.FS, folder string) (controlGroup, bool) {
	number := func(name string) (tensor.Bytes, bool) {
		source, err := fs.ReadFile(machine, path.Join(folder, name))
		if err != nil {
			return 0, false
		}
		return parseBytes(string(source), 1)
	}
	limit, ok := number(h.limit)
	if !ok {
		return controlGroup{}, false
	}
	used, _ := number(h.usage)
	if stat, err := fs.ReadFile(machine, path.Join(folder, "memory.stat")); err == nil {
		if inactive, ok := figure(stat, h.inactive, 1); ok {
			used -= min(used, inactive)
		}
	}
	return controlGroup{limit: limit, used: used}, true
}

package cpu

import (
	"runtime"
	"testing"
	"testing/fstest"

	"reprise/device"
	"reprise/tensor"
)

func TestProcessorName(t *testing.T) {
	for name, test := range map[string]struct{ cpuinfo, want string }{
		"the first model's name":        {"vendor_id : X\nmodel name\t: A  B\t(R)\nmodel name : C\n", "A B (R)"},
		"no model name, as on arm64":    {"processor : 0\nBogoMIPS : 50\n", runtime.GOARCH + " processor"},
		"an empty model name":           {"model name\t: \n", runtime.GOARCH + " processor"},
		"a key that only looks like it": {"the model name : X\n", runtime.GOARCH + " processor"},
		"not text":                      {"model name : a\xff\n", "a?"},
	} {
		if got := processorName(fstest.MapFS{"proc/cpuinfo": {Data: []byte(test.cpuinfo)}}); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := processorName(fstest.MapFS{}); got != runtime.GOARCH+" processor" {
		t.Errorf("no /proc: %q", got)
	}
}

func TestMemoryInfo(t *testing.T) {
	const gib = tensor.GiB
	tests := []struct {
		name             string
		files            map[string]string
		limit            tensor.Bytes
		total, available tensor.Bytes
	}{
		{name: "another system", total: 4 * gib, available: 4 * gib},
		{name: "another system, with a limit", limit: gib, total: gib, available: gib},
		{name: "no control groups", total: 16 * gib, available: 9 * gib, files: map[string]string{}},
		{name: "a limit", limit: 2 * gib, total: 2 * gib, available: 2 * gib, files: map[string]string{}},
		{name: "a limit beyond what there is", limit: 99 * gib, total: 16 * gib, available: 9 * gib, files: map[string]string{}},
		{name: "an old kernel without MemAvailable", total: 2 * gib, available: gib, files: map[string]string{
			"proc/meminfo": "MemTotal: 2097152 kB\nMemFree: 1048576 kB\n",
		}},
		{name: "a meminfo that cannot be read", total: 4 * gib, available: 4 * gib, files: map[string]string{
			"proc/meminfo": "MemTotal: lots kB\nMemAvailable: -3 kB\n",
		}},
		{name: "a group without a limit", total: 16 * gib, available: 9 * gib, files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "1073741824\n",
		}},
		{name: "a group's limit minus what it uses", total: 4 * gib, available: 3 * gib, files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "4294967296\n", "sys/fs/cgroup/a/memory.current": "1073741824\n",
		}},
		{name: "pages that can be given back are not used", total: 4 * gib, available: 4 * gib, files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "4294967296\n", "sys/fs/cgroup/a/memory.current": "1073741824\n",
			"sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 1073741824\n",
		}},
		{name: "a group over its limit", total: gib, available: 0, files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/memory.current": "2147483648\n",
		}},
		{name: "a limit further up counts", total: 2 * gib, available: 2 * gib, files: map[string]string{
			"proc/self/cgroup": "0::/a/b/c\n", "sys/fs/cgroup/a/memory.max": "2147483648\n", "sys/fs/cgroup/a/b/c/memory.max": "8589934592\n",
		}},
		{name: "a container sees its group as the root", total: 2 * gib, available: 2 * gib, files: map[string]string{
			"proc/self/cgroup": "0::/../../docker/123\n", "sys/fs/cgroup/memory.max": "2147483648\n",
		}},
		{name: "version 1", total: 2 * gib, available: gib + gib/2, files: map[string]string{
			"proc/self/cgroup": "12:cpu:/x\n4:memory:/m\n0::/\n",
			"sys/fs/cgroup/memory/m/memory.limit_in_bytes":   "2147483648\n",
			"sys/fs/cgroup/memory/m/memory.usage_in_bytes":   "1073741824\n",
			"sys/fs/cgroup/memory/m/memory.stat":             "inactive_file 1\ntotal_inactive_file 536870912\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":   "1\n",
			"sys/fs/cgroup/memory/m/b/memory.limit_in_bytes": "1\n",
		}},
		{name: "available is rounded down to a 64th", total: 16 * gib, available: 8*gib + 3*gib/4, files: map[string]string{
			"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 9437183 kB\n",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			machine := fstest.MapFS{}
			if test.files != nil {
				machine = linux()
			}
			for name, content := range test.files {
				machine[name] = &fstest.MapFile{Data: []byte(content)}
			}
			want := device.MemoryInfo{Total: test.total, Available: test.available, Alignment: 64}
			if got := memoryInfo(machine, test.limit); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// FuzzMachine checks that any content of the system's files gives a valid
// device.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("MemTotal: 100 kB\nMemAvailable: 50 kB\n"), []byte("0::/a\n"), []byte("4096\n"), []byte("inactive_file 9\n"), int64(0))
	f.Add([]byte("MemTotal: 9223372036854775807 kB\nMemFree: 1 kB\n"), []byte("0::\n1:memory:..\n:::"), []byte("max"), []byte("inactive_file\n"), int64(77))
	f.Add([]byte("MemTotal: 1 kB\nMemAvailable: 2 kB\n"), []byte("4:memory:/../..//a\n"), []byte("-1"), []byte{}, int64(1))
	f.Add([]byte("MemTotal:\nMemTotal: 5 kB"), []byte("0::/\xff\n"), []byte("18446744073709551616"), []byte("inactive_file 99999999999999999999"), int64(1<<62))
	f.Fuzz(func(t *testing.T, meminfo, membership, number, stat []byte, limit int64) {
		machine := fstest.MapFS{
			"proc/meminfo":                               {Data: meminfo},
			"proc/cpuinfo":                               {Data: append([]byte("model name :"), meminfo...)},
			"proc/self/cgroup":                           {Data: membership},
			"sys/fs/cgroup/a/memory.max":                 {Data: number},
			"sys/fs/cgroup/a/memory.current":             {Data: number},
			"sys/fs/cgroup/a/memory.stat":                {Data: stat},
			"sys/fs/cgroup/memory/memory.limit_in_bytes": {Data: number},
		}
		memory := memoryInfo(machine, max(0, tensor.Bytes(limit)))
		if _, err := device.New(device.Description{ID: "cpu0", Kind: device.CPU, Name: processorName(machine), Memory: memory}); err != nil {
			t.Error(err)
		}
	})
}

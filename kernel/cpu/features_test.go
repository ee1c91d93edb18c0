package cpu

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"reprise/kernel"
)

func TestParseFeatures(t *testing.T) {
	both := Features{AVX2: true, AVX512: true}
	older := Features{AVX2: true}
	none := Features{NoAssembly: true}
	arm := Features{NEON: true}
	tests := []struct {
		machine Features
		name    string
		want    Level
		err     error
		says    string
	}{
		{both, "auto", LevelAVX512, nil, ""},
		{both, "avx2", LevelAVX2, nil, ""},
		{both, "none", LevelNone, nil, ""},
		{older, "auto", LevelAVX2, nil, ""},
		{older, "avx512", LevelNone, ErrFeatureMissing, "usable on this machine: avx2; choose one of auto, none, avx2"},
		{Features{}, "avx2", LevelNone, ErrFeatureMissing, "usable on this machine: none; choose one of auto, none"},
		{none, "auto", LevelNone, nil, ""},
		{none, "avx2", LevelNone, ErrFeatureMissing, "this build has no assembly"},
		{arm, "auto", LevelNEON, nil, ""},
		{arm, "neon", LevelNEON, nil, ""},
		{arm, "none", LevelNone, nil, ""},
		{arm, "avx2", LevelNone, ErrFeatureMissing, "usable on this machine: neon; choose one of auto, none, neon"},
		{both, "neon", LevelNone, ErrFeatureMissing, "usable on this machine: avx2, avx512; choose one of auto, none, avx2, avx512"},
		{both, "sse9", LevelNone, ErrFeatureUnknown, `"sse9"`},
		{both, "", LevelNone, ErrFeatureUnknown, `""`},
	}
	for _, x := range tests {
		got, err := x.machine.Parse(x.name)
		if got != x.want || !errors.Is(err, x.err) {
			t.Errorf("%s on a machine with %s: %s, %v; want %s, %v", x.name, x.machine, got, err, x.want, x.err)
		}
		if err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("error %q does not say %q", err, x.says)
		}
	}
}

func TestResolveRefusesAnUnknownLevel(t *testing.T) {
	if _, err := (Features{AVX2: true}).Resolve(Level(77)); !errors.Is(err, ErrFeatureUnknown) {
		t.Errorf("Resolve(Level(77)): %v, want ErrFeatureUnknown", err)
	}
}

func TestLevelIsACapability(t *testing.T) {
	var _ kernel.Capability = LevelNone
	for _, x := range []struct {
		level Level
		f     kernel.Feature
		want  bool
	}{
		{LevelNone, kernel.FMA, true}, {LevelNone, kernel.AVX2, false},
		{LevelAVX2, kernel.AVX2, true}, {LevelAVX2, kernel.AVX512, false},
		{LevelNEON, kernel.NEON, true}, {LevelNEON, kernel.AVX2, false}, {LevelAVX512, kernel.NEON, false},
		{LevelAVX512, kernel.AVX512, true}, {LevelAVX512, kernel.TensorCores, false},
	} {
		if got := x.level.Supports(x.f); got != x.want {
			t.Errorf("%s supports %s: %t, want %t", x.level, x.f, got, x.want)
		}
	}
}

// TestDetectAgreesWithTheKernel compares with what Linux reports about the
// processor.
func TestDetectAgreesWithTheKernel(t *testing.T) {
	f := Detect()
	t.Logf("features: %s; best level %s", f, f.Best())
	if !haveAssembly {
		if f != (Features{NoAssembly: true}) {
			t.Errorf("a build without assembly detects %+v", f)
		}
		return
	}
	if runtime.GOARCH == "arm64" {
		// Every arm64 processor that Go runs on has NEON; cpuinfo is the host's
		// under an emulator.
		if f != (Features{NEON: true}) {
			t.Errorf("Detect gives %+v, want NEON", f)
		}
		return
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if runtime.GOOS != "linux" || err != nil {
		t.Logf("nothing to compare with: %s, %v", runtime.GOOS, err)
		return
	}
	flags := map[string]bool{}
	for line := range strings.Lines(string(info)) {
		if strings.HasPrefix(line, "flags") {
			for _, name := range strings.Fields(line) {
				flags[name] = true
			}
			break
		}
	}
	want := Features{AVX2: flags["avx2"] && flags["fma"]}
	want.AVX512 = want.AVX2 && flags["avx512f"] && flags["avx512bw"] && flags["avx512dq"] && flags["avx512vl"]
	if f != want {
		t.Errorf("Detect gives %+v, /proc/cpuinfo %+v", f, want)
	}
}

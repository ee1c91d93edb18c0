package cpu

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"reprise/fault"
	"reprise/kernel"
)

// Level is the most capable instruction set that kernels may use. Every level
// gives the same bits (docs/numerics.md); a higher one only takes less time.
// The zero value, LevelAuto, means the best level the machine has.
type Level uint8

// The levels, each including the ones before it on the same architecture.
const (
	LevelAuto   Level = iota // the best available; Features.Resolve makes it concrete
	LevelNone                // portable Go
	LevelNEON                // arm64: Advanced SIMD, for products; the rest is portable Go
	LevelAVX2                // amd64: AVX2 and FMA3
	LevelAVX512              // amd64: AVX-512 F, BW, DQ and VL
)

var levelNames = [...]string{
	LevelAuto:   "auto",
	LevelNone:   "none",
	LevelNEON:   "neon",
	LevelAVX2:   "avx2",
	LevelAVX512: "avx512",
}

// String returns the name ParseFeatures accepts for the level.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// Supports reports whether kernels at this level can offer the feature. It
// makes Level a kernel.Capability. float64 and a correctly rounded float32
// multiply-add are available at every level, because the portable path has
// both.
func (l Level) Supports(f kernel.Feature) bool {
	switch f {
	case kernel.FP64, kernel.FMA:
		return true
	case kernel.NEON:
		return l == LevelNEON
	case kernel.AVX2:
		return l >= LevelAVX2
	case kernel.AVX512:
		return l >= LevelAVX512
	default:
		return false
	}
}

// Features are the instruction-set extensions that the kernels can make use of
// on this machine: the processor has them, the operating system saves their
// registers, and this build contains the assembly. The zero value has none.
type Features struct {
	// NEON is Advanced SIMD, which every arm64 processor that Go supports has.
	NEON bool
	// AVX2 covers AVX, AVX2 and FMA3, with the YMM state enabled.
	AVX2 bool
	// AVX512 covers F, BW, DQ and VL, with the ZMM and mask state enabled.
	AVX512 bool
	// NoAssembly says that the build has no assembly for this architecture
	// (the noasm build tag, or a target other than amd64 and arm64), so that
	// none of the above is usable whatever the processor has.
	NoAssembly bool
}

// Detect returns the features of the processor the program runs on.
func Detect() Features {
	if !haveAssembly {
		return Features{NoAssembly: true}
	}
	avx2 := cpu.X86.HasAVX && cpu.X86.HasAVX2 && cpu.X86.HasFMA
	return Features{
		NEON: cpu.ARM64.HasASIMD,
		AVX2: avx2,
		AVX512: avx2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW &&
			cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL,
	}
}

// Best returns the highest level whose instructions the features cover.
func (f Features) Best() Level {
	switch {
	case f.NoAssembly:
		return LevelNone
	case f.AVX512:
		return LevelAVX512
	case f.AVX2:
		return LevelAVX2
	case f.NEON:
		return LevelNEON
	}
	return LevelNone
}

// Levels returns the concrete levels that can be requested, lowest first.
func (f Features) Levels() []Level {
	switch f.Best() {
	case LevelNEON:
		return []Level{LevelNone, LevelNEON}
	case LevelAVX2:
		return []Level{LevelNone, LevelAVX2}
	case LevelAVX512:
		return []Level{LevelNone, LevelAVX2, LevelAVX512}
	default:
		return []Level{LevelNone}
	}
}

// String lists the usable features, such as "avx2, avx512", or says why there
// are none.
func (f Features) String() string {
	if f.NoAssembly {
		return "none (this build has no assembly)"
	}
	var names []string
	for _, l := range f.Levels()[1:] {
		names = append(names, l.String())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ErrFeatureMissing is wrapped by a FeatureError for a level that exists but
// that this machine or build cannot run.
var ErrFeatureMissing = fault.New(fault.Invalid, "cpu feature not available")

// ErrFeatureUnknown is wrapped by a FeatureError for a name that is not a
// level.
var ErrFeatureUnknown = fault.New(fault.Invalid, "unknown cpu feature")

// FeatureError says that a requested level is not available, and which ones
// are.
type FeatureError struct {
	Asked string   // as written by the user
	Has   Features // of the machine and build
	Err   error    // ErrFeatureMissing or ErrFeatureUnknown
}

// Error names the requested level, what is available and what to request
// instead.
func (e *FeatureError) Error() string {
	names := []string{LevelAuto.String()}
	for _, l := range e.Has.Levels() {
		names = append(names, l.String())
	}
	return fmt.Sprintf("cpu features %q: %v; usable on this machine: %s; choose one of %s",
		e.Asked, e.Err, e.Has, strings.Join(names, ", "))
}

// Kind returns Invalid.
func (e *FeatureError) Kind() fault.Kind { return fault.Invalid }

// Unwrap returns the sentinel for errors.Is.
func (e *FeatureError) Unwrap() error { return e.Err }

// Resolve turns LevelAuto into the best level and checks any other one. The
// error is a *FeatureError that wraps ErrFeatureMissing or, for a value that is
// not a level, ErrFeatureUnknown.
func (f Features) Resolve(l Level) (Level, error) {
	switch {
	case l == LevelAuto:
		return f.Best(), nil
	case l > LevelAVX512:
		return LevelNone, &FeatureError{Asked: l.String(), Has: f, Err: ErrFeatureUnknown}
	case !slices.Contains(f.Levels(), l):
		return LevelNone, &FeatureError{Asked: l.String(), Has: f, Err: ErrFeatureMissing}
	}
	return l, nil
}

// Parse is ParseFeatures for a machine with the features f.
func (f Features) Parse(name string) (Level, error) {
	for l, n := range levelNames {
		if n == name {
			return f.Resolve(Level(l))
		}
	}
	return LevelNone, &FeatureError{Asked: name, Has: f, Err: ErrFeatureUnknown}
}

// ParseFeatures returns the concrete level for "auto", "avx512", "avx2", "neon" or
// "none" on this machine. A level that the machine lacks is an error, never a
// silent downgrade: a *FeatureError that wraps ErrFeatureMissing, or
// ErrFeatureUnknown for any other name.
func ParseFeatures(name string) (Level, error) {
	return Detect().Parse(name)
}

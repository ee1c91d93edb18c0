package training

import (
	"fmt"
	"math"
	"math/bits"

	"reprise/fault"
	"reprise/internal/detmath"
)

// LearningRate is a base value and the schedule that scales it. The rate of a
// step is a pure function of the step and, for reduce_on_plateau, of the number of
// reductions so far, which a checkpoint holds.
type LearningRate struct {
	Value    float32  `json:"value"`
	Schedule Schedule `json:"schedule"`
}

// ScheduleName is the usual name of a schedule.
type ScheduleName string

// The schedules. The base learning rate is multiplied by each; T is TotalSteps, w
// WarmupSteps, and t the step, counted from 0.
const (
	Constant           ScheduleName = "constant"
	ConstantWithWarmup ScheduleName = "constant_with_warmup"
	Linear             ScheduleName = "linear"
	Cosine             ScheduleName = "cosine"
	CosineWithRestarts ScheduleName = "cosine_with_restarts"
	Polynomial         ScheduleName = "polynomial"
	InverseSqrt        ScheduleName = "inverse_sqrt"
	Step               ScheduleName = "step"
	Exponential        ScheduleName = "exponential"
	// ReduceOnPlateau multiplies by Gamma when the validation loss no longer
	// falls: it is the only schedule that depends on results (Hyperparameters.Rate).
	ReduceOnPlateau ScheduleName = "reduce_on_plateau"
)

// ScheduleNames lists every schedule, in the order of the documentation.
func ScheduleNames() []ScheduleName {
	return []ScheduleName{Constant, ConstantWithWarmup, Linear, Cosine, CosineWithRestarts,
		Polynomial, InverseSqrt, Step, Exponential, ReduceOnPlateau}
}

// Schedule says how the learning rate changes with the step. Fields that a
// schedule does not use must be zero.
type Schedule struct {
	Name ScheduleName `json:"name"`
	// WarmupSteps is the number of steps over which the factor rises linearly
	// from 1/w to 1, before the schedule itself begins.
	WarmupSteps uint64 `json:"warmup_steps,omitempty"`
	// TotalSteps is the length of the run; the planner fills it in.
	TotalSteps uint64 `json:"total_steps,omitempty"`
	// MinFactor is the factor at which linear, cosine, cosine_with_restarts,
	// polynomial and reduce_on_plateau end. In [0, 1].
	MinFactor float64 `json:"min_factor,omitempty"`
	// Cycles is the number of cosine_with_restarts periods; at least 1.
	Cycles uint64 `json:"cycles,omitempty"`
	// ExactCycles counts the periods in integers. Runs that were recorded without
	// it counted them in float64, which misses the beginning of some of them
	// if Cycles is 22 or more; they keep the rates that they were trained with.
	ExactCycles bool `json:"exact_cycles,omitempty"`
	// Power is the exponent of polynomial; above 0.
	Power float64 `json:"power,omitempty"`
	// StepSize is the number of steps between two multiplications by Gamma.
	StepSize uint64 `json:"step_size,omitempty"`
	// Gamma is the factor of step, exponential and reduce_on_plateau; in (0, 1].
	Gamma float64 `json:"gamma,omitempty"`
	// Patience is the number of evaluations in a row that reduce_on_plateau allows
	// without a loss that is below the best one by more than Threshold, a share
	// of it.
	Patience  uint64  `json:"patience,omitempty"`
	Threshold float64 `json:"threshold,omitempty"`
}

// At returns the learning rate for the optimiser step, counted from 0. The
// factor is computed in float64 from exactly specified operations, multiplied
// by the base value in float64 and rounded once to float32.
func (l LearningRate) At(step uint64) float32 {
	return float32(float64(l.Value) * l.Schedule.Factor(step))
}

// Decay returns a constant learning rate whose value is the rate at step: decay in
// place, as a pure function.
func (l LearningRate) Decay(step uint64) LearningRate {
	return LearningRate{Value: l.At(step), Schedule: Schedule{Name: Constant}}
}

// Factor returns what the base learning rate is multiplied by at step,
// counted from 0. It is at most 1 and never negative. Steps at or beyond
// TotalSteps stay at the end of the schedule.
func (s Schedule) Factor(step uint64) float64 {
	if step < s.WarmupSteps {
		return float64(step+1) / float64(s.WarmupSteps)
	}
	after := step - s.WarmupSteps
	switch s.Name {
	case Linear:
		return s.descend(1 - s.progress(after))
	case Cosine:
		return s.descend(halfCosine(s.progress(after)))
	case CosineWithRestarts:
		return s.restartingCosine(after)
	case Polynomial:
		return s.descend(detmath.Pow(1-s.progress(after), s.Power))
	case InverseSqrt:
		w := max(s.WarmupSteps, 1)
		return math.Sqrt(float64(w) / float64(w+after))
	case Step:
		return power(s.Gamma, after/s.StepSize)
	case Exponential:
		return power(s.Gamma, after/max(s.StepSize, 1))
	default:
		return 1
	}
}

// progress returns the share of the schedule that is done, in [0, 1]. The last of n
// steps is not at 1: n steps cut [0, 1] into n parts.
func (s Schedule) progress(after uint64) float64 {
	if s.TotalSteps <= s.WarmupSteps {
		return 1
	}
	return min(float64(after)/float64(s.TotalSteps-s.WarmupSteps), 1)
}

// descend maps 1..0 to 1..MinFactor.
func (s Schedule) descend(remaining float64) float64 {
	return s.MinFactor + float64((1-s.MinFactor)*remaining)
}

func (s Schedule) restartingCosine(after uint64) float64 {
	p := s.progress(after)
	if p >= 1 {
		return s.MinFactor
	}
	cycle := float64(p * float64(s.Cycles))
	begun := math.Floor(cycle)
	if s.ExactCycles {
		begun = float64(s.cyclesBegun(after))
	}
	// Because of rounding, cycle may be on the wrong side of an integer.
	return s.descend(halfCosine(min(max(cycle-begun, 0), 1)))
}

// cyclesBegun returns the number of whole periods of cosine_with_restarts before a
// step: after*Cycles/length, rounded down.
func (s Schedule) cyclesBegun(after uint64) uint64 {
	hi, lo := bits.Mul64(after, s.Cycles)
	begun, _ := bits.Div64(hi, lo, s.TotalSteps-s.WarmupSteps) // after < length, so it fits
	return begun
}

func halfCosine(progress float64) float64 {
	return float64(0.5 * (1 + detmath.Cos(float64(math.Pi*progress))))
}

// power returns x^n by squaring, in a fixed order of float64 products.
func power(x float64, n uint64) float64 {
	result := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result *= x
		}
		x *= x
	}
	return result
}

// Validate fails with a *fault.FieldError, or several of them joined, unless the value is
// finite and above 0 and the schedule is complete.
func (l LearningRate) Validate() error {
	v := float64(l.Value)
	var errs []error
	if math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 {
		errs = append(errs, &fault.FieldError{Field: "config.learning_rate", Value: fmt.Sprint(l.Value),
			Problem: "must be a finite number above 0", Fix: "use a value such as 0.001"})
	}
	if err := l.Schedule.Validate(); err != nil {
		errs = append(errs, err)
	}
	return join(errs)
}

// Validate fails with a *fault.FieldError, or several of them joined, if a parameter that
// the schedule needs is missing or out of range.
func (s Schedule) Validate() error {
	var errs []error
	bad := func(field string, value any, problem, fix string) {
		errs = append(errs, &fault.FieldError{Field: "config.schedule." + field, Value: fmt.Sprint(value), Problem: problem, Fix: fix})
	}
	if math.IsNaN(s.MinFactor) || s.MinFactor < 0 || s.MinFactor > 1 {
		bad("min_factor", s.MinFactor, "must be in [0, 1]", "use 0 to decay to nothing")
	}
	switch s.Name {
	case Constant:
		if s.WarmupSteps > 0 {
			bad("warmup_steps", s.WarmupSteps, "does not fit constant, which has no warm-up", "use the schedule constant_with_warmup")
		}
	case ConstantWithWarmup, Linear, Cosine, InverseSqrt:
	case ReduceOnPlateau:
		if !(s.Gamma > 0 && s.Gamma < 1) {
			bad("gamma", s.Gamma, "must be in (0, 1)", "use a factor such as 0.1")
		}
		if !(s.Threshold >= 0 && s.Threshold < 1) {
			bad("threshold", s.Threshold, "must be in [0, 1)", "use a share such as 0.0001")
		}
	case CosineWithRestarts:
		if s.Cycles == 0 {
			bad("cycles", s.Cycles, "must be at least 1", "use the number of cosine periods of the run, such as 3")
		}
	case Polynomial:
		if !(s.Power > 0 && s.Power <= MaxPower) {
			bad("power", s.Power, fmt.Sprintf("must be above 0 and at most %d", MaxPower), "use 1 for a straight line, 2 for a parabola")
		}
	case Step, Exponential:
		if !(s.Gamma > 0 && s.Gamma <= 1) {
			bad("gamma", s.Gamma, "must be in (0, 1]", "use a factor such as 0.1")
		}
		if s.Name == Step && s.StepSize == 0 {
			bad("step_size", s.StepSize, "must be at least 1", "use the number of steps between two multiplications by gamma, such as 1000")
		}
	default:
		bad("name", s.Name, "is not a known schedule", fmt.Sprintf("use one of %v", ScheduleNames()))
	}
	return join(errs)
}

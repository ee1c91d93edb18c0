package training

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reprise/fault"
)

// reference is the textbook formula of each schedule in plain float64.
func reference(s Schedule, step uint64) float64 {
	if step < s.WarmupSteps {
		return float64(step+1) / float64(s.WarmupSteps)
	}
	after := float64(step - s.WarmupSteps)
	p := math.Min(after/float64(s.TotalSteps-s.WarmupSteps), 1)
	switch s.Name {
	case Linear:
		return s.MinFactor + (1-s.MinFactor)*(1-p)
	case Cosine:
		return s.MinFactor + (1-s.MinFactor)*(1+math.Cos(math.Pi*p))/2
	case CosineWithRestarts:
		if p >= 1 {
			return s.MinFactor
		}
		n := new(big.Int).SetUint64(s.TotalSteps - s.WarmupSteps)
		phase := new(big.Int).SetUint64(step - s.WarmupSteps)
		phase.Mod(phase.Mul(phase, new(big.Int).SetUint64(s.Cycles)), n)
		f, _ := new(big.Rat).SetFrac(phase, n).Float64()
		return s.MinFactor + (1-s.MinFactor)*(1+math.Cos(math.Pi*f))/2
	case Polynomial:
		return s.MinFactor + (1-s.MinFactor)*math.Pow(1-p, s.Power)
	case InverseSqrt:
		w := math.Max(float64(s.WarmupSteps), 1)
		return math.Sqrt(w / (w + after))
	case Step:
		return math.Pow(s.Gamma, math.Floor(after/float64(s.StepSize)))
	case Exponential:
		return math.Pow(s.Gamma, math.Floor(after/math.Max(float64(s.StepSize), 1)))
	default:
		return 1
	}
}

func drawSchedule(t *rapid.T) Schedule {
	s := Schedule{
		Name:        rapid.SampledFrom(ScheduleNames()).Draw(t, "name"),
		TotalSteps:  rapid.Uint64Range(2, 5000).Draw(t, "total"),
		MinFactor:   rapid.Float64Range(0, 1).Draw(t, "min"),
		Cycles:      rapid.Uint64Range(1, 6000).Draw(t, "cycles"),
		ExactCycles: true,
		Power:       rapid.Float64Range(0.1, 4).Draw(t, "power"),
		StepSize:    rapid.Uint64Range(1, 500).Draw(t, "step size"),
		Gamma:       rapid.Float64Range(0.5, 0.999).Draw(t, "gamma"),
	}
	if s.Name != Constant {
		s.WarmupSteps = rapid.Uint64Range(0, s.TotalSteps-1).Draw(t, "warmup")
	}
	return s
}

func TestSchedulesFollowTheirFormulas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		step := rapid.Uint64Range(0, s.TotalSteps+10).Draw(t, "step")
		got, want := s.Factor(step), reference(s, step)
		if math.Abs(got-want) > 1e-9 || got < 0 || got > 1+1e-12 {
			t.Fatalf("%+v at %d: %v, want %v", s, step, got, want)
		}
	})
}

// Every period begins with the full rate and ends low, however many there are.
// Counted in float64, as recorded by earlier releases, 22 periods miss one.
func TestEveryCycleOfACosineBeginsWithTheFullRate(t *testing.T) {
	for cycles := uint64(1); cycles <= 300; cycles++ {
		for _, each := range []uint64{2, 3, 7, 10} {
			s := Schedule{Name: CosineWithRestarts, TotalSteps: cycles * each, Cycles: cycles, ExactCycles: true}
			for c := range cycles {
				if got := s.Factor(c * each); got != 1 {
					t.Fatalf("%d cycles of %d steps: cycle %d begins with %v", cycles, each, c, got)
				}
				if got := s.Factor(c*each + each - 1); got > 0.51 {
					t.Fatalf("%d cycles of %d steps: cycle %d ends with %v", cycles, each, c, got)
				}
			}
		}
	}
	s := Schedule{Name: CosineWithRestarts, TotalSteps: 198, Cycles: 22}
	if got := s.Factor(135); got > 1e-12 {
		t.Errorf("22 cycles as recorded before: cycle 15 begins with %v, want about 0", got)
	}
	if s.ExactCycles = true; s.Factor(135) != 1 {
		t.Errorf("22 cycles: cycle 15 begins with %v, want 1", s.Factor(135))
	}
}

// Where the two ways to count agree on the period, they give the same bits.
func TestExactCyclesChangeNoOtherRate(t *testing.T) {
	differ := 0
	for cycles := uint64(1); cycles <= 60; cycles++ {
		s := Schedule{Name: CosineWithRestarts, TotalSteps: cycles * 13, Cycles: cycles, MinFactor: 0.1}
		exact := s
		exact.ExactCycles = true
		for step := range s.TotalSteps {
			if a, b := s.Factor(step), exact.Factor(step); a != b {
				if differ++; cycles < 22 || step*cycles%s.TotalSteps != 0 || b != 1 {
					t.Errorf("%d cycles, step %d: %v and %v", cycles, step, a, b)
				}
			}
		}
	}
	if differ == 0 {
		t.Error("no rate differs: the test does not reach what it is for")
	}
}

// At the points where a schedule turns, its factor is exact.
func TestSchedulesAreExactWhereTheyTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		if got := s.Factor(s.WarmupSteps); got != 1 {
			t.Fatalf("%+v: %v after the warm-up, want 1", s, got)
		}
		if s.WarmupSteps > 0 && s.Factor(s.WarmupSteps-1) != 1 {
			t.Fatalf("%+v: the warm-up ends with %v", s, s.Factor(s.WarmupSteps-1))
		}
		switch s.Name {
		case Linear, Cosine, CosineWithRestarts, Polynomial:
			if got := s.Factor(s.TotalSteps); got != s.MinFactor {
				t.Fatalf("%+v: ends with %v, want %v", s, got, s.MinFactor)
			}
		case Step, Exponential:
			n := rapid.Uint64Range(1, 20).Draw(t, "multiplications")
			at := s.WarmupSteps + n*s.StepSize
			if before, now := s.Factor(at-1), s.Factor(at); !(now < before) || now != power(s.Gamma, n) || before != power(s.Gamma, n-1) {
				t.Fatalf("%+v: %v before step %d and %v at it", s, before, at, now)
			}
		default: // nothing turns after the warm-up
		}
	})
}

func TestLearningRateOfTheRequestAndItsDecay(t *testing.T) {
	l := LearningRate{Value: 0.001, Schedule: Schedule{Name: Cosine, WarmupSteps: 100, TotalSteps: 1407}}
	for step, want := range map[uint64]float64{0: 0.00001, 49: 0.0005, 99: 0.001, 100: 0.001, 1406: 1.44e-9} {
		if got := float64(l.At(step)); math.Abs(got-want) > want*1e-2 {
			t.Errorf("rate at step %d = %g, want about %g", step, got, want)
		}
	}
	decayed := l.Decay(49)
	if decayed.At(0) != l.At(49) || decayed.At(1000) != l.At(49) {
		t.Errorf("Decay(49) = %v", decayed)
	}
}

func TestLearningRateErrorsNameFieldValueAndFix(t *testing.T) {
	ok := Schedule{Name: Constant}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		rate  LearningRate
		field string
		value string
	}{
		{LearningRate{nan, ok}, "config.learning_rate", "NaN"},
		{LearningRate{inf, ok}, "config.learning_rate", "+Inf"},
		{LearningRate{-1, ok}, "config.learning_rate", "-1"},
		{LearningRate{0, ok}, "config.learning_rate", "0"},
		{LearningRate{1, Schedule{Name: "cosinus"}}, "config.schedule.name", "cosinus"},
		{LearningRate{1, Schedule{Name: Constant, WarmupSteps: 9}}, "config.schedule.warmup_steps", "9"},
		{LearningRate{1, Schedule{Name: Linear, MinFactor: 2}}, "config.schedule.min_factor", "2"},
		{LearningRate{1, Schedule{Name: CosineWithRestarts}}, "config.schedule.cycles", "0"},
		{LearningRate{1, Schedule{Name: Polynomial, Power: math.NaN()}}, "config.schedule.power", "NaN"},
		{LearningRate{1, Schedule{Name: Step, Gamma: 0.5}}, "config.schedule.step_size", "0"},
		{LearningRate{1, Schedule{Name: Exponential, Gamma: 1.5}}, "config.schedule.gamma", "1.5"},
	}
	for _, c := range cases {
		err := c.rate.Validate()
		var field *fault.FieldError
		if !errors.As(err, &field) {
			t.Errorf("%+v: %v, want a *fault.FieldError", c.rate, err)
			continue
		}
		if field.Field != c.field || field.Value != c.value || field.Problem == "" || field.Fix == "" {
			t.Errorf("%+v: %+v", c.rate, field)
		}
		if !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), c.value) {
			t.Errorf("the message %q lacks field or value", err)
		}
	}
}

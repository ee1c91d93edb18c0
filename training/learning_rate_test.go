package training

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
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
		_, f := math.Modf(p * float64(s.Cycles))
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
		Name:       rapid.SampledFrom(ScheduleNames()).Draw(t, "name"),
		TotalSteps: rapid.Uint64Range(2, 5000).Draw(t, "total"),
		MinFactor:  rapid.Float64Range(0, 1).Draw(t, "min"),
		Cycles:     rapid.Uint64Range(1, 5).Draw(t, "cycles"),
		Power:      rapid.Float64Range(0.1, 4).Draw(t, "power"),
		StepSize:   rapid.Uint64Range(1, 500).Draw(t, "step size"),
		Gamma:      rapid.Float64Range(0.5, 0.999).Draw(t, "gamma"),
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
		{LearningRate{1, Schedule{Name: Cosine, WarmupSteps: 9, TotalSteps: 9}}, "config.schedule.warmup_steps", "9"},
		{LearningRate{1, Schedule{Name: Constant, WarmupSteps: 9}}, "config.schedule.warmup_steps", "9"},
		{LearningRate{1, Schedule{Name: Linear, MinFactor: 2}}, "config.schedule.min_factor", "2"},
		{LearningRate{1, Schedule{Name: CosineWithRestarts}}, "config.schedule.cycles", "0"},
		{LearningRate{1, Schedule{Name: Polynomial, Power: math.NaN()}}, "config.schedule.power", "NaN"},
		{LearningRate{1, Schedule{Name: Step, Gamma: 0.5}}, "config.schedule.step_size", "0"},
		{LearningRate{1, Schedule{Name: Exponential, Gamma: 1.5}}, "config.schedule.gamma", "1.5"},
	}
	for _, c := range cases {
		err := c.rate.Validate()
		var field *FieldError
		if !errors.As(err, &field) {
			t.Errorf("%+v: %v, want a *FieldError", c.rate, err)
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

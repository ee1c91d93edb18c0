package metrics

import "math"

// MaxKept is the most numbers that a tally keeps: 128 MiB of them. Of classes, each sample
// has as many as there are classes; of a quantity, two.
const MaxKept = 1 << 24

// sum adds numbers and carries the rounding errors along (Neumaier, "Rundungsfehleranalyse
// einiger Verfahren zur Summation endlicher Summen", 1974). The zero value is 0.
type sum struct{ total, lost float64 }

func (s *sum) add(v float64) {
	t := s.total + v
	if math.Abs(s.total) >= math.Abs(v) {
		s.lost += (s.total - t) + v
	} else {
		s.lost += (v - t) + s.total
	}
	s.total = t
}

func (s *sum) value() float64 { return s.total + s.lost }

// defined returns a figure, or nil for one that is not finite.
func defined(v float64) *float64 {
	if v-v != 0 {
		return nil
	}
	return &v
}

// ratio returns a/b, or nil if b is 0.
func ratio(a, b int) *float64 {
	if b == 0 {
		return nil
	}
	return defined(float64(a) / float64(b))
}

// orZero returns the figure, or 0 if there is none.
func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

package plot

import (
	"math"
	"slices"
	"strconv"

	"reprise/internal/figures"
)

// scale maps the values of an axis to shares of its length.
type scale struct {
	min, max float64
	log      bool
	ticks    []tick
}

// tick is a marked value of an axis. A minor one has no label.
type tick struct {
	value float64
	label string
}

// The bounds of values and of the length of an axis, so that both can be divided by.
const (
	largest  = 8e307
	smallest = 1e-290
)

// newScale returns the scale that fits an axis and its values, with about as many ticks as given.
func newScale(a Axis, values []float64, ticks int) scale {
	s := scale{min: a.Min, max: a.Max}
	if !a.Fixed {
		s.fit(a, values)
	}
	if s.log {
		s.ticks = logTicks(s.min, s.max, ticks)
	} else {
		s.ticks = linearTicks(s.min, s.max, ticks, a.Whole)
	}
	return s
}

// fit sets the ends of the axis, and whether it is logarithmic.
func (s *scale) fit(a Axis, values []float64) {
	finite := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return !(math.Abs(v) <= largest) })
	if len(finite) == 0 {
		s.min, s.max = 0, 1
		return
	}
	s.min, s.max = slices.Min(finite), slices.Max(finite)
	const decades = 100
	if a.Log && s.min > smallest && s.max/decades > s.min {
		s.log = true
		room := math.Exp((math.Log(s.max) - math.Log(s.min)) / 25)
		s.min, s.max = s.min/room, math.Min(s.max*room, math.MaxFloat64)
		return
	}
	if s.max/2-s.min/2 < smallest {
		room := math.Abs(s.min) / 10
		if room < smallest {
			room = 1
		}
		s.min, s.max = s.min-room, s.max+room
		return
	}
	if a.Whole { // steps and epochs begin and end at the edges
		return
	}
	room := (s.max/2 - s.min/2) / 12
	lowest := s.min
	if s.min, s.max = s.min-room, s.max+room; lowest >= 0 && s.min < 0 {
		s.min = 0
	}
}

func (s scale) shows(v float64) bool {
	slack := (s.max/2 - s.min/2) * 1e-9
	if s.log {
		slack = 0
	}
	return v >= s.min-slack && v <= s.max+slack
}

// at returns where a value is, as a share of the length of the axis.
func (s scale) at(v float64) float64 {
	if s.log {
		return (math.Log(v) - math.Log(s.min)) / (math.Log(s.max) - math.Log(s.min))
	}
	return (v/2 - s.min/2) / (s.max/2 - s.min/2)
}

// linearTicks returns multiples of 1, 2 or 5 times a power of ten.
func linearTicks(low, high float64, most int, whole bool) (list []tick) {
	span := high/2 - low/2
	if !(span > 0) || most < 1 {
		return nil
	}
	step := niceStep(span/float64(most)*2, whole)
	first := math.Ceil(low/step - 1e-9)
	for i := 0.0; i < 100; i++ {
		v := (first + i) * step
		if v > high+step*1e-9 {
			break
		}
		list = append(list, tick{v, linearLabel(v, step)})
	}
	return list
}

// niceStep returns the smallest of 1, 2 and 5 times a power of ten that is at least a
// distance.
func niceStep(distance float64, whole bool) float64 {
	if whole && distance <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(distance)))
	for _, m := range [...]float64{1, 2, 5} {
		if m*power >= distance*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// linearLabel writes a tick with the digits that tell it from its neighbours.
func linearLabel(v, step float64) string {
	digits := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	switch size := math.Max(math.Abs(v), step); {
	case math.Abs(v) < step/2:
		return "0"
	case size >= 1e7 || digits > 5:
		return exponent(v, max(0, int(math.Floor(math.Log10(size)+1e-9))-int(math.Floor(math.Log10(step)+1e-9))))
	case digits == 0:
		return figures.Thousands(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// exponent writes a number with a power of ten: 2.5e-7.
func exponent(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'e', digits, 64)
	mantissa, power := s[:slices.Index([]byte(s), 'e')], s[slices.Index([]byte(s), 'e')+1:]
	n, err := strconv.Atoi(power)
	if err != nil {
		return s // it cannot be
	}
	return mantissa + "e" + strconv.Itoa(n)
}

// logTicks returns powers of ten, and where there are few of them 2 and 5 times these.
func logTicks(low, high float64, most int) (list []tick) {
	first, last := int(math.Ceil(math.Log10(low)-1e-9)), int(math.Floor(math.Log10(high)+1e-9))
	decades := last - first + 1
	every := max(1, (decades+most-1)/max(most, 1))
	for d := first - 1; d <= last; d++ {
		for _, m := range [...]float64{1, 2, 5} {
			v := m * math.Pow(10, float64(d))
			if v < low || v > high {
				continue
			}
			switch {
			case m == 1 && (d-first)%every == 0, m > 1 && 3*decades <= most+1:
				list = append(list, tick{v, logLabel(v)})
			case decades <= most:
				list = append(list, tick{value: v})
			}
		}
	}
	return list
}

func logLabel(v float64) string {
	switch {
	case v >= 1e7 || v < 0.99e-4:
		return exponent(v, 0)
	case v >= 1:
		return figures.Thousands(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 1, 64)
}

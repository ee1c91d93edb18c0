package columns

import (
	"math"
	"strings"
	"time"

	"reprise/dataset/table"
)

// Date returns the time in a cell in seconds since 1970-01-01 UTC; ok is false if it
// holds none. A time without an offset is taken for UTC.
func (f Format) Date(c table.Cell) (seconds float64, ok bool) {
	switch c.Kind {
	case table.Time:
		return secondsOf(c.Time)
	case table.Text:
		text := strings.TrimSpace(c.Text)
		if f.Pattern != "" {
			return parsePattern(f.Pattern, text)
		}
		return parseISO(text)
	case table.Integer, table.Number, table.Missing, table.Boolean:
		if f.Pattern != "" && c.Kind == table.Integer { // 20240131
			return parsePattern(f.Pattern, Label(c))
		}
	}
	return 0, false
}

func secondsOf(t time.Time) (float64, bool) {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return 0, false
	}
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
}

// TimeOf is the reverse of Format.Date, to the microsecond.
func TimeOf(seconds float64) time.Time {
	whole := math.Floor(seconds)
	micros := math.Round(float64((seconds - whole) * 1e6))
	return time.Unix(int64(whole), int64(micros)*1000).UTC()
}

// scanner reads a text from its start.
type scanner struct {
	rest string
	bad  bool
}

// digits reads a number of exactly n digits.
func (s *scanner) digits(n int) int {
	if len(s.rest) < n {
		s.bad = true
		return 0
	}
	v := 0
	for _, c := range []byte(s.rest[:n]) {
		if c < '0' || c > '9' {
			s.bad = true
			return 0
		}
		v = 10*v + int(c-'0')
	}
	s.rest = s.rest[n:]
	return v
}

// next reads one of some bytes, and returns 0 if another one follows.
func (s *scanner) next(any string) byte {
	if s.rest == "" || strings.IndexByte(any, s.rest[0]) < 0 {
		return 0
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	return c
}

// clock is a date and a time of day.
type clock struct{ year, month, day, hour, minute, second, nanosecond, offset int }

// seconds fails for days that no calendar has, such as February 30.
func (c clock) seconds() (float64, bool) {
	if c.year < 1 || c.month < 1 || c.month > 12 || c.day < 1 || c.hour > 23 || c.minute > 59 || c.second > 59 {
		return 0, false
	}
	t := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.second, c.nanosecond, time.UTC)
	if t.Day() != c.day {
		return 0, false
	}
	return secondsOf(t.Add(-time.Duration(c.offset) * time.Second))
}

// parseISO reads the notation that the package comment describes.
func parseISO(text string) (float64, bool) {
	if len(text) < len("2006-01-02") || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	s := scanner{rest: text}
	var c clock
	c.year = s.digits(4)
	separator := s.next("-/")
	c.month = s.digits(2)
	s.bad = s.bad || separator == 0 || s.next(string(separator)) == 0
	c.day = s.digits(2)
	if s.rest != "" && s.next("T ") != 0 {
		s.timeOfDay(&c)
	}
	if s.bad || s.rest != "" {
		return 0, false
	}
	return c.seconds()
}

func (s *scanner) timeOfDay(c *clock) {
	c.hour = s.digits(2)
	s.bad = s.bad || s.next(":") == 0
	c.minute = s.digits(2)
	if s.next(":") != 0 {
		c.second = s.digits(2)
		if s.next(".") != 0 {
			s.fraction(c)
		}
	}
	switch sign := s.next("Z+-"); sign {
	case '+', '-':
		c.offset = 3600 * s.digits(2)
		s.next(":")
		c.offset += 60 * s.digits(2)
		if sign == '-' {
			c.offset = -c.offset
		}
	}
}

// fraction reads one to nine digits of a second.
func (s *scanner) fraction(c *clock) {
	unit, n := 100_000_000, 0
	for ; n < 9 && s.rest != "" && s.rest[0] >= '0' && s.rest[0] <= '9'; n++ {
		c.nanosecond += int(s.rest[0]-'0') * unit
		unit /= 10
		s.rest = s.rest[1:]
	}
	s.bad = s.bad || n == 0
}

// patternTokens returns the tokens of a pattern, each of as many digits as letters.
func patternTokens() [6]string { return [...]string{"YYYY", "MM", "DD", "hh", "mm", "ss"} }

// checkPattern says what is wrong with a pattern; "" if nothing is.
func checkPattern(pattern string) string {
	for i, token := range patternTokens() {
		switch n := strings.Count(pattern, token); {
		case n == 0 && i < 3:
			return "has no " + token
		case n > 1:
			return "has " + token + " twice"
		}
	}
	if strings.Contains(pattern, "mm") && !strings.Contains(pattern, "hh") {
		return "has minutes without hours (the month is MM)"
	}
	return ""
}

// parsePattern reads a text that has a pattern.
func parsePattern(pattern, text string) (float64, bool) {
	s := scanner{rest: text}
	var c clock
	fields := [...]*int{&c.year, &c.month, &c.day, &c.hour, &c.minute, &c.second}
scan:
	for pattern != "" {
		for i, token := range patternTokens() {
			if rest, ok := strings.CutPrefix(pattern, token); ok {
				*fields[i] = s.digits(len(token))
				pattern = rest
				continue scan
			}
		}
		if s.next(pattern[:1]) == 0 {
			return 0, false
		}
		pattern = pattern[1:]
	}
	if s.bad || s.rest != "" {
		return 0, false
	}
	return c.seconds()
}

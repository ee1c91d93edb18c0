package columns

import (
	"cmp"
	"math"
	"regexp"
	"strings"

	"reprise/dataset/imagefile"
	"reprise/dataset/number"
	"reprise/dataset/table"
)

// Example is a cell that stands for others, and where the first of them is.
type Example struct {
	Text  string
	Place table.Place
	Count int
}

func (e *Example) add(c table.Cell, p table.Place) {
	if e.Count++; e.Count == 1 {
		e.Text, e.Place = Label(c), p
	}
}

// Profile is what was counted in a column. All counts but Rows and Missing are of the
// cells that are not missing.
type Profile struct {
	Name    string
	Rows    int
	Missing Example
	// Distinct is the number of different values, at most MaxCategories+1.
	Distinct int
	// Numbers and Dates are in the format that the request names, if it names one.
	// Wholes are whole numbers, Booleans what Format.Boolean takes for one.
	Numbers, Wholes, Dates, Booleans int
	// The cells that are none.
	NotNumbers, NotDates, NotBooleans Example
	// Words counts those of the texts.
	Words int
	// Images counts the texts that end as the names of images do.
	Images int
	// Low and High are the smallest and the largest number.
	Low, High float64

	noImages bool
	spec     Spec
	distinct map[string]int // nil once there are too many
	pairs    [4]int         // of booleans
	counting bool           // whole numbers from 0 or 1, each one more than the one before
	previous float64
	guesses  map[Format]*Example // other notations, by what would read them
	others   map[string]*Example // the first few texts that are not numbers
	lost     float64             // how far a float64 may be off the whole number in a cell
	lostAt   Example
}

// Present returns the number of cells that are not missing.
func (p *Profile) Present() int { return p.Rows - p.Missing.Count }

// maxDistinctBytes bounds what a Profiler remembers of all columns together.
const maxDistinctBytes = 256 << 20

// Profiler counts what is in the columns of a table, in memory that does not grow with
// its rows beyond a bound.
type Profiler struct {
	missing Missing
	columns []Profile
	bytes   int // of remembered values
}

// NewProfiler returns a profiler for columns of these names.
func NewProfiler(names []string, options Options) *Profiler {
	p := &Profiler{missing: NewMissing(options.Missing), columns: make([]Profile, len(names))}
	for i, name := range names {
		p.columns[i] = Profile{Name: name, spec: options.Columns[name], noImages: options.NoImages, distinct: map[string]int{}, counting: true,
			Low: math.Inf(1), High: math.Inf(-1)}
	}
	return p
}

// Add counts the cells of a row.
func (p *Profiler) Add(at table.Place, row []table.Cell) {
	for i, c := range row {
		column := &p.columns[i]
		column.Rows++
		if p.missing.Is(c) {
			column.Missing.add(c, at)
			continue
		}
		p.remember(column, c)
		column.add(c, at)
	}
}

// Profiles returns what was counted, in the order of the columns.
func (p *Profiler) Profiles() []Profile { return p.columns }

// remember counts different values.
func (p *Profiler) remember(column *Profile, c table.Cell) {
	if column.distinct == nil {
		return
	}
	label := Label(c)
	if n, ok := column.distinct[label]; ok {
		column.distinct[label] = n + 1
		return
	}
	const entry = 48 // bytes of a map for each, about
	p.bytes += len(label) + entry
	column.Distinct++
	if column.Distinct > MaxCategories || p.bytes > maxDistinctBytes {
		column.Distinct, column.distinct = MaxCategories+1, nil
		return
	}
	column.distinct[strings.Clone(label)] = 1
}

func (p *Profile) add(c table.Cell, at table.Place) {
	if v, ok := p.spec.Number(c); ok {
		p.Numbers++
		p.addNumber(c, at, v)
	} else {
		p.NotNumbers.add(c, at)
		p.addOther(c, at)
		p.counting = false
	}
	if _, ok := p.spec.Date(c); ok {
		p.Dates++
	} else {
		p.NotDates.add(c, at)
	}
	if _, ok := p.spec.Boolean(c); ok {
		p.Booleans++
	} else {
		p.NotBooleans.add(c, at)
	}
	switch c.Kind {
	case table.Boolean:
		p.pairs[0]++
	case table.Text:
		text := strings.TrimSpace(c.Text)
		if pair, _, ok := booleanText(text); ok {
			p.pairs[pair]++
		}
		p.Words += countWords(text)
		if !p.noImages && imagefile.HasEnding(text) {
			p.Images++
		}
	case table.Missing, table.Integer, table.Number, table.Time:
	}
}

func (p *Profile) addNumber(c table.Cell, at table.Place, v float64) {
	whole := v == math.Trunc(v)
	if whole {
		p.Wholes++
	}
	p.counting = p.counting && whole && (p.Numbers == 1 && (v == 0 || v == 1) || p.Numbers > 1 && v == p.previous+1)
	p.previous = v
	p.Low, p.High = min(p.Low, v), max(p.High, v)
	if lost := lostDigits(c, v); lost > p.lost {
		p.lost, p.lostAt = lost, Example{Text: Label(c), Place: at, Count: 1}
	}
}

// lostDigits returns how far a float64 may be off the whole number in a cell.
func lostDigits(c table.Cell, v float64) float64 {
	switch {
	case c.Kind == table.Text:
		return number.LostDigits(strings.TrimSpace(c.Text), v)
	case c.Kind == table.Integer && int64(v) != c.Integer:
		return math.Nextafter(math.Abs(v), math.Inf(1)) - math.Abs(v)
	}
	return 0
}

// maxOthers bounds how many texts among numbers are remembered.
const maxOthers = 5

// addOther remembers a cell that is not a number.
func (p *Profile) addOther(c table.Cell, at table.Place) {
	label := Label(c)
	if e, ok := p.others[label]; ok {
		e.add(c, at)
	} else if len(p.others) < maxOthers {
		if p.others == nil {
			p.others = map[string]*Example{}
		}
		e := &Example{}
		e.add(c, at)
		p.others[strings.Clone(label)] = e
	}
	if c.Kind != table.Text {
		return
	}
	if f, ok := guess(label); ok {
		if p.guesses == nil {
			p.guesses = map[Format]*Example{}
		}
		e, ok := p.guesses[f]
		if !ok {
			e = &Example{}
			p.guesses[f] = e
		}
		e.add(c, at)
	}
}

// countWords returns how many words a text has.
func countWords(text string) int {
	n, inside := 0, false
	for _, c := range []byte(text) {
		space := c <= ' '
		if !space && !inside {
			n++
		}
		inside = !space
	}
	return n
}

// otherNumber matches numbers with a currency, a percent sign or separators.
var otherNumber = regexp.MustCompile(`^[-+]?\s?([$€£¥₹]|[A-Z]{3}\s)?\s?[-+]?(\d[\d.,'_ ]*)(\s?[%$€£¥₹]|\s[A-Z]{3})?$`)

// guess returns a format that would read a text as a number or a date, where the text
// looks like one; ok is false if none does.
func guess(text string) (f Format, ok bool) {
	const longest = 40
	if len(text) < 2 || len(text) > longest || !strings.ContainsAny(text, "0123456789") {
		return Format{}, false
	}
	if f, ok := guessDate(text); ok {
		return f, true
	}
	m := otherNumber.FindStringSubmatch(text)
	if m == nil || m[1] != "" && m[3] != "" {
		return Format{}, false
	}
	f.Unit = strings.TrimSpace(m[1] + m[3])
	digits := strings.TrimRight(m[2], " ")
	comma, point := strings.Count(digits, ","), strings.Count(digits, ".")
	switch last := max(strings.LastIndex(digits, ","), strings.LastIndex(digits, ".")); {
	case comma > 0 && point > 0 && digits[last] == '.', comma > 1, comma == 1 && point == 0 && isGroup(digits, last):
		f.Thousands = ","
	case comma > 0 && point > 0, point > 1:
		f.Thousands, f.Decimal = ".", ","
	case comma == 1:
		f.Decimal = ","
	case strings.Contains(digits, " "):
		f.Thousands = " "
	case strings.Contains(digits, "'"):
		f.Thousands = "'"
	case strings.Contains(digits, "_"):
		f.Thousands = "_"
	}
	_, ok = f.Number(table.Cell{Kind: table.Text, Text: text})
	return f, ok && f != Format{}
}

// isGroup reports whether a separator is before the last of groups of three digits.
func isGroup(digits string, at int) bool {
	return len(digits)-at-1 == 3 && at >= 1 && at <= 3 && digits[0] != '0'
}

// guessDate tells dates such as 31.12.2024, of which day and month may be in either
// order.
func guessDate(text string) (Format, bool) {
	for _, pattern := range []string{"DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "MM-DD-YYYY", "YYYY.MM.DD"} {
		for _, clock := range []string{"", " hh:mm", " hh:mm:ss"} {
			if _, ok := parsePattern(pattern+clock, text); ok {
				return Format{Pattern: pattern + clock}, true
			}
		}
	}
	return Format{}, false
}

// guessed returns the format that would read the cells in another notation, and the
// first of them; ok is false if there are none, or they do not agree.
func (p *Profile) guessed() (f Format, example Example, ok bool) {
	for kind, e := range p.guesses {
		if example.Count == 0 || before(e.Place, example.Place) {
			example.Text, example.Place = e.Text, e.Place
		}
		example.Count += e.Count
		ok = ok || kind.Pattern != ""
	}
	if ok {
		return Format{Pattern: p.guessedPattern()}, example, true
	}
	units := map[string]bool{}
	for kind := range p.guesses {
		if kind.Unit != "" {
			units[kind.Unit] = true
		}
		f.Unit, f.Decimal = max(f.Unit, kind.Unit), max(f.Decimal, kind.Decimal)
	}
	for kind := range p.guesses {
		if kind.Thousands != f.Decimal { // 1,234 is 1.234 where another cell is 1,5
			f.Thousands = max(f.Thousands, kind.Thousands)
		}
	}
	return f, example, example.Count > 0 && len(units) <= 1
}

// guessedPattern returns the pattern of most dates. One that puts the month first is only
// guessed where a day shows it: where one does, that is the pattern of all of them.
func (p *Profile) guessedPattern() string {
	best, count := "", 0
	for kind, e := range p.guesses {
		n := e.Count
		if strings.HasPrefix(kind.Pattern, "MM") {
			n += p.Rows
		}
		if kind.Pattern != "" && (n > count || n == count && kind.Pattern < best) {
			best, count = kind.Pattern, n
		}
	}
	return best
}

func before(a, b table.Place) bool {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row)) < 0
}

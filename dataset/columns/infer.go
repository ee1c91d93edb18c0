package columns

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"reprise/dataset/number"
	"reprise/dataset/table"
	"reprise/internal/figures"
)

// Column is what a column means, and why.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// Reason is why it has the kind, as a phrase: "all 342 values are numbers".
	Reason string `json:"reason"`
	// Rows counts all cells, MissingCells those without a value, and Distinct the
	// different values of the others, where they are at most MaxCategories.
	Rows         int `json:"rows"`
	MissingCells int `json:"missing_cells"`
	Distinct     int `json:"distinct"`
	// Missing says what becomes of missing cells.
	Missing Fill `json:"missing"`
	// Format is how its values are written.
	Format Format `json:"format,omitzero"`
	// Text says how a text becomes tokens, and Encode how a category becomes features, as
	// the request does.
	Text   TextOptions `json:"text,omitzero"`
	Encode Encoding    `json:"encode,omitempty"`
	// Lost is how far a float64 may be off a whole number in the column, such as the
	// one at LostAt.
	Lost   float64 `json:"-"`
	LostAt Example `json:"-"`
}

// Fill says what becomes of the missing cells of a column.
type Fill struct {
	Strategy Strategy `json:"strategy,omitempty"`
	// Value is that of the strategy constant.
	Value string `json:"value,omitempty"`
	// Indicator adds a feature that is 1 where the cell is missing.
	Indicator bool `json:"indicator,omitempty"`
}

// Asked is the reason for a kind that the request gives a column.
const Asked = "the request says so"

// String says what becomes of missing cells, as a phrase: "replaced by the mean".
func (f Fill) String() string {
	text := ""
	switch f.Strategy {
	case Drop:
		return "the rows are left out"
	case Mean, Median:
		text = "replaced by the " + string(f.Strategy)
	case Constant:
		text = "replaced by " + quote(f.Value)
	case OwnCategory:
		text = "a category of their own"
	case Empty:
		text = "empty texts"
	}
	if f.Indicator {
		text += ", with an indicator"
	}
	return text
}

// Problem is what keeps a column from being used: some of its cells do not mean what
// the others do.
type Problem struct {
	Column string
	// Count is the number of such cells, and First the first of them.
	Count int
	First Example
	// Problem says what is wrong, in words that follow the value of a cell or the count
	// of cells, and Fix has the lines of a request that would settle it.
	Problem, Fix string
}

// manyWords is the average number of words from which texts are called prose.
const manyWords = 4

// Infer decides what a column means. Where it returns a problem, the column has the kind
// that fits best.
func (p *Profile) Infer() (Column, *Problem) {
	c := Column{
		Name: p.Name, Rows: p.Rows, MissingCells: p.Missing.Count, Distinct: p.Distinct, Format: p.spec.Format, Text: p.spec.TextOptions, Encode: p.spec.Encode,
		Lost: p.lost, LostAt: p.lostAt,
	}
	var problem *Problem
	if p.spec.Kind != "" {
		c.Kind, c.Reason = p.spec.Kind, Asked
		problem = p.checkAsked()
	} else {
		c.Kind, c.Reason, problem = p.infer()
	}
	c.Missing = p.fill(c.Kind)
	if problem == nil {
		problem = p.checkFill(c)
	}
	return c, problem
}

// InferAs is Infer for a column that the request gives a kind, whatever it says of it.
func (p *Profile) InferAs(kind Kind) (Column, *Problem) {
	as := *p
	as.spec.Kind, as.spec.Missing = kind, ""
	return as.Infer()
}

// infer applies the rules of the package comment.
func (p *Profile) infer() (Kind, string, *Problem) {
	present := p.Present()
	same := p.Distinct == 1
	switch {
	case present == 0:
		return Ignored, "no row has a value", nil
	case same && (p.Missing.Count == 0 || p.Numbers == present):
		return Ignored, fmt.Sprintf("every value is %s", quote(p.only())), nil
	case slices.Contains(p.pairs[:], present):
		return Boolean, fmt.Sprintf("all %s are true or false", figures.Plural(present, "value")), nil
	case p.Numbers == present:
		if reason := p.identifier(); reason != "" {
			return Ignored, reason, nil
		}
		return Number, fmt.Sprintf("all %s are numbers", figures.Plural(present, "value")), nil
	case p.Dates == present:
		return Date, fmt.Sprintf("all %s are dates", figures.Plural(present, "value")), nil
	}
	if p.Images == present {
		return Image, fmt.Sprintf("all %s are names of images", figures.Plural(present, "value")), nil
	}
	if kind, problem := p.mixed(); problem != nil {
		return kind, "most values are " + string(kind) + "s", problem
	}
	words := float64(p.Words) / float64(present)
	many := fmt.Sprint(p.Distinct)
	if p.Distinct > MaxCategories {
		many = fmt.Sprintf("more than %d", MaxCategories)
	}
	switch {
	case p.Distinct <= 100 && 2*p.Distinct <= present, p.Distinct <= 1000 && 20*p.Distinct <= present:
		return Category, fmt.Sprintf("%d different values in %s", p.Distinct, figures.Plural(present, "row")), nil
	case words >= manyWords:
		return Text, fmt.Sprintf("%.0f words on average", words), nil
	case p.Distinct == present:
		return Ignored, "every value is different: it names the rows", nil
	}
	return Ignored, fmt.Sprintf("%s different values in %s are too many for a category, unless the request says that it is one", many, figures.Plural(present, "row")), nil
}

// only returns the value of a column that has one.
func (p *Profile) only() string {
	for label := range p.distinct {
		return label
	}
	return ""
}

// identifier says why numbers tell rows apart rather than measure anything; "" if they
// do not seem to.
func (p *Profile) identifier() string {
	present := p.Present()
	switch {
	case p.Wholes < present || p.Missing.Count > 0 || present < 3:
		return ""
	case p.counting:
		return "the numbers count the rows"
	case isIDName(p.Name) && (p.Distinct == present || p.Distinct > MaxCategories):
		return "the name says that it names the rows, and every number is different"
	}
	return ""
}

func isIDName(name string) bool {
	lower := strings.ToLower(name)
	return lower == "id" || lower == "index" || strings.HasSuffix(lower, "_id") || strings.HasSuffix(lower, " id") || strings.HasSuffix(name, "Id")
}

// mixed finds a column of numbers or dates among which are other cells, and one of
// numbers or dates in another notation.
func (p *Profile) mixed() (Kind, *Problem) {
	present := p.Present()
	format, example, ok := p.guessed()
	if total := example.Count + p.Numbers; ok && format.Pattern == "" && 2*total > present {
		fix := p.line(Number, format)
		if total < present {
			fix += ", and missing: [TEXT] for what stands for a missing cell"
		}
		return Number, p.problem(example, "is a number in another notation", "are numbers in another notation", "write "+fix)
	}
	if ok && format.Pattern != "" && 10*(example.Count+p.Dates) >= 9*present {
		fix := "write " + p.line(Date, format)
		if strings.HasPrefix(format.Pattern, "DD") {
			fix += ", or " + strings.NewReplacer("DD", "MM", "MM", "DD").Replace(format.Pattern) + " if the month comes first"
		}
		return Date, p.problem(example, "is a date in another notation", "are dates in another notation", fix)
	}
	switch {
	case 2*p.Numbers >= present && p.Numbers > 0:
		return Number, p.problem(p.NotNumbers, notNumber(p.NotNumbers.Text)+", as most of the column are", "are not numbers, as most of the column are",
			"write "+p.missingFix(Number)+", or "+p.line(Category, Format{}))
	case 10*p.Dates >= 9*present:
		return Date, p.problem(p.NotDates, "is not a date, as most of the column are", "are not dates, as most of the column are",
			"write "+p.missingFix(Date)+", or "+p.line(Category, Format{}))
	}
	return "", nil
}

// checkAsked finds cells that are not of the kind that the request gives the column.
func (p *Profile) checkAsked() *Problem {
	var none Example
	var what, plural string
	switch p.spec.Kind {
	case Number:
		none, what, plural = p.NotNumbers, notNumber(p.NotNumbers.Text), "numbers"
	case Boolean:
		none, what, plural = p.NotBooleans, "is not true or false", "true or false"
	case Date:
		none, what, plural = p.NotDates, "is not a date", "dates"
	case Category:
		if p.Distinct > MaxCategories {
			return &Problem{Column: p.Name, Problem: fmt.Sprintf("has more than %d different values", MaxCategories), Fix: "write " + p.line(Ignored, Format{})}
		}
		return nil
	case Text, Image, Ignored:
		return nil
	}
	if none.Count == 0 {
		return nil
	}
	fix := "write " + p.missingFix(p.spec.Kind)
	if f, example, ok := p.guessed(); ok && example.Count == none.Count && (f.Pattern != "") == (p.spec.Kind == Date) && p.spec.Format == (Format{}) {
		fix = "write " + p.line(p.spec.Kind, f)
	}
	if p.spec.Kind != Date || p.spec.Pattern == "" {
		fix += ", or give the column another kind"
	}
	return p.problem(none, what, "are not "+plural, fix)
}

// notNumber says why a cell is not taken for a number.
func notNumber(text string) string {
	switch {
	case number.NotFinite(text):
		return "is not a finite number"
	case number.Is(text):
		return "is not a number that a 32-bit float can hold"
	}
	return "is not a number"
}

func (p *Profile) problem(first Example, one, several, fix string) *Problem {
	words := one
	if first.Count > 1 {
		words = several
	}
	return &Problem{Column: p.Name, Count: first.Count, First: first, Problem: words, Fix: fix}
}

// checkFill finds a constant that is not of the column's kind.
func (p *Profile) checkFill(c Column) *Problem {
	if asked := p.spec.Missing; asked != "" && !slices.Contains(Strategies(c.Kind), asked) {
		fix := "leave out missing"
		if may := Strategies(c.Kind); len(may) > 0 {
			fix = "use one of " + list(may)
		}
		return &Problem{Column: p.Name, Problem: fmt.Sprintf("is of kind %s, whose missing cells cannot be replaced by %s", c.Kind, asked), Fix: fix}
	}
	if c.Missing.Strategy != Constant {
		return nil
	}
	cell := table.Cell{Kind: table.Text, Text: c.Missing.Value}
	ok := true
	switch c.Kind {
	case Number:
		_, ok = c.Format.Number(cell)
	case Boolean:
		_, ok = c.Format.Boolean(cell)
	case Date:
		_, ok = c.Format.Date(cell)
	case Category, Text, Image, Ignored:
	}
	if ok {
		return nil
	}
	return &Problem{Column: p.Name, Problem: fmt.Sprintf("has missing cells replaced by %s, which is not a %s", quote(c.Missing.Value), c.Kind),
		Fix: "write a value of that kind"}
}

// fill chooses what becomes of missing cells.
func (p *Profile) fill(kind Kind) Fill {
	if !kind.Used() {
		return Fill{}
	}
	missing := p.Missing.Count
	f := Fill{Strategy: p.spec.Missing, Value: p.spec.Value}
	chosen := f.Strategy == "" || !slices.Contains(Strategies(kind), f.Strategy)
	switch {
	case p.spec.Indicator != nil:
		f.Indicator = *p.spec.Indicator
	case !chosen || kind == Category || kind == Text:
	case kind == Number:
		f.Indicator = 20*missing > p.Rows
	default:
		f.Indicator = missing > 0
	}
	if chosen {
		f.Strategy = map[Kind]Strategy{Number: Mean, Boolean: Mean, Date: Median, Category: OwnCategory, Text: Empty}[kind]
		f.Value = ""
	}
	return f
}

// missingFix is the line of a request by which the cells that are not of a kind become
// missing.
func (p *Profile) missingFix(kind Kind) string {
	var texts []string
	switch kind {
	case Number:
		for _, text := range slices.Sorted(maps.Keys(p.others)) {
			texts = append(texts, yamlText(text))
		}
		if len(texts) == maxOthers {
			texts = append(texts, "...")
		}
	case Date:
		texts = []string{yamlText(p.NotDates.Text)}
	case Boolean:
		texts = []string{yamlText(p.NotBooleans.Text)}
	case Category, Text, Image, Ignored:
	}
	return "missing: [" + strings.Join(texts, ", ") + "] if that stands for a missing cell"
}

// line is the line of a request that says what the column is.
func (p *Profile) line(kind Kind, f Format) string {
	spec := string(kind)
	for _, part := range []struct{ key, value string }{
		{"thousands", f.Thousands}, {"decimal", f.Decimal}, {"unit", f.Unit}, {"format", f.Pattern},
	} {
		if part.value != "" {
			spec += ", " + part.key + ": " + yamlText(part.value)
		}
	}
	if spec != string(kind) {
		spec = "{kind: " + spec + "}"
	}
	return "columns: {" + yamlText(p.Name) + ": " + spec + "}"
}

// yamlText writes a text in YAML, in quotes unless it is a plain word.
func yamlText(text string) string {
	plain := text != ""
	for i, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		plain = plain && (letter || i > 0 && (c >= '0' && c <= '9' || c == '_'))
	}
	if _, _, boolean := booleanText(text); plain && !boolean && !isMissing(text) {
		return text
	}
	return quote(text)
}

// quote quotes a value, cut to a readable length.
func quote(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return fmt.Sprintf("%q...", string(runes[:most]))
	}
	return fmt.Sprintf("%q", text)
}

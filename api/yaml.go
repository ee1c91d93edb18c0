package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// reader turns the library's tree into nodes. It refuses whatever a request has no
// use for, so that no two readers of YAML can understand a request differently.
type reader struct {
	*document
	nodes int // so far
}

// limits stops the library if values nest too deep.
type limits struct{}

var errTooDeep = errors.New("nested too deep")

func (limits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return errTooDeep
	}
	return nil
}

// CheckAlias is never called: aliases are refused before anything expands them.
func (limits) CheckAlias(int, int) error { return nil }

// parse returns the value of the only document in the text.
func (d *document) parse(text string) (root *node, err error) {
	// The library promises not to panic, but its input may be anything.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, d.fail(position{}, RequestError{Problem: fmt.Sprintf("cannot be understood as YAML (%v)", r),
				Fix: "check its indentation, brackets and quotes"})
		}
	}()
	loader, err := yaml.NewLoader(strings.NewReader(text), yaml.WithStreamNodes(), yaml.WithPlugin(limits{}),
		yaml.WithUniqueKeys(false)) // reader.mapping reports duplicates better
	if err != nil {
		return nil, fmt.Errorf("YAML parser: %w", err)
	}
	var body *yaml.Node
	for {
		var n yaml.Node
		err := loader.Load(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, d.syntaxError(err)
		}
		if n.Kind == yaml.StreamNode {
			if n.Stream != nil && (n.Stream.Version != nil || len(n.Stream.TagDirectives) > 0) {
				return nil, d.directive()
			}
			continue
		}
		if len(n.Content) != 1 || implicitNull(n.Content[0]) {
			continue // nothing between two markers
		}
		if body != nil {
			return nil, d.fail(d.place(n.Content[0]), RequestError{Problem: "a second document begins here",
				Fix: "keep one request per file and remove the --- line before it"})
		}
		body = n.Content[0]
	}
	if body == nil {
		return nil, d.fail(position{}, RequestError{Problem: "is empty",
			Fix: "write a request; examples/digits.yaml is a short one"})
	}
	p := reader{document: d}
	return p.value(body, "", placeAt(1, 1), 1)
}

func implicitNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value == ""
}

func (d *document) directive() error {
	for i, line := range d.lines {
		if len(line) > 0 && line[0] == '%' {
			return d.fail(placeAt(i+1, 1), RequestError{Problem: "directives (%) are not part of a request", Fix: "remove the line"})
		}
	}
	return d.fail(position{}, RequestError{Problem: "has a directive, which is not part of a request", Fix: "remove the line that begins with %"})
}

// hint is what the library says of a mistake, what we say, and how to correct it.
type hint struct{ part, problem, fix string }

// hints are tried in order.
func hints() []hint {
	const quotes = "put the text in quotes"
	return []hint{
		{"did not find expected ',' or ']'", "a list is not closed, or a comma is missing", "close the list with ], or separate its values with commas"},
		{"did not find expected ',' or '}'", "a mapping is not closed, or a comma is missing", "close the mapping with }, or separate its keys with commas"},
		{"unexpected end of stream", "a quoted text is not closed", "close the text with the quotation mark that it begins with"},
		{"unexpected document indicator", "a quoted text is not closed before the end of the document", "close the text with the quotation mark that it begins with"},
		{"unknown escape character", "a text in double quotes has an unknown escape", `write \\ for a backslash, or use single quotes`},
		{"escape code", "an escape names no character", `write \\ for a backslash, or use single quotes`},
		{"hexadecimal number", "an escape lacks hexadecimal digits", `write \\ for a backslash, or use single quotes`},
		{"comment without preceding whitespace", "a comment begins without a space before it", "put a space before #, or quotes around a text that has it"},
		{"mapping values are not allowed", "a colon begins a second value here", `check the indentation; put quotes around a text that has ": " in it`},
		{"could not find expected ':'", "a key has no value", `write "key: value", with a space after the colon`},
		{"did not find expected key", "a key is expected here", "check the indentation: the keys of one mapping begin in one column"},
		{"did not find expected '-' indicator", "an entry of the list is expected here", "check the indentation: the entries of one list begin in one column"},
		{"block sequence entries are not allowed", "a list cannot begin here", "check the indentation; put the list on a line of its own"},
		{"did not find expected node content", "a value is expected here", quotes + " if it begins with a character that is special in YAML"},
		{"indentation indicator", "the block of text has a wrong indentation indicator", "leave out the number after | or >"},
		{"document-end marker", "something follows the end of the document", "remove it"},
		{"<document start>", "something follows the end of the request", "check the indentation, brackets and quotes above"},
	}
}

// syntaxError gives the library's error a place and a fix.
func (d *document) syntaxError(err error) error {
	var bad *yaml.LoadError
	if !errors.As(err, &bad) {
		return d.fail(position{}, RequestError{Problem: "is not valid YAML: " + shorten(err.Error()), Fix: "check its indentation, brackets and quotes"})
	}
	at := d.clamp(bad.Mark.Line, bad.Mark.Column)
	// What is not closed is shown where it begins, not at the end of the file.
	if bad.ContextMark.Line > 0 && !strings.Contains(bad.ContextMsg, "block") {
		at = d.clamp(bad.ContextMark.Line, bad.ContextMark.Column)
	}
	refuse := func(problem, fix string) error { return d.fail(at, RequestError{Problem: problem, Fix: fix}) }
	message := bad.Message
	if errors.Is(err, errTooDeep) || strings.Contains(message, errTooDeep.Error()) {
		return refuse(fmt.Sprintf("is nested more than %d deep", maxDepth), "a request needs only a few levels")
	}
	if open, mark, ok := d.unclosed(); ok && at.line >= open.line {
		at = open
		if mark == '[' {
			return refuse("not valid YAML: this [ is not closed", "close the list with ], or remove the [ and write the values below it")
		}
		return refuse("not valid YAML: this { is not closed", "close the mapping with }, or remove the { and write the keys below it")
	}
	if lone, ok := d.loneKey(at); ok {
		at = lone
		return refuse("not valid YAML: no colon follows this key", fmt.Sprintf("write %q, with a space after the colon", d.withColon(lone)))
	}
	if key, ok := d.keyBefore(at); ok && strings.Contains(message, "mapping values are not allowed") {
		at = key
		return refuse("not valid YAML: the indentation of this key does not fit the line above", "begin the keys of one mapping in one column")
	}
	switch d.at(at) {
	case '%':
		if at.column == 1 {
			return d.directive()
		}
	case '\t':
		return refuse("not valid YAML: a tab in the indentation", "indent with spaces: YAML allows no tabs there")
	case '@', '`':
		return refuse(fmt.Sprintf("not valid YAML: no text begins with %c", d.at(at)), "put the text in quotes")
	case '*', '&':
		return d.anchors(at)
	case '!':
		return d.tags(at)
	}
	if strings.Contains(message, "tab") {
		return refuse("not valid YAML: a tab in the indentation", "indent with spaces: YAML allows no tabs there")
	}
	for _, h := range hints() {
		if strings.Contains(message, h.part) {
			return refuse("not valid YAML: "+h.problem, h.fix)
		}
	}
	return refuse("not valid YAML: "+shorten(strings.TrimSpace(bad.ContextMsg+" "+message)), "check the indentation, brackets and quotes around here")
}

// unclosed returns the last bracket or brace that is still open at the end of the
// file, or where another one closes it.
func (d *document) unclosed() (at position, mark rune, ok bool) {
	type opened struct {
		at   position
		mark rune
	}
	var open []opened
	var quote rune
	for i, line := range d.lines {
		before := ' '
		for j := 0; j < len(line); j++ {
			r := line[j]
			switch starts := strings.ContainsRune(" \t[{,", before); {
			case quote == '"' && r == '\\':
				j++
			case quote != 0:
				if r == quote {
					quote = 0
				}
			case (r == '"' || r == '\'') && starts:
				quote = r
			case r == '#' && (before == ' ' || before == '\t'):
				j = len(line)
			case (r == '[' || r == '{') && (starts || len(open) > 0):
				open = append(open, opened{placeAt(i+1, j+1), r})
			case (r == ']' || r == '}') && len(open) > 0:
				last := open[len(open)-1]
				if (last.mark == '[') != (r == ']') {
					return last.at, last.mark, true
				}
				open = open[:len(open)-1]
			}
			before = r
		}
	}
	if len(open) == 0 || quote != 0 {
		return position{}, 0, false
	}
	last := open[len(open)-1]
	return last.at, last.mark, true
}

// loneKey returns the place of a word that stands where a key is expected, with no
// colon after it, on the line of a place or on the nearest line with text above.
func (d *document) loneKey(near position) (position, bool) {
	for line := near.line; line >= 1 && line > near.line-10; line-- {
		text, _, _ := strings.Cut(string(d.lines[line-1]), " #")
		trimmed := strings.TrimSpace(text)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		first, _, _ := strings.Cut(trimmed, " ")
		if isKey(first) && !strings.Contains(trimmed, ":") {
			return placeAt(line, len(text)-len(strings.TrimLeft(text, " "))+1), true
		}
		if line < near.line {
			break
		}
	}
	return position{}, false
}

// keyBefore returns the place of the key that a line begins with, where the colon
// after it is at a place.
func (d *document) keyBefore(colon position) (position, bool) {
	if d.at(colon) != ':' {
		return position{}, false
	}
	text := string(d.lines[colon.line-1][:colon.column-1])
	key := strings.TrimLeft(text, " ")
	return placeAt(colon.line, len(text)-len(key)+1), isKey(key) && colon.line > 1
}

// isKey reports whether a word looks like a key of a request.
func isKey(word string) bool {
	return word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_0123456789") == "" && (word[0] < '0' || word[0] > '9')
}

// withColon returns the line of a key without a colon as it should be.
func (d *document) withColon(at position) string {
	text, _, _ := strings.Cut(string(d.lines[at.line-1]), " #")
	key, value, _ := strings.Cut(strings.TrimSpace(text), " ")
	return shorten(strings.TrimSpace(key + ": " + strings.TrimSpace(value)))
}

func (d *document) anchors(at position) error {
	return d.fail(at, RequestError{Problem: "anchors (&), aliases (*) and merge keys (<<) are not part of a request",
		Fix: "write the value out, or put it in quotes if it is text"})
}

func (d *document) tags(at position) error {
	return d.fail(at, RequestError{Problem: "tags (!) are not part of a request",
		Fix: "write the value without a tag, or put it in quotes if it is text"})
}

// clamp returns a place that the library reports, moved into the file if need be.
func (d *document) clamp(line, column int) position {
	if line < 1 {
		return position{}
	}
	if line > len(d.lines) {
		line, column = len(d.lines), len(d.lines[len(d.lines)-1])+1
	}
	return placeAt(line, min(max(column, 1), len(d.lines[line-1])+1))
}

// place returns where a value begins.
func (d *document) place(n *yaml.Node) position { return d.clamp(n.Line, n.Column) }

// at returns the character at a place; 0 at the end of a line.
func (d *document) at(p position) rune {
	if p.line < 1 || p.column > len(d.lines[p.line-1]) {
		return 0
	}
	return d.lines[p.line-1][p.column-1]
}

// value turns a tree of the library's into nodes.
func (p *reader) value(n *yaml.Node, field string, key position, depth int) (*node, error) {
	out := &node{field: field, key: key, at: p.place(n)}
	if err := p.check(n, out.at, depth); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.kind = mapping
		return out, p.mapping(out, n, depth)
	case yaml.SequenceNode:
		out.kind = list
		if len(n.Content) > maxItems {
			return nil, p.fail(out.at, RequestError{Field: field, Value: string(list),
				Problem: fmt.Sprintf("of %d must have at most %d", len(n.Content), maxItems), Fix: "shorten it"})
		}
		for i, item := range n.Content {
			if implicitNull(item) {
				return nil, p.fail(p.place(item), RequestError{Field: fmt.Sprintf("%s[%d]", field, i), Problem: "is an empty entry",
					Fix: "write a value after the dash, or remove it"})
			}
			child, err := p.value(item, fmt.Sprintf("%s[%d]", field, i), p.place(item), depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, child)
		}
		return out, nil
	case yaml.ScalarNode:
		return out, p.scalar(out, n)
	default:
		return nil, p.fail(out.at, RequestError{Field: field, Problem: "is not a value that a request can have", Fix: "write plain keys, values and lists"})
	}
}

// check refuses kinds of YAML that a request has no use for.
func (p *reader) check(n *yaml.Node, at position, depth int) error {
	p.nodes++
	switch {
	case p.nodes > maxNodes:
		return p.fail(at, RequestError{Problem: fmt.Sprintf("has more than %d keys and values", maxNodes), Fix: "a request is a short YAML file"})
	case depth > maxDepth:
		return p.fail(at, RequestError{Problem: fmt.Sprintf("is nested more than %d deep", maxDepth), Fix: "a request needs only a few levels"})
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge":
		return p.anchors(at)
	case n.Style&yaml.TaggedStyle != 0 || n.Tag == "!" || p.at(at) == '!':
		return p.tags(at)
	case p.at(at) == '?' && n.Kind == yaml.MappingNode:
		return p.complexKey(at)
	}
	return nil
}

func (d *document) complexKey(at position) error {
	return d.fail(at, RequestError{Problem: "complex keys (?) are not part of a request", Fix: `write "key: value"`})
}

func (p *reader) mapping(out *node, n *yaml.Node, depth int) error {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := p.place(key)
		if err := p.check(key, at, depth); err != nil {
			return err
		}
		if mark, ok := p.before(at, '?'); ok {
			return p.complexKey(mark)
		}
		if key.Kind != yaml.ScalarNode {
			return p.fail(at, RequestError{Problem: "lists and mappings as keys are not part of a request", Fix: `write "key: value"`})
		}
		rest, err := p.written(key, at, "")
		if err != nil {
			return err
		}
		if colon := strings.TrimLeft(string(rest[:min(len(rest), 100)]), " \t"); implicitNull(key) || !strings.HasPrefix(colon, ":") ||
			key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 && strings.Contains(key.Value, ":") {
			return p.fail(at, RequestError{Value: shorten(key.Value), Problem: "is not a key with a value", Fix: `write "key: value", with a space after the colon`})
		}
		name := key.Value
		field := shortenTo(maxPath, child(out.field, shorten(name)))
		if first, ok := lines[name]; ok {
			return p.fail(at, RequestError{Field: field, Problem: fmt.Sprintf("is given twice, first on line %d", first), Fix: "keep one of the two"})
		}
		lines[name] = at.line
		child, err := p.value(n.Content[i+1], field, at, depth+1)
		if err != nil {
			return err
		}
		out.entries = append(out.entries, entry{name, child})
	}
	return nil
}

// before returns the place of a mark that precedes a place on its line, with only
// white space between them.
func (d *document) before(at position, mark rune) (position, bool) {
	line := d.lines[at.line-1]
	for column := at.column - 1; column > 0; column-- {
		switch line[column-1] {
		case ' ', '\t':
		case mark:
			return placeAt(at.line, column), true
		default:
			return position{}, false
		}
	}
	return position{}, false
}

// scalar reads a scalar, which must be written on one line, just as it is read.
func (p *reader) scalar(out *node, n *yaml.Node) error {
	if _, err := p.written(n, out.at, out.field); err != nil {
		return err
	}
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		out.kind, out.value, out.written = textual, n.Value, `"`+n.Value+`"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		out.kind, out.value, out.written = textual, n.Value, "'"+n.Value+"'"
	case n.Value == "":
		out.kind, out.at = empty, out.key
	default:
		out.plainScalar(n.Value)
	}
	return nil
}

// written refuses a scalar that readers of YAML understand differently: a text over
// several lines, whose breaks and spaces follow long rules, and a tab in a text
// without quotes. It returns what follows the scalar on its line.
func (d *document) written(n *yaml.Node, at position, field string) ([]rune, error) {
	refuse := func(problem, fix string) ([]rune, error) {
		return nil, d.fail(at, RequestError{Field: field, Value: shorten(n.Value), Problem: problem, Fix: fix})
	}
	const lines = "is written over several lines"
	quoted := n.Style & (yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return nil, d.fail(at, RequestError{Field: field, Problem: "is a block of text (| or >), which is not part of a request", Fix: "write the text on one line"})
	}
	if quoted != 0 {
		rest, ok := d.quoted(n.Value, at)
		if !ok {
			return refuse(lines, "write the text on one line")
		}
		return rest, nil
	}
	rest, ok := d.verbatim(n.Value, at)
	switch {
	case !ok:
		return refuse(lines+" without quotes", "write it on one line; separate the values of a list with commas")
	case strings.Contains(n.Value, "\t"):
		// To YAML the tab is part of the text; the author probably meant two values.
		return refuse("has a tab in it", "separate values with commas, or put the text in quotes")
	}
	return rest, nil
}

// verbatim returns what follows a text without quotes. The text must be
// written just as it was read, and end where a value ends.
func (d *document) verbatim(value string, at position) (rest []rune, ok bool) {
	rest = d.lines[at.line-1][at.column-1:]
	for _, r := range value {
		if len(rest) == 0 || rest[0] != r {
			return nil, false
		}
		rest = rest[1:]
	}
	return rest, value == "" || len(rest) == 0 || strings.ContainsRune(" \t:,]}", rest[0])
}

// quoted returns what follows a text in quotes. The text must end on the line that
// it begins on and, if it has no escapes, be written just as it was read.
func (d *document) quoted(value string, at position) (rest []rune, ok bool) {
	rest = d.lines[at.line-1][at.column-1:]
	if len(rest) == 0 {
		return nil, false
	}
	mark, escaped := rest[0], false
	var text strings.Builder
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && mark == '"':
			escaped = true // what it means is the library's to say
			i++
			continue
		case rest[i] == mark && mark == '\'' && i+1 < len(rest) && rest[i+1] == mark:
			i++
		case rest[i] == mark:
			return rest[i+1:], escaped || text.String() == value
		}
		text.WriteRune(rest[i])
	}
	return nil, false
}

// escapeJSON returns a JSON text in a form that YAML reads: in its strings, pairs of
// surrogate escapes are replaced by their characters, and characters that YAML does
// not allow are escaped. Any other text is returned as it is.
func escapeJSON(content []byte) []byte {
	if !json.Valid(content) {
		return content
	}
	var out bytes.Buffer
	for rest := string(content); rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\\':
			size = 2
			if pair := surrogates(rest); pair != utf8.RuneError {
				size = len(`\ud83d\ude00`)
				out.WriteRune(pair)
			} else {
				out.WriteString(rest[:size])
			}
		case notInYAML(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return out.Bytes()
}

// surrogates returns the character that the first two escapes of a text name
// together; utf8.RuneError if they do not name one.
func surrogates(text string) rune {
	var half [2]rune
	for i := range half {
		if len(text) < 6 || text[:2] != `\u` {
			return utf8.RuneError
		}
		v, err := strconv.ParseUint(text[2:6], 16, 16)
		if err != nil {
			return utf8.RuneError
		}
		half[i], text = rune(v), text[6:]
	}
	return utf16.DecodeRune(half[0], half[1])
}

// notInYAML reports whether YAML 1.2 does not allow r, versions of YAML disagree
// on whether it ends a line, or it is the invisible mark of a byte order.
func notInYAML(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case r < ' ', 0x7f <= r && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
		return true
	}
	return false
}

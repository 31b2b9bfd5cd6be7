package types

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// MaxJSONDepth is how deep arrays and objects may be nested. PostgreSQL's
// limit is its stack (2 MB, some 6 000 levels); ours is fixed so that every
// replica gives the same answer.
const MaxJSONDepth = 5000

// jsonParser reads RFC 8259 text with PostgreSQL's messages. With build
// unset it only validates.
type jsonParser struct {
	s     string
	pos   int
	depth int
	build bool
	typ   string
}

func parseJSONText(s string) (Datum, error) {
	p := jsonParser{s: s, typ: "json"}
	if _, err := p.document(); err != nil {
		return Datum{}, err
	}
	return String(s), nil
}

func parseJSONB(s string) (Datum, error) {
	j, err := ParseJSON(s)
	if err != nil {
		return Datum{}, err
	}
	return JSONB(j), nil
}

// ParseJSON reads a jsonb value: 22P02 for bad syntax, 22P05 for \u0000,
// 54001 beyond MaxJSONDepth.
func ParseJSON(s string) (*JSON, error) {
	p := jsonParser{s: s, build: true, typ: "jsonb"}
	return p.document()
}

func (p *jsonParser) document() (*JSON, error) {
	j, err := p.value()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(p.s) {
		return nil, p.unexpected("Expected end of input, but found \"%s\".")
	}
	return j, nil
}

func (p *jsonParser) space() {
	for p.pos < len(p.s) {
		switch p.s[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// fail reports invalid syntax; detail says what.
func (p *jsonParser) fail(detail string) error {
	e := sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type json")
	e.Detail = detail
	e.Where = p.context()
	return e
}

// jsonContextBytes is how much of the input an error shows before the place.
const jsonContextBytes = 50

func (p *jsonParser) context() string {
	end := min(p.pos+len(p.token()), len(p.s))
	line := 1 + strings.Count(p.s[:end], "\n")
	start := strings.LastIndexByte(p.s[:end], '\n') + 1
	prefix := ""
	if end-start > jsonContextBytes {
		start = end - jsonContextBytes
		for start < end && !utf8.RuneStart(p.s[start]) {
			start++
		}
		prefix = "..."
	}
	suffix := ""
	if end < len(p.s) && p.s[end] != '\n' && p.s[end] != '\r' {
		suffix = "..."
	}
	return fmt.Sprintf("JSON data, line %d: %s%s%s", line, prefix, p.s[start:end], suffix)
}

// token returns the word or character at the current place.
func (p *jsonParser) token() string {
	i := p.pos
	for i < len(p.s) && isWordByte(p.s[i]) {
		i++
	}
	if i == p.pos && i < len(p.s) {
		if p.s[i] == '"' {
			if n := strings.IndexByte(p.s[i+1:], '"'); n >= 0 {
				return p.s[i : i+n+2]
			}
		}
		_, n := utf8.DecodeRuneInString(p.s[i:])
		i += n
	}
	return p.s[p.pos:i]
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80 ||
		c == '.' || c == '+' || c == '-'
}

func (p *jsonParser) unexpected(format string) error {
	if p.pos >= len(p.s) {
		return p.fail("The input string ended unexpectedly.")
	}
	token := p.token()
	if !strings.Contains("{}[]:,\"", token[:1]) && token != "true" && token != "false" && token != "null" && !isNumberStart(token) {
		return p.fail(fmt.Sprintf("Token \"%s\" is invalid.", token))
	}
	return p.fail(fmt.Sprintf(format, token))
}

func isNumberStart(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

func (p *jsonParser) value() (*JSON, error) {
	p.space()
	if p.pos >= len(p.s) {
		return nil, p.fail("The input string ended unexpectedly.")
	}
	switch c := p.s[p.pos]; {
	case c == '{' || c == '[':
		if p.depth++; p.depth > MaxJSONDepth {
			return nil, sqlstate.New(sqlstate.StatementTooComplex, "stack depth limit exceeded").
				WithHint("JSON values may be nested at most %d levels deep.", MaxJSONDepth)
		}
		defer func() { p.depth-- }()
		p.pos++
		if c == '{' {
			return p.object()
		}
		return p.array()
	case c == '"':
		s, err := p.str()
		if err != nil {
			return nil, err
		}
		return p.made(&JSON{Kind: JSONString, Str: s}), nil
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	switch word := p.token(); word {
	case "true", "false":
		p.pos += len(word)
		return p.made(&JSON{Kind: JSONBool, Bool: word == "true"}), nil
	case "null":
		p.pos += len(word)
		return p.made(&JSON{Kind: JSONNull}), nil
	}
	return nil, p.unexpected("Expected JSON value, but found \"%s\".")
}

func (p *jsonParser) made(j *JSON) *JSON {
	if p.build {
		return j
	}
	return nil
}

func (p *jsonParser) peek() byte {
	p.space()
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

func (p *jsonParser) array() (*JSON, error) {
	var elems []*JSON
	if p.peek() == ']' {
		p.pos++
		return p.made(&JSON{Kind: JSONArray}), nil
	}
	for {
		j, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.build {
			elems = append(elems, j)
		}
		switch p.peek() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return p.made(&JSON{Kind: JSONArray, Elems: elems}), nil
		default:
			return nil, p.unexpected("Expected \",\" or \"]\", but found \"%s\".")
		}
	}
}

func (p *jsonParser) object() (*JSON, error) {
	var fields []JSONField
	if p.peek() == '}' {
		p.pos++
		return p.made(&JSON{Kind: JSONObject}), nil
	}
	for first := true; ; first = false {
		if p.peek() != '"' {
			if first {
				return nil, p.unexpected("Expected string or \"}\", but found \"%s\".")
			}
			return nil, p.unexpected("Expected string, but found \"%s\".")
		}
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		if p.peek() != ':' {
			return nil, p.unexpected("Expected \":\", but found \"%s\".")
		}
		p.pos++
		j, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.build {
			fields = append(fields, JSONField{key, j})
		}
		switch p.peek() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			if !p.build {
				return nil, nil
			}
			return NewJSONObject(fields), nil
		default:
			return nil, p.unexpected("Expected \",\" or \"}\", but found \"%s\".")
		}
	}
}

func (p *jsonParser) number() (*JSON, error) {
	start := p.pos
	i := p.pos
	digits := func() bool {
		n := i
		for i < len(p.s) && p.s[i] >= '0' && p.s[i] <= '9' {
			i++
		}
		return i > n
	}
	if p.s[i] == '-' {
		i++
	}
	ok := true
	if i < len(p.s) && p.s[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(p.s) && p.s[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(p.s) && (p.s[i] == 'e' || p.s[i] == 'E') {
		i++
		if i < len(p.s) && (p.s[i] == '+' || p.s[i] == '-') {
			i++
		}
		ok = digits()
	}
	if !ok || i < len(p.s) && isWordByte(p.s[i]) {
		return nil, p.fail(fmt.Sprintf("Token \"%s\" is invalid.", p.token()))
	}
	p.pos = i
	if !p.build {
		return nil, nil
	}
	d, err := ParseDecimal(p.s[start:i])
	if err != nil {
		return nil, err
	}
	return &JSON{Kind: JSONNumber, Num: d}, nil
}

// str reads a string whose opening quote is at the current place.
func (p *jsonParser) str() (string, error) {
	i := p.pos + 1
	for i < len(p.s) && p.s[i] != '"' && p.s[i] != '\\' && p.s[i] >= 0x20 {
		i++
	}
	if i < len(p.s) && p.s[i] == '"' {
		out := p.s[p.pos+1 : i]
		p.pos = i + 1
		return out, nil
	}
	out := []byte(p.s[p.pos+1 : i])
	for i < len(p.s) {
		switch c := p.s[i]; {
		case c == '"':
			p.pos = i + 1
			return string(out), nil
		case c < 0x20:
			return "", p.fail(fmt.Sprintf("Character with value 0x%02x must be escaped.", c))
		case c != '\\':
			out = append(out, c)
			i++
		default:
			var err error
			if out, i, err = p.escape(out, i+1); err != nil {
				return "", err
			}
		}
	}
	return "", p.fail(fmt.Sprintf("Token \"%s\" is invalid.", p.s[p.pos:]))
}

var jsonEscapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape decodes the escape whose character after the backslash is at i.
func (p *jsonParser) escape(out []byte, i int) ([]byte, int, error) {
	if i >= len(p.s) {
		return nil, 0, p.fail(fmt.Sprintf("Token \"%s\" is invalid.", p.s[p.pos:]))
	}
	if c, ok := jsonEscapes[p.s[i]]; ok {
		return append(out, c), i + 1, nil
	}
	if p.s[i] != 'u' {
		_, n := utf8.DecodeRuneInString(p.s[i:])
		return nil, 0, p.fail(fmt.Sprintf("Escape sequence \"\\%s\" is invalid.", p.s[i:i+n]))
	}
	r, ok := hex4(p.s, i+1)
	if !ok {
		return nil, 0, p.fail("\"\\u\" must be followed by four hexadecimal digits.")
	}
	i += 5
	if !p.build {
		// json keeps the text; only the syntax is checked.
		return out, i, nil
	}
	if r == 0 {
		return nil, 0, sqlstate.New(sqlstate.UntranslatableCharacter, "unsupported Unicode escape sequence").
			WithDetail("\\u0000 cannot be converted to text.")
	}
	if utf16.IsSurrogate(r) {
		if r >= 0xDC00 {
			return nil, 0, p.fail("Unicode low surrogate must follow a high surrogate.")
		}
		low, ok := rune(0), false
		if strings.HasPrefix(p.s[i:], `\u`) {
			low, ok = hex4(p.s, i+2)
		}
		if !ok || low < 0xDC00 || low > 0xDFFF {
			return nil, 0, p.fail("Unicode low surrogate must follow a high surrogate.")
		}
		r = utf16.DecodeRune(r, low)
		i += 6
	}
	return utf8.AppendRune(out, r), i, nil
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	v, err := strconv.ParseUint(s[i:i+4], 16, 16)
	return rune(v), err == nil
}

package expr

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// Limits of regular expressions.
const (
	maxPatternBytes = 64 << 10 // a longer pattern is refused (54000)
	regexCacheSize  = 256      // compiled patterns kept
)

func badRegex(format string) error {
	return sqlstate.New(sqlstate.InvalidRegularExpression, "invalid regular expression: %s", format)
}

func noRegexFeature(what string) error {
	return unsupported("%s in regular expressions is not supported", what)
}

// regexFlags are the options of a pattern that matter here.
type regexFlags struct {
	ignoreCase bool
	newline    bool // ^ and $ match at lines, . and [^…] do not match newlines
	partial    byte // 'p' or 'w': half of newline
	expanded   bool
	literal    bool
	global     bool
}

// parseFlags reads the flags argument of the regexp functions.
func parseFlags(s string) (regexFlags, error) {
	var f regexFlags
	for _, c := range s {
		switch c {
		case 'g':
			f.global = true
		case 'i':
			f.ignoreCase = true
		case 'c':
			f.ignoreCase = false
		case 'm', 'n':
			f.newline = true
		case 's':
			f.newline, f.partial = false, 0
		case 'p', 'w':
			f.partial = byte(c)
		case 'x':
			f.expanded = true
		case 't':
			f.expanded = false
		case 'q':
			f.literal = true
		case 'b', 'e':
			// Basic and extended syntax differ from what is translated below.
			return f, noRegexFeature("flag \"" + string(c) + "\"")
		default:
			return f, sqlstate.New(sqlstate.InvalidParameterValue, "invalid regular expression option: \"%c\"", c)
		}
	}
	return f, nil
}

type regexKey struct {
	pattern string
	flags   regexFlags
}

// regexCache keeps compiled patterns. What it holds changes only how fast an
// answer comes.
var regexCache = struct {
	sync.Mutex
	m map[regexKey]*regexp.Regexp
}{m: map[regexKey]*regexp.Regexp{}}

// compileRegex translates a pattern of PostgreSQL's advanced syntax to Go's
// and compiles it.
func compileRegex(pattern string, flags regexFlags) (*regexp.Regexp, error) {
	flags.global = false
	key := regexKey{pattern, flags}
	regexCache.Lock()
	re := regexCache.m[key]
	regexCache.Unlock()
	if re != nil {
		return re, nil
	}
	if len(pattern) > maxPatternBytes {
		return nil, sqlstate.New(sqlstate.ProgramLimitExceeded, "regular expression is too long")
	}
	t := regexTranslator{s: pattern, flags: flags}
	source, err := t.translate()
	if err != nil {
		return nil, err
	}
	if re, err = regexp.Compile(source); err != nil {
		return nil, regexError(err)
	}
	if !t.lazy {
		// POSIX matching takes the longest match.
		re.Longest()
	}
	regexCache.Lock()
	defer regexCache.Unlock()
	if len(regexCache.m) >= regexCacheSize {
		clear(regexCache.m)
	}
	regexCache.m[key] = re
	return re, nil
}

// regexError gives Go's syntax errors PostgreSQL's texts.
func regexError(err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return badRegex(err.Error())
	}
	switch e.Code {
	case syntax.ErrMissingBracket:
		return badRegex("brackets [] not balanced")
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		return badRegex("parentheses () not balanced")
	case syntax.ErrMissingRepeatArgument, syntax.ErrInvalidRepeatOp:
		return badRegex("quantifier operand invalid")
	case syntax.ErrInvalidRepeatSize:
		return badRegex("invalid repetition count(s)")
	case syntax.ErrInvalidCharRange:
		return badRegex("invalid character range")
	case syntax.ErrInvalidCharClass:
		return badRegex("invalid character class")
	case syntax.ErrTrailingBackslash, syntax.ErrInvalidEscape:
		return badRegex("invalid escape \\ sequence")
	case syntax.ErrLarge, syntax.ErrNestingDepth:
		return badRegex("regular expression is too complex")
	}
	return badRegex(e.Code.String())
}

type regexTranslator struct {
	s     string
	pos   int
	flags regexFlags
	out   strings.Builder
	lazy  bool // a non-greedy quantifier was seen
}

func (t *regexTranslator) translate() (string, error) {
	if err := t.prefix(); err != nil {
		return "", err
	}
	flags := ""
	if t.flags.ignoreCase {
		flags += "i"
	}
	// PostgreSQL's . and [^…] match newlines unless told otherwise; Go's
	// classes always do.
	if !t.flags.newline && t.flags.partial != 'p' {
		flags += "s"
	}
	if t.flags.newline || t.flags.partial == 'w' {
		flags += "m"
	}
	if flags != "" {
		t.out.WriteString("(?" + flags + ")")
	}
	if t.flags.literal {
		return t.out.String() + regexp.QuoteMeta(t.s[t.pos:]), nil
	}
	for t.pos < len(t.s) {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	return t.out.String(), nil
}

// prefix reads ***: and ***= directors and (?xyz) embedded options.
func (t *regexTranslator) prefix() error {
	if rest, ok := strings.CutPrefix(t.s, "***="); ok {
		t.s, t.flags.literal = rest, true
		return nil
	}
	t.s = strings.TrimPrefix(t.s, "***:")
	if strings.HasPrefix(t.s, "***") {
		return badRegex("quantifier operand invalid")
	}
	if !strings.HasPrefix(t.s, "(?") || len(t.s) < 4 || t.s[2] < 'a' || t.s[2] > 'z' {
		return nil
	}
	end := strings.IndexByte(t.s, ')')
	if end < 0 {
		return badRegex("invalid embedded option")
	}
	f, err := parseFlags(t.s[2:end])
	if err != nil {
		return err
	}
	for _, c := range t.s[2:end] {
		switch c {
		case 'i', 'c':
			t.flags.ignoreCase = f.ignoreCase
		case 'm', 'n', 's':
			t.flags.newline = f.newline
		case 'p', 'w':
			t.flags.partial = f.partial
		case 'x', 't':
			t.flags.expanded = f.expanded
		case 'q':
			t.flags.literal = true
		}
	}
	t.pos = end + 1
	return nil
}

func (t *regexTranslator) step() error {
	c := t.s[t.pos]
	switch c {
	case '\\':
		return t.escape(false)
	case '[':
		return t.bracket()
	case '(':
		if strings.HasPrefix(t.s[t.pos:], "(?") {
			if strings.HasPrefix(t.s[t.pos:], "(?:") {
				t.out.WriteString("(?:")
				t.pos += 3
				return nil
			}
			if strings.HasPrefix(t.s[t.pos:], "(?#") {
				end := strings.IndexByte(t.s[t.pos:], ')')
				if end < 0 {
					return badRegex("parentheses () not balanced")
				}
				t.pos += end + 1
				return nil
			}
			return noRegexFeature("lookaround")
		}
	case '*', '+', '?', '}':
		if t.pos+1 < len(t.s) && t.s[t.pos+1] == '?' {
			t.lazy = true
			t.out.WriteByte(c)
			t.out.WriteByte('?')
			t.pos += 2
			return nil
		}
	case '{':
		if t.pos+1 >= len(t.s) || t.s[t.pos+1] < '0' || t.s[t.pos+1] > '9' {
			t.out.WriteString(`\{`) // an ordinary character there
			t.pos++
			return nil
		}
	case '$':
		if !t.flags.newline && t.flags.partial != 'w' {
			t.out.WriteString(`\z`)
			t.pos++
			return nil
		}
	case ' ', '\t', '\n', '\r':
		if t.flags.expanded {
			t.pos++
			return nil
		}
	case '#':
		if t.flags.expanded {
			for t.pos < len(t.s) && t.s[t.pos] != '\n' {
				t.pos++
			}
			return nil
		}
	}
	t.out.WriteByte(c)
	t.pos++
	return nil
}

// escape translates an escape sequence, outside or inside brackets.
func (t *regexTranslator) escape(inBracket bool) error {
	if t.pos+1 >= len(t.s) {
		return badRegex("invalid escape \\ sequence")
	}
	c := t.s[t.pos+1]
	t.pos += 2
	switch c {
	case 'd', 'w', 's', 'D', 'W', 'S', 'n', 'r', 't', 'f', 'v', 'a':
		t.out.WriteString(`\` + string(c))
	case 'e':
		t.out.WriteString(`\x1b`)
	case 'B':
		t.out.WriteString(`\\`)
	case 'u', 'U', 'x':
		return t.hexEscape(c)
	case '0':
		return badRegex("invalid escape \\ sequence")
	case 'A', 'Z', 'y', 'Y', 'm', 'M':
		if inBracket {
			return badRegex("invalid escape \\ sequence")
		}
		word, ok := map[byte]string{'A': `\A`, 'Z': `\z`, 'y': `\b`, 'Y': `\B`}[c]
		if !ok {
			return noRegexFeature("the word boundary \\" + string(c))
		}
		t.out.WriteString(word)
	default:
		if c >= '1' && c <= '9' {
			return noRegexFeature("back reference")
		}
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return badRegex("invalid escape \\ sequence")
		}
		if c >= 0x80 {
			t.out.WriteByte(c) // the first byte of a longer character
		} else {
			t.out.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return nil
}

func (t *regexTranslator) hexEscape(kind byte) error {
	n := map[byte]int{'u': 4, 'U': 8, 'x': 0}[kind]
	if n == 0 {
		for n < 4 && t.pos+n < len(t.s) && strings.IndexByte("0123456789abcdefABCDEF", t.s[t.pos+n]) >= 0 {
			n++
		}
	}
	if n == 0 || t.pos+n > len(t.s) {
		return badRegex("invalid escape \\ sequence")
	}
	v, err := strconv.ParseUint(t.s[t.pos:t.pos+n], 16, 32)
	if err != nil {
		return badRegex("invalid escape \\ sequence")
	}
	t.out.WriteString(`\x{` + strconv.FormatUint(v, 16) + `}`)
	t.pos += n
	return nil
}

func (t *regexTranslator) bracket() error {
	for _, word := range []string{"[[:<:]]", "[[:>:]]"} {
		if strings.HasPrefix(t.s[t.pos:], word) {
			return noRegexFeature("the word boundary " + word)
		}
	}
	t.out.WriteByte('[')
	t.pos++
	if t.pos < len(t.s) && t.s[t.pos] == '^' {
		t.out.WriteByte('^')
		t.pos++
		if t.flags.newline || t.flags.partial == 'p' {
			t.out.WriteString(`\n`)
		}
	}
	for first := true; t.pos < len(t.s); first = false {
		c := t.s[t.pos]
		switch {
		case c == ']' && !first:
			t.out.WriteByte(']')
			t.pos++
			return nil
		case c == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
			continue
		case strings.HasPrefix(t.s[t.pos:], "[:"):
			end := strings.Index(t.s[t.pos:], ":]")
			if end < 0 {
				return badRegex("invalid character class")
			}
			t.out.WriteString(t.s[t.pos : t.pos+end+2])
			t.pos += end + 2
			continue
		case strings.HasPrefix(t.s[t.pos:], "[.") || strings.HasPrefix(t.s[t.pos:], "[="):
			return noRegexFeature("a collating element")
		case c == ']' || c == '[':
			t.out.WriteByte('\\')
		}
		t.out.WriteByte(c)
		t.pos++
	}
	return badRegex("brackets [] not balanced")
}

package expr

import (
	"regexp"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

func regexOp(ignoreCase, not bool) evalFunc {
	return func(_ *Ctx, a []datum) (datum, error) {
		re, err := compileRegex(a[1].Str(), regexFlags{ignoreCase: ignoreCase})
		if err != nil {
			return null, err
		}
		return types.Bool(re.MatchString(a[0].Str()) != not), nil
	}
}

// compileArgs compiles the pattern at argument 1 with the flags at argument
// at, if the call has it.
func compileArgs(a []datum, at int) (*regexp.Regexp, regexFlags, error) {
	var flags regexFlags
	if len(a) > at {
		var err error
		if flags, err = parseFlags(a[at].Str()); err != nil {
			return nil, flags, err
		}
	}
	re, err := compileRegex(a[1].Str(), flags)
	return re, flags, err
}

func noGlobal(flags regexFlags, name string) error {
	if !flags.global {
		return nil
	}
	e := sqlstate.New(sqlstate.InvalidParameterValue, "%s() does not support the \"global\" option", name)
	if name == "regexp_match" {
		return e.WithHint("Use the regexp_matches function instead.")
	}
	return e
}

// matchGroups returns the captured groups of a match, or all of it when the
// pattern has none, as a text array.
func matchGroups(s string, loc []int) datum {
	var elems []datum
	for i := 2; i < len(loc); i += 2 {
		if loc[i] < 0 {
			elems = append(elems, null)
		} else {
			elems = append(elems, types.String(s[loc[i]:loc[i+1]]))
		}
	}
	if elems == nil {
		elems = []datum{types.String(s[loc[0]:loc[1]])}
	}
	return types.ArrayDatum(types.NewArray(types.TextType, elems))
}

func regexpMatch(_ *Ctx, a []datum) (datum, error) {
	re, flags, err := compileArgs(a, 2)
	if err == nil {
		err = noGlobal(flags, "regexp_match")
	}
	if err != nil {
		return null, err
	}
	loc := re.FindStringSubmatchIndex(a[0].Str())
	if loc == nil {
		return null, nil
	}
	return matchGroups(a[0].Str(), loc), nil
}

func regexpMatches(_ *Ctx, a []datum) (RowIter, error) {
	re, flags, err := compileArgs(a, 2)
	if err != nil {
		return nil, err
	}
	n := 1
	if flags.global {
		n = -1
	}
	var out []datum
	for _, loc := range re.FindAllStringSubmatchIndex(a[0].Str(), n) {
		out = append(out, matchGroups(a[0].Str(), loc))
	}
	return valuesIter(out), nil
}

// splitRegex splits as PostgreSQL does: an empty match at the ends or right
// after another match splits nothing.
func splitRegex(a []datum, name string) ([]datum, error) {
	re, flags, err := compileArgs(a, 2)
	if err == nil {
		err = noGlobal(flags, name)
	}
	if err != nil {
		return nil, err
	}
	s := a[0].Str()
	var out []datum
	start := 0
	for _, loc := range re.FindAllStringIndex(s, -1) {
		if loc[1] == loc[0] && (loc[0] == start || loc[0] >= len(s)) {
			continue
		}
		out = append(out, types.String(s[start:loc[0]]))
		start = loc[1]
	}
	return append(out, types.String(s[start:])), nil
}

// expandReplacement writes a replacement with \1 … \9, \& and \\.
func expandReplacement(dst []byte, with, s string, loc []int) []byte {
	for i := 0; i < len(with); i++ {
		if with[i] != '\\' || i+1 >= len(with) {
			dst = append(dst, with[i])
			continue
		}
		i++
		group := -1
		switch c := with[i]; {
		case c == '&':
			group = 0
		case c >= '1' && c <= '9':
			group = int(c - '0')
		case c == '\\':
			dst = append(dst, '\\')
			continue
		default:
			dst = append(dst, '\\', c)
			continue
		}
		if 2*group < len(loc) && loc[2*group] >= 0 {
			dst = append(dst, s[loc[2*group]:loc[2*group+1]]...)
		}
	}
	return dst
}

// replaceMatches replaces the n-th match, or all for n = 0, from byte start on.
func replaceMatches(re *regexp.Regexp, s, with string, start int, n int64) (datum, error) {
	limit := -1
	if n > 0 {
		limit = int(min(n, int64(len(s))+1))
	}
	out := []byte(s[:start])
	rest := s[start:]
	last := 0
	for i, loc := range re.FindAllStringSubmatchIndex(rest, limit) {
		if n > 0 && int64(i)+1 != n {
			continue
		}
		out = append(out, rest[last:loc[0]]...)
		out = expandReplacement(out, with, rest, loc)
		last = loc[1]
		if len(out) > maxStringBytes {
			return null, lengthTooLarge()
		}
	}
	return types.String(string(append(out, rest[last:]...))), nil
}

func regexpReplace(_ *Ctx, a []datum) (datum, error) {
	if len(a) > 3 && a[3].Str() != "" && a[3].Str()[0] >= '0' && a[3].Str()[0] <= '9' {
		return null, sqlstate.New(sqlstate.InvalidParameterValue, "invalid regular expression option: \"%c\"", a[3].Str()[0]).
			WithHint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.")
	}
	re, flags, err := compileArgs(a, 3)
	if err != nil {
		return null, err
	}
	n := int64(1)
	if flags.global {
		n = 0
	}
	return replaceMatches(re, a[0].Str(), a[2].Str(), 0, n)
}

// startOffset checks a start parameter and returns its byte offset.
func startOffset(s string, start int64) (int, error) {
	if start <= 0 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"start\": %d", start)
	}
	return runeIndex(s, start-1), nil
}

// regexpReplaceN is regexp_replace(string, pattern, replacement, start [, N [, flags]]).
func regexpReplaceN(_ *Ctx, a []datum) (datum, error) {
	at, err := startOffset(a[0].Str(), a[3].Int())
	if err != nil {
		return null, err
	}
	n := int64(1)
	re, flags, err := compileArgs(a, 5)
	if err != nil {
		return null, err
	}
	if len(a) > 4 {
		if n = a[4].Int(); n < 0 {
			return null, sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"n\": %d", n)
		}
	} else if flags.global {
		n = 0
	}
	return replaceMatches(re, a[0].Str(), a[2].Str(), at, n)
}

func regexpCount(_ *Ctx, a []datum) (datum, error) {
	at := 0
	if len(a) > 2 {
		var err error
		if at, err = startOffset(a[0].Str(), a[2].Int()); err != nil {
			return null, err
		}
	}
	re, flags, err := compileArgs(a, 3)
	if err == nil {
		err = noGlobal(flags, "regexp_count")
	}
	if err != nil {
		return null, err
	}
	return types.Int(int64(len(re.FindAllStringIndex(a[0].Str()[at:], -1)))), nil
}

func regexpLike(_ *Ctx, a []datum) (datum, error) {
	re, flags, err := compileArgs(a, 2)
	if err == nil {
		err = noGlobal(flags, "regexp_like")
	}
	if err != nil {
		return null, err
	}
	return types.Bool(re.MatchString(a[0].Str())), nil
}

// nthMatch finds the n-th match for regexp_substr and regexp_instr, whose
// arguments 2 and 3 are start and n; offset is where the searched part begins.
func nthMatch(a []datum, flagsAt int, name string) (loc []int, offset int, err error) {
	n := int64(1)
	if len(a) > 2 {
		if offset, err = startOffset(a[0].Str(), a[2].Int()); err != nil {
			return nil, 0, err
		}
	}
	if len(a) > 3 {
		if n = a[3].Int(); n <= 0 {
			return nil, 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"n\": %d", n)
		}
	}
	re, flags, err := compileArgs(a, flagsAt)
	if err == nil {
		err = noGlobal(flags, name)
	}
	if err != nil {
		return nil, 0, err
	}
	rest := a[0].Str()[offset:]
	all := re.FindAllStringSubmatchIndex(rest, int(min(n, int64(len(rest))+1)))
	if int64(len(all)) < n {
		return nil, offset, nil
	}
	return all[n-1], offset, nil
}

func subexpression(a []datum, at int) (int, error) {
	if len(a) <= at {
		return 0, nil
	}
	if a[at].Int() < 0 {
		return 0, sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"subexpr\": %d", a[at].Int())
	}
	return int(a[at].Int()), nil
}

func regexpSubstr(_ *Ctx, a []datum) (datum, error) {
	group, err := subexpression(a, 5)
	if err != nil {
		return null, err
	}
	loc, at, err := nthMatch(a, 4, "regexp_substr")
	if err != nil || loc == nil || 2*group >= len(loc) || loc[2*group] < 0 {
		return null, err
	}
	return types.String(a[0].Str()[at+loc[2*group] : at+loc[2*group+1]]), nil
}

func regexpInstr(_ *Ctx, a []datum) (datum, error) {
	end := int64(0)
	if len(a) > 4 {
		if end = a[4].Int(); end != 0 && end != 1 {
			return null, sqlstate.New(sqlstate.InvalidParameterValue, "invalid value for parameter \"endoption\": %d", end)
		}
	}
	group, err := subexpression(a, 6)
	if err != nil {
		return null, err
	}
	loc, at, err := nthMatch(a, 5, "regexp_instr")
	if err != nil || loc == nil || 2*group >= len(loc) || loc[2*group] < 0 {
		return types.Int(0), err
	}
	return types.Int(int64(runeCount(a[0].Str()[:at+loc[2*group+int(end)]])) + 1), nil
}

// regexSubstring is substring(string from pattern): the first group, or the
// whole match.
func regexSubstring(_ *Ctx, a []datum) (datum, error) {
	re, err := compileRegex(a[1].Str(), regexFlags{})
	if err != nil {
		return null, err
	}
	loc := re.FindStringSubmatchIndex(a[0].Str())
	if loc == nil {
		return null, nil
	}
	if len(loc) > 2 {
		loc = loc[2:]
	}
	if loc[0] < 0 {
		return null, nil
	}
	return types.String(a[0].Str()[loc[0]:loc[1]]), nil
}

// similarEscape turns a SIMILAR TO pattern into a regular expression.
func similarEscape(_ *Ctx, a []datum) (datum, error) {
	escape := `\`
	if len(a) > 1 {
		if escape = a[1].Str(); runeCount(escape) > 1 {
			return null, sqlstate.New(sqlstate.InvalidEscapeSequence, "invalid escape string").
				WithHint("Escape string must be empty or one character.")
		}
	}
	var out strings.Builder
	out.WriteString("^(?:")
	after, inClass := false, false
	for _, r := range a[0].Str() {
		c := string(r)
		switch {
		case after:
			if c == `"` {
				return null, noRegexFeature("a SIMILAR pattern with separators")
			}
			out.WriteString(`\` + c)
			after = false
		case c == escape:
			after = true
		case inClass:
			if c == `\` {
				out.WriteByte('\\')
			}
			out.WriteString(c)
			inClass = c != "]"
		case c == "[":
			out.WriteString(c)
			inClass = true
		case c == "%":
			out.WriteString(".*")
		case c == "_":
			out.WriteString(".")
		case c == "(":
			out.WriteString("(?:")
		case c == `\` || c == "." || c == "^" || c == "$":
			out.WriteString(`\` + c)
		default:
			out.WriteString(c)
		}
	}
	out.WriteString(")$")
	return types.String(out.String()), nil
}

var regexEvals = func() map[string]evalFunc {
	m := map[string]evalFunc{
		"regexp_match": regexpMatch, "regexp_count": regexpCount, "regexp_like": regexpLike,
		"regexp_substr": regexpSubstr, "regexp_instr": regexpInstr,
		"regexp_replace(text,text,text)": regexpReplace, "regexp_replace(text,text,text,text)": regexpReplace,
		"regexp_replace(text,text,text,int4)":           regexpReplaceN,
		"regexp_replace(text,text,text,int4,int4)":      regexpReplaceN,
		"regexp_replace(text,text,text,int4,int4,text)": regexpReplaceN,
		"regexp_split_to_array": func(_ *Ctx, a []datum) (datum, error) {
			parts, err := splitRegex(a, "regexp_split_to_array")
			if err != nil {
				return null, err
			}
			return types.ArrayDatum(types.NewArray(types.TextType, parts)), nil
		},
		"substring(text,text)": regexSubstring, "similar_to_escape": similarEscape,
	}
	for _, t := range []string{"text", "name", "bpchar"} {
		m[t+"regexeq"], m[t+"regexne"] = regexOp(false, false), regexOp(false, true)
		m[t+"icregexeq"], m[t+"icregexne"] = regexOp(true, false), regexOp(true, true)
	}
	// The functions behind ~* on text have no t in their PostgreSQL names.
	m["texticregexeq"], m["texticregexne"] = regexOp(true, false), regexOp(true, true)
	return m
}()

package expr

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// base64Line is after how many characters encode() breaks a line.
const base64Line = 76

func unknownEncoding(name string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "unrecognized encoding: \"%s\"", name)
}

func encode(_ *Ctx, a []datum) (datum, error) {
	b := a[0].Bytes()
	switch strings.ToLower(a[1].Str()) {
	case "hex":
		return types.String(hex.EncodeToString(b)), nil
	case "base64":
		s := base64.StdEncoding.EncodeToString(b)
		var out strings.Builder
		for len(s) > base64Line {
			out.WriteString(s[:base64Line] + "\n")
			s = s[base64Line:]
		}
		return types.String(out.String() + s), nil
	case "escape":
		var out []byte
		for _, c := range b {
			switch {
			case c == 0 || c >= 0x80:
				out = append(out, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			case c == '\\':
				out = append(out, `\\`...)
			default:
				out = append(out, c)
			}
		}
		return types.String(string(out)), nil
	}
	return null, unknownEncoding(a[1].Str())
}

func decode(c *Ctx, a []datum) (datum, error) {
	s := a[0].Str()
	switch strings.ToLower(a[1].Str()) {
	case "hex":
		return types.ByteaType.Parse(c.Format, `\x`+s, types.NoTypmod)
	case "base64":
		clean := strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "").Replace(s)
		b, err := base64.StdEncoding.DecodeString(clean)
		if err != nil {
			return null, base64Error(clean)
		}
		return types.Bytes(b), nil
	case "escape":
		if strings.HasPrefix(s, `\x`) {
			return null, sqlstate.New(sqlstate.InvalidTextRepresentation, "invalid input syntax for type bytea")
		}
		return types.ByteaType.Parse(c.Format, s, types.NoTypmod)
	}
	return null, unknownEncoding(a[1].Str())
}

func base64Error(s string) error {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	for _, r := range s {
		if !strings.ContainsRune(alphabet, r) {
			return sqlstate.New(sqlstate.InvalidParameterValue, "invalid symbol \"%c\" found while decoding base64 sequence", r)
		}
	}
	if i := strings.IndexByte(s, '='); i >= 0 && (i%4 < 2 || len(s)%4 == 0) {
		return sqlstate.New(sqlstate.InvalidParameterValue, "unexpected \"=\" while decoding base64 sequence")
	}
	return sqlstate.New(sqlstate.InvalidParameterValue, "invalid base64 end sequence").
		WithHint("Input data is missing padding, is truncated, or is otherwise corrupted.")
}

// reservedWords are the keywords that quote_ident must quote: all but the
// unreserved ones of PostgreSQL 15.
var reservedWords = strings.Fields(`all analyse analyze and any array as asc asymmetric authorization between bigint
 binary bit boolean both case cast char character check coalesce collate collation column concurrently constraint create
 cross current_catalog current_date current_role current_schema current_time current_timestamp current_user dec decimal
 default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant
 greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join lateral
 leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif
 numeric offset on only or order out outer overlaps overlay placing position precision primary real references returning
 right row select session_user setof similar smallint some substring symmetric table tablesample then time timestamp to
 trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes
 xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`)

// QuoteIdent quotes an identifier where SQL needs it.
func QuoteIdent(s string) string {
	plain := s != "" && (s[0] == '_' || s[0] >= 'a' && s[0] <= 'z')
	for i := 0; plain && i < len(s); i++ {
		c := s[i]
		plain = c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	if plain && !slices.Contains(reservedWords, s) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// QuoteLiteral quotes a string as a literal.
func QuoteLiteral(s string) string {
	out := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(out, `\`, `\\`)
	}
	return out
}

func quoteNullable(b *binding) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		if a[0].IsNull() {
			return types.String("NULL"), nil
		}
		return types.String(QuoteLiteral(textOf(c, b.args[0], a[0]))), nil
	}
}

// concatAny joins the text of arguments of any types, skipping NULLs.
func concatAny(b *binding) evalFunc {
	return func(c *Ctx, args []datum) (datum, error) {
		var out []byte
		for i, a := range args {
			if !a.IsNull() {
				out = outputText(c, out, b.args[i], a)
			}
		}
		return types.String(string(out)), nil
	}
}

// outputText appends what the type's output function prints.
func outputText(c *Ctx, dst []byte, t *types.Type, d datum) []byte {
	return t.AppendText(dst, c.Format, d)
}

func concatWS(b *binding) evalFunc {
	return func(c *Ctx, args []datum) (datum, error) {
		if args[0].IsNull() {
			return null, nil
		}
		var out []byte
		first := true
		for i, a := range args[1:] {
			if a.IsNull() {
				continue
			}
			if !first {
				out = append(out, args[0].Str()...)
			}
			first = false
			out = outputText(c, out, b.args[i+1], a)
		}
		return types.String(string(out)), nil
	}
}

// catAny is text || anything and the reverse.
func catAny(b *binding) evalFunc {
	return func(c *Ctx, a []datum) (datum, error) {
		return types.String(textOf(c, b.args[0], a[0]) + textOf(c, b.args[1], a[1])), nil
	}
}

var stringBinds = map[string]func(*binding) evalFunc{
	"concat": concatAny, "concat_ws": concatWS, "textanycat": catAny, "anytextcat": catAny,
	"quote_literal(anyelement)": func(b *binding) evalFunc {
		return func(c *Ctx, a []datum) (datum, error) {
			return types.String(QuoteLiteral(textOf(c, b.args[0], a[0]))), nil
		}
	},
	"quote_nullable": quoteNullable, "format": formatString,
	"num_nulls": func(*binding) evalFunc {
		return func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(countNulls(a))), nil }
	},
	"num_nonnulls": func(*binding) evalFunc {
		return func(_ *Ctx, a []datum) (datum, error) { return types.Int(int64(len(a) - countNulls(a))), nil }
	},
}

func countNulls(a []datum) int {
	n := 0
	for _, d := range a {
		if d.IsNull() {
			n++
		}
	}
	return n
}

var encodeEvals = map[string]evalFunc{
	"encode": encode, "decode": decode,
	"quote_ident":         str1(QuoteIdent),
	"quote_literal(text)": str1(QuoteLiteral),
}

// formatString is format(): %s, %I, %L with positions, widths and flags.
func formatString(b *binding) evalFunc {
	return func(c *Ctx, args []datum) (datum, error) {
		if args[0].IsNull() {
			return null, nil
		}
		f := formatter{c: c, b: b, args: args, s: args[0].Str(), next: 1}
		for f.pos < len(f.s) {
			if err := f.step(); err != nil {
				return null, err
			}
			if len(f.out) > maxStringBytes {
				return null, lengthTooLarge()
			}
		}
		return types.String(string(f.out)), nil
	}
}

type formatter struct {
	c    *Ctx
	b    *binding
	args []datum
	s    string
	pos  int
	next int // the argument the next specifier without a position takes
	out  []byte
}

func formatError(msg string) error {
	return sqlstate.New(sqlstate.InvalidParameterValue, "%s", msg)
}

func (f *formatter) step() error {
	if f.s[f.pos] != '%' {
		f.out = append(f.out, f.s[f.pos])
		f.pos++
		return nil
	}
	f.pos++
	if f.pos < len(f.s) && f.s[f.pos] == '%' {
		f.out = append(f.out, '%')
		f.pos++
		return nil
	}
	arg, width, left, err := f.prefix()
	if err != nil {
		return err
	}
	if f.pos >= len(f.s) {
		return formatError("unterminated format() type specifier").(*sqlstate.Error).WithHint("For a single \"%%\" use \"%%%%\".")
	}
	kind := f.s[f.pos]
	if strings.IndexByte("sIL", kind) < 0 {
		return formatError("unrecognized format() type specifier \"" + string(kind) + "\"").(*sqlstate.Error).
			WithHint("For a single \"%%\" use \"%%%%\".")
	}
	f.pos++
	if arg == 0 {
		arg = f.next
	}
	f.next = arg + 1
	if arg >= len(f.args) {
		return formatError("too few arguments for format()")
	}
	return f.conversion(kind, arg, width, left)
}

func (f *formatter) number() (int, bool) {
	start := f.pos
	n := 0
	for f.pos < len(f.s) && f.s[f.pos] >= '0' && f.s[f.pos] <= '9' && n < maxStringBytes {
		n = n*10 + int(f.s[f.pos]-'0')
		f.pos++
	}
	return n, f.pos > start
}

// prefix reads [position$][-][width | * | *position$].
func (f *formatter) prefix() (arg, width int, left bool, err error) {
	if n, ok := f.number(); ok {
		if f.pos < len(f.s) && f.s[f.pos] == '$' {
			f.pos++
			if n == 0 {
				return 0, 0, false, formatError("format specifies argument 0, but arguments are numbered from 1")
			}
			arg = n
		} else {
			return 0, n, false, nil
		}
	}
	for f.pos < len(f.s) && f.s[f.pos] == '-' {
		left = true
		f.pos++
	}
	if f.pos < len(f.s) && f.s[f.pos] == '*' {
		f.pos++
		from := f.next
		if n, ok := f.number(); ok {
			if f.pos >= len(f.s) || f.s[f.pos] != '$' {
				return 0, 0, false, formatError("width argument position must be ended by \"$\"")
			}
			f.pos++
			from = n
		}
		f.next = from + 1
		if from >= len(f.args) || from == 0 {
			return 0, 0, false, formatError("too few arguments for format()")
		}
		if d := f.args[from]; d.Kind() == types.KindInt {
			width = int(max(min(d.Int(), maxStringBytes), -maxStringBytes))
		}
		if width < 0 {
			left, width = true, -width
		}
		return arg, width, left, nil
	}
	width, _ = f.number()
	return arg, width, left, nil
}

func (f *formatter) conversion(kind byte, arg, width int, left bool) error {
	d, text := f.args[arg], ""
	switch {
	case d.IsNull() && kind == 'I':
		return sqlstate.New(sqlstate.NullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
	case d.IsNull() && kind == 'L':
		text = "NULL"
	case d.IsNull():
	default:
		text = string(outputText(f.c, nil, f.b.args[arg], d))
		if kind == 'I' {
			text = QuoteIdent(text)
		} else if kind == 'L' {
			text = QuoteLiteral(text)
		}
	}
	fill := width - runeCount(text)
	if fill > 0 && !left {
		f.out = append(f.out, strings.Repeat(" ", fill)...)
	}
	f.out = append(f.out, text...)
	if fill > 0 && left {
		f.out = append(f.out, strings.Repeat(" ", fill)...)
	}
	return nil
}

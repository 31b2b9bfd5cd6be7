package syscat

import (
	_ "embed" // facts about PostgreSQL's functions
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

//go:embed data/procs.txt
var procData string

// proc is one row of pg_proc.
type proc struct {
	oid             types.OID
	schema          catalog.ID
	name, src       string
	cost, rows      float64
	kind            byte // f or a
	parallel        byte
	volatility      byte
	leakproof       bool
	strict, retSet  bool
	ret, variadic   types.OID
	defaults        int
	args, allArgs   []types.OID
	modes, argNames string             // as array literals hold them; "" for none
	names           []string           // of the parameters of a procedure
	arguments       string             // pg_get_function_arguments
	result          string             // pg_get_function_result
	identity        string             // pg_get_function_identity_arguments; "" for the types alone
	procedure       *catalog.Procedure // what users have made; nil for what the system has
}

// procLibrary is every function there is, which never changes.
type procLibrary struct {
	sorted []*proc // by OID
	byOID  map[types.OID]*proc
	named  map[string][]*proc
}

// procs lists the functions and aggregates that package expr can call, and those
// that only catalogs refer to: the input and output functions of types, the
// support functions of B-trees, and the functions of casts.
var procs = sync.OnceValue(func() *procLibrary {
	funcs, aggs := expr.Funcs(), expr.Aggregates()
	callable := make(map[types.OID]byte, len(funcs)+len(aggs))
	for _, f := range funcs {
		callable[f.OID] = 'f'
	}
	for _, a := range aggs {
		callable[a.OID] = 'a'
	}
	for _, c := range expr.Casts() {
		callable[c.Func] = 'f'
	}
	l := &procLibrary{byOID: map[types.OID]*proc{}, named: map[string][]*proc{}}
	for line := range strings.Lines(procData) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		w := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		kind, ok := callable[types.OID(number(w[0]))]
		if !ok && w[1] != "i" {
			continue
		}
		p := parseProc(w)
		if ok {
			p.kind = kind
		}
		l.add(p)
	}
	for _, f := range funcs {
		if l.byOID[f.OID] == nil {
			l.add(ownProc(f))
		}
	}
	slices.SortFunc(l.sorted, func(a, b *proc) int { return int(int64(a.oid) - int64(b.oid)) })
	return l
})

func (l *procLibrary) add(p *proc) {
	l.sorted = append(l.sorted, p)
	l.byOID[p.oid] = p
	l.named[p.name] = append(l.named[p.name], p)
}

func procByOID(oid types.OID) (*proc, bool) {
	p, ok := procs().byOID[oid]
	return p, ok
}

// number reads a number of the embedded data, which is known to be right.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("syscat: data: " + err.Error())
	}
	return n
}

func oidList(s string) []types.OID {
	if s == "-" {
		return nil
	}
	var out []types.OID
	for w := range strings.FieldsSeq(s) {
		out = append(out, types.OID(number(w)))
	}
	return out
}

func orEmpty(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// parseProc reads a line of data/procs.txt.
func parseProc(w []string) *proc {
	return &proc{
		oid: types.OID(number(w[0])), schema: catalog.PgCatalogID, kind: 'f', name: w[2], src: w[3], cost: float64(number(w[4])), rows: float64(number(w[5])),
		parallel: w[6][0], leakproof: w[7] == "t", volatility: w[8][0], strict: w[9] == "t", retSet: w[10] == "t",
		ret: types.OID(number(w[11])), variadic: types.OID(number(w[12])), defaults: int(number(w[13])),
		args: oidList(w[14]), allArgs: oidList(w[15]), modes: orEmpty(w[16]), argNames: orEmpty(w[17]),
		arguments: orEmpty(w[18]), result: orEmpty(w[19]),
	}
}

// ownProc describes a function of which the data about PostgreSQL's say nothing.
func ownProc(f *expr.Func) *proc {
	p := &proc{oid: f.OID, schema: catalog.PgCatalogID, name: f.Name, src: f.Name, cost: 1, kind: 'f', parallel: 'u', strict: f.Strict, retSet: f.RetSet,
		ret: f.Ret.OID, volatility: "isv"[f.Volatility], result: f.Ret.SQLName}
	if f.Own {
		p.schema = catalog.TidemarkSchemaID
	}
	var texts []string
	for i, a := range f.Args {
		p.args = append(p.args, a.OID)
		text := a.SQLName
		if f.ArgNames != nil {
			text = f.ArgNames[i] + " " + text
		}
		texts = append(texts, text)
	}
	if f.Variadic {
		last := len(f.Args) - 1
		texts[last] = "VARIADIC " + texts[last]
		if p.variadic = types.AnyType.OID; f.Args[last].Elem != nil {
			p.variadic = f.Args[last].Elem.OID
		}
	}
	if f.RetSet {
		p.result, p.rows = "SETOF "+p.result, 1000
	}
	p.arguments = strings.Join(texts, ", ")
	return p
}

var staticProcs = &staticRows{build: func(w *writer) {
	for _, p := range procs().sorted {
		w.begin()
		p.set(w)
		w.end()
	}
}}

func procRows(c *Context, r idRange, w *writer) error {
	if !staticProcs.send(w, r) {
		return nil
	}
	for _, d := range c.Catalog.All() {
		p, ok := d.(*catalog.Procedure)
		if !ok || !r.has(p.ID) {
			continue
		}
		w.begin()
		userProc(p).set(w)
		if !w.end() {
			return nil
		}
	}
	return nil
}

// userProc describes a procedure that users have made.
func userProc(d *catalog.Procedure) *proc {
	p := &proc{oid: types.OID(d.ID), name: d.Name, src: d.Source, cost: 100, kind: 'p', parallel: 'u', volatility: 'v',
		ret: types.VoidType.OID, args: d.ParamTypes(), procedure: d}
	var full, identity []string
	named := false
	for i := range d.Params {
		a := &d.Params[i]
		p.names = append(p.names, a.Name)
		named = named || a.Name != ""
		text := "IN "
		if a.Name != "" {
			text += quoteIdent(a.Name) + " "
		}
		text += formatType(a.Type, types.NoTypmod)
		identity = append(identity, text)
		if a.Default != "" {
			p.defaults++
			text += " DEFAULT " + a.Default
		}
		full = append(full, text)
	}
	if !named {
		p.names = nil
	}
	p.arguments, p.identity = strings.Join(full, ", "), strings.Join(identity, ", ")
	return p
}

// proc finds a function of the system or a procedure of users.
func (ci *CatalogInfo) proc(oid types.OID) (*proc, bool) {
	if p, ok := procByOID(oid); ok {
		return p, true
	}
	if d := ci.catalog.Procedure(catalog.ID(oid)); d != nil {
		return userProc(d), true
	}
	return nil, false
}

// visibleProc reports whether a function's bare name and its types mean it.
func (ci *CatalogInfo) visibleProc(p *proc) bool {
	if p.procedure == nil {
		return p.schema == catalog.PgCatalogID
	}
	for _, name := range ci.path {
		s := ci.catalog.SchemaByName(name)
		if s == nil {
			continue
		}
		for _, o := range ci.catalog.Procedures(catalog.Name{Schema: s.ID, Name: p.name}) {
			if equalOIDs(o.ParamTypes(), p.args) {
				return o.ID == p.procedure.ID
			}
		}
	}
	return false
}

// The OIDs of languages, PostgreSQL's.
const (
	languageInternal = 12 // of built-in functions
	languageC        = 13
	languageSQL      = 14
)

func (p *proc) set(w *writer) {
	w.set("oid", num(p.oid))
	w.set("proname", str(p.name))
	schema, owner, language := p.schema, catalog.ID(superuserOID), languageInternal
	if p.procedure != nil {
		schema, owner, language = p.procedure.Schema, catalog.ID(ownerID(p.procedure.Owner)), languageSQL
	}
	w.set("pronamespace", num(schema))
	w.set("proowner", num(owner))
	w.set("prolang", num(language))
	w.set("procost", types.Float(p.cost))
	w.set("prorows", types.Float(p.rows))
	w.set("provariadic", num(p.variadic))
	w.set("prokind", char(p.kind))
	w.set("proleakproof", types.Bool(p.leakproof))
	w.set("proisstrict", types.Bool(p.strict))
	w.set("proretset", types.Bool(p.retSet))
	w.set("provolatile", char(p.volatility))
	w.set("proparallel", char(p.parallel))
	w.set("pronargs", num(len(p.args)))
	w.set("pronargdefaults", num(p.defaults))
	w.set("prorettype", num(p.ret))
	w.set("proargtypes", vector(types.OIDVectorType, p.args))
	if p.allArgs != nil {
		w.set("proallargtypes", numArray(types.OIDType, p.allArgs))
	}
	if p.modes != "" {
		w.set("proargmodes", textArray(types.CharType, strings.Fields(p.modes)))
	}
	if names, err := types.TextArrayType.Parse(types.DefaultFormat(), p.argNames, types.NoTypmod); p.argNames != "" && err == nil {
		w.set("proargnames", names)
	}
	if p.names != nil {
		w.set("proargnames", textArray(types.TextType, p.names))
	}
	w.set("prosrc", str(p.src))
}

func aggregateRows(_ *Context, _ idRange, w *writer) error {
	for _, a := range expr.Aggregates() {
		w.begin()
		w.set("aggfnoid", num(a.OID))
		w.set("aggkind", char('n'))
		w.set("aggfinalmodify", char('r'))
		w.set("aggmfinalmodify", char('r'))
		if !w.end() {
			break
		}
	}
	return nil
}

// languageRows are the languages built-in functions are said to be in, and the
// one to write procedures in.
func languageRows(_ *Context, _ idRange, w *writer) error {
	for _, l := range []struct {
		oid, validator int
		name           string
		trusted        bool
	}{{languageInternal, 2246, "internal", false}, {languageC, 2247, "c", false}, {languageSQL, 2248, "sql", true}} {
		w.begin()
		w.set("oid", num(l.oid))
		w.set("lanname", str(l.name))
		w.set("lanowner", num(superuserOID))
		w.set("lanpltrusted", types.Bool(l.trusted))
		w.set("lanvalidator", num(l.validator))
		if !w.end() {
			break
		}
	}
	return nil
}

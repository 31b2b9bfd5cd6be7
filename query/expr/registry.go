package expr

import (
	_ "embed" // the signatures below
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/sm/types"
)

// signatures lists, one on a line and separated by blanks:
//
//	F oid name args result volatility strict set variadic kind defaults outtypes outnames
//	O oid name left right result function-oid commutator negator
//	C oid source target function-oid context method
//
//go:embed signatures.txt
var signatures string

// firstOwnOID is where OIDs of functions PostgreSQL does not have begin; those
// below 16384 are reserved to the system.
const firstOwnOID = 16000

// library is everything the package knows, indexed. It is built once and
// never changed.
type library struct {
	funcs      []*Func // in OID order
	funcByOID  map[types.OID]*Func
	funcByName map[string][]*Func
	aggs       []*Aggregate
	aggByName  map[string][]*Aggregate
	opers      []*Operator
	operByName map[string][]*Operator
	casts      []*CastEntry
	castByType map[[2]types.OID]*CastEntry
}

var lib = newLibrary()

// evalMaps are the implementations, keyed by name(args) or by name.
func evalMaps() []map[string]evalFunc {
	return []map[string]evalFunc{arithmeticEvals, numericEvals, castEvals, boolEvals, numericMathEvals, floatMathEvals,
		datetimeEvals, extractEvals, stringEvals, encodeEvals, likeEvals, regexEvals, arrayEvals, jsonTextEvals, jsonbEvals,
		infoEvals, toCharEvals}
}

// bindMaps are the implementations that depend on argument types.
func bindMaps() []map[string]func(*binding) evalFunc {
	return []map[string]func(*binding) evalFunc{jsonBinds, stringBinds, arrayBinds, infoBinds}
}

// setMaps are the set-returning implementations.
func setMaps() []map[string]setFunc { return []map[string]setFunc{setFuncs, jsonSets, outerSetFuncs} }

func newLibrary() *library {
	l := &library{
		funcByOID: map[types.OID]*Func{}, funcByName: map[string][]*Func{}, aggByName: map[string][]*Aggregate{},
		operByName: map[string][]*Operator{}, castByType: map[[2]types.OID]*CastEntry{},
	}
	impl := newImplementations()
	var defaults [][2]any
	for line := range strings.Lines(signatures) {
		w := strings.Fields(line)
		switch w[0] {
		case "F":
			if w[9] != "f" {
				l.addAggregate(w)
				continue
			}
			f := parseFunc(w)
			impl.attach(f)
			l.addFunc(f)
			if w[10] != "0" {
				defaults = append(defaults, [2]any{f, atoi(w[10])})
			}
		case "O":
			l.addOperator(w, impl)
		case "C":
			l.addCast(w)
		}
	}
	for _, d := range defaults {
		l.addShortened(d[0].(*Func), d[1].(int))
	}
	for i, f := range ownFuncs() {
		f.OID = types.OID(firstOwnOID + i)
		f.Own = true
		l.addFunc(f)
	}
	slices.SortFunc(l.funcs, func(a, b *Func) int { return int(a.OID) - int(b.OID) })
	return l
}

// implementations joins the maps and remembers what was used, so that a test
// can find entries that match no signature.
type implementations struct {
	evals map[string]evalFunc
	binds map[string]func(*binding) evalFunc
	sets  map[string]setFunc
	used  map[string]bool
}

func newImplementations() *implementations {
	m := &implementations{map[string]evalFunc{}, map[string]func(*binding) evalFunc{}, map[string]setFunc{}, map[string]bool{}}
	for _, e := range evalMaps() {
		maps.Copy(m.evals, e)
	}
	for _, e := range bindMaps() {
		maps.Copy(m.binds, e)
	}
	for _, e := range setMaps() {
		maps.Copy(m.sets, e)
	}
	return m
}

func (m *implementations) attach(f *Func) {
	for _, key := range []string{f.signature(), f.Name} {
		m.used[key] = true
		if f.RetSet {
			if s, ok := m.sets[key]; ok {
				f.Set = s
				return
			}
			continue
		}
		if e, ok := m.evals[key]; ok {
			f.Eval = e
			return
		}
		if b, ok := m.binds[key]; ok {
			f.bind = b
			return
		}
	}
	if f.Name == "overlaps" {
		f.Eval = overlaps(f)
	} else {
		f.Eval = derived(f)
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("expr: signatures.txt: %q is not a number", s))
	}
	return n
}

func mustType(name string) *types.Type {
	t, ok := types.ByName(name)
	if !ok {
		panic(fmt.Sprintf("expr: signatures.txt: unknown type %q", name))
	}
	return t
}

func parseTypes(list string) []*types.Type {
	if list == "-" {
		return nil
	}
	var out []*types.Type
	for name := range strings.SplitSeq(list, ",") {
		out = append(out, mustType(name))
	}
	return out
}

func parseFunc(w []string) *Func {
	f := &Func{OID: types.OID(atoi(w[1])), Name: w[2], Args: parseTypes(w[3]), Ret: mustType(w[4]),
		Strict: w[6] == "t", RetSet: w[7] == "t", Variadic: w[8] == "t", OutTypes: parseTypes(w[11])}
	switch w[5] {
	case "s":
		f.Volatility = Stable
	case "v":
		f.Volatility = Volatile
	}
	if w[12] != "-" {
		f.OutNames = strings.Split(w[12], ",")
	}
	f.ReadOnlyOnly = readOnlyFuncs[f.signature()] || readOnlyFuncs[f.Name]
	return f
}

func (l *library) addFunc(f *Func) {
	l.funcs = append(l.funcs, f)
	l.funcByOID[f.OID] = f
	name := f.Name
	if f.Own {
		name = OwnSchema + "." + name
	}
	l.funcByName[name] = append(l.funcByName[name], f)
}

// addShortened adds the variants that parameters with defaults allow.
func (l *library) addShortened(f *Func, n int) {
	values, ok := defaultArgs[f.Name]
	if !ok || !f.Implemented() {
		return
	}
	for drop := 1; drop <= n; drop++ {
		short := *f
		short.shortened, short.Variadic = true, false
		short.Args = f.Args[:len(f.Args)-drop]
		tail := values[len(values)-drop:]
		eval, set := f.Eval, f.Set
		if eval != nil {
			short.Eval = func(c *Ctx, args []datum) (datum, error) { return eval(c, append(slices.Clip(args), tail...)) }
		}
		if set != nil {
			short.Set = func(c *Ctx, args []datum) (RowIter, error) { return set(c, append(slices.Clip(args), tail...)) }
		}
		l.funcByName[f.Name] = append(l.funcByName[f.Name], &short)
	}
}

func (l *library) addOperator(w []string, impl *implementations) {
	o := &Operator{OID: types.OID(atoi(w[1])), Name: w[2], Right: mustType(w[4]), Ret: mustType(w[5]),
		Commutator: types.OID(atoi(w[7])), Negator: types.OID(atoi(w[8]))}
	if w[3] != "-" {
		o.Left = mustType(w[3])
	}
	f, ok := l.funcByOID[types.OID(atoi(w[6]))]
	if !ok {
		return
	}
	if f.Eval == nil && o.Left != nil && f.bind == nil {
		// The pattern and image operators (~<~, *=) order as the plain ones
		// do, because strings compare by their bytes here.
		f.Eval = comparison(strings.Trim(o.Name, "~*"), o.Left, o.Right)
	}
	o.Func = f
	l.opers = append(l.opers, o)
	l.operByName[o.Name] = append(l.operByName[o.Name], o)
}

// Funcs lists the functions that can be called, in OID order.
func Funcs() []*Func {
	return slices.DeleteFunc(slices.Clone(lib.funcs), func(f *Func) bool { return !f.Implemented() || f.shortened })
}

// Operators lists the operators that can be called, in OID order.
func Operators() []*Operator {
	return slices.DeleteFunc(slices.Clone(lib.opers), func(o *Operator) bool { return !o.Func.Implemented() })
}

// FuncByOID returns a built-in function.
func FuncByOID(oid types.OID) (*Func, bool) {
	f, ok := lib.funcByOID[oid]
	return f, ok && f.Implemented()
}

// FuncsByName returns the functions with a name that can be called.
func FuncsByName(name string) []*Func {
	var out []*Func
	for _, f := range lib.funcByName[name] {
		if f.Implemented() && !f.shortened {
			out = append(out, f)
		}
	}
	return out
}

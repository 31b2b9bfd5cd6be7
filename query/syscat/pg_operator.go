package syscat

import (
	_ "embed" // operator classes
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

//go:embed data/opclasses.txt
var opclassData string

// operators lists the operators there are, which never changes.
var operators = sync.OnceValue(expr.Operators)

// Access methods, with PostgreSQL's OIDs.
const (
	heapMethod  = 2
	btreeMethod = 403
)

// btree is what pg_opfamily, pg_opclass, pg_amop and pg_amproc say: records of
// numbers, and the names of families and classes.
type btreeClasses struct {
	families, classes, ops, procs []opRecord
	// byType is the default operator class of a type.
	byType map[types.OID]catalog.ID
}

type opRecord struct {
	id     int64
	name   string
	fields []int64
}

var btree = sync.OnceValue(func() *btreeClasses {
	b := &btreeClasses{byType: map[types.OID]catalog.ID{}}
	callable := map[types.OID]bool{}
	for _, o := range operators() {
		callable[o.OID] = true
	}
	for line := range strings.Lines(opclassData) {
		w := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch w[0] {
		case "family":
			b.families = append(b.families, opRecord{id: number(w[1]), name: w[2]})
		case "class":
			c := opRecord{number(w[1]), w[2], []int64{number(w[3]), number(w[4]), 0, number(w[6])}}
			if w[5] == "t" {
				c.fields[2] = 1
				b.byType[types.OID(c.fields[1])] = catalog.ID(c.id)
			}
			b.classes = append(b.classes, c)
		case "op":
			if callable[types.OID(number(w[6]))] {
				b.ops = append(b.ops, opRecord{id: number(w[1]), fields: numbers(w[2:])})
			}
		case "proc":
			b.procs = append(b.procs, opRecord{id: number(w[1]), fields: numbers(w[2:])})
		}
	}
	return b
})

func numbers(words []string) []int64 {
	out := make([]int64, len(words))
	for i, w := range words {
		out[i] = number(w)
	}
	return out
}

// opclassOf returns the operator class of an index column, or 0.
func opclassOf(oid types.OID) catalog.ID {
	b := btree()
	if id := b.byType[oid]; id != 0 {
		return id
	}
	t, ok := types.ByOID(oid)
	switch {
	case !ok:
		return 0
	case t == types.VarcharType:
		return b.byType[types.TextType.OID]
	case t.IsReg():
		return b.byType[types.OIDType.OID]
	case t.Elem != nil:
		return b.byType[types.AnyArrayType.OID]
	}
	return 0
}

func amRows(_ *Context, _ idRange, w *writer) error {
	_ = w.send(num(heapMethod), str("heap"), num(3), char('t')) && w.send(num(btreeMethod), str("btree"), num(330), char('i'))
	return nil
}

func opfamilyRows(_ *Context, _ idRange, w *writer) error {
	for _, f := range btree().families {
		if !w.send(num(f.id), num(btreeMethod), str(f.name), num(catalog.PgCatalogID), num(superuserOID)) {
			break
		}
	}
	return nil
}

func opclassRows(_ *Context, _ idRange, w *writer) error {
	for _, c := range btree().classes {
		if !w.send(num(c.id), num(btreeMethod), str(c.name), num(catalog.PgCatalogID), num(superuserOID),
			num(c.fields[0]), num(c.fields[1]), types.Bool(c.fields[2] != 0), num(c.fields[3])) {
			break
		}
	}
	return nil
}

func amopRows(_ *Context, _ idRange, w *writer) error {
	for _, o := range btree().ops {
		f := o.fields
		if !w.send(num(o.id), num(f[0]), num(f[1]), num(f[2]), num(f[3]), char('s'), num(f[4]), num(btreeMethod), num(0)) {
			break
		}
	}
	return nil
}

func amprocRows(_ *Context, _ idRange, w *writer) error {
	for _, p := range btree().procs {
		f := p.fields
		if !w.send(num(p.id), num(f[0]), num(f[1]), num(f[2]), num(f[3]), num(f[4])) {
			break
		}
	}
	return nil
}

var staticOperators = &staticRows{build: func(w *writer) {
	for _, o := range operators() {
		w.begin()
		w.set("oid", num(o.OID))
		w.set("oprname", str(o.Name))
		w.set("oprnamespace", num(catalog.PgCatalogID))
		w.set("oprowner", num(superuserOID))
		kind := byte('b')
		if o.Left == nil {
			kind = 'l'
		}
		equality := o.Name == "=" && o.Left != nil && opclassOf(o.Left.OID) != 0
		w.set("oprkind", char(kind))
		w.set("oprcanmerge", types.Bool(equality))
		w.set("oprcanhash", types.Bool(equality))
		w.set("oprleft", num(typeOID(o.Left)))
		w.set("oprright", num(o.Right.OID))
		w.set("oprresult", num(o.Ret.OID))
		w.set("oprcom", num(o.Commutator))
		w.set("oprnegate", num(o.Negator))
		w.set("oprcode", num(o.Func.OID))
		w.end()
	}
}}

func operatorRows(_ *Context, r idRange, w *writer) error {
	staticOperators.send(w, r)
	return nil
}

func castRows(_ *Context, _ idRange, w *writer) error {
	for _, c := range expr.Casts() {
		if !w.send(num(c.OID), num(c.From.OID), num(c.To.OID), num(c.Func), char(castContext(c)), char(c.Method)) {
			break
		}
	}
	return nil
}

func castContext(c *expr.CastEntry) byte {
	switch c.Context {
	case expr.Implicit:
		return 'i'
	case expr.Assignment:
		return 'a'
	}
	return 'e'
}

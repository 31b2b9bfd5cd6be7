package syscat

import (
	_ "embed" // facts about PostgreSQL's types
	"strings"
	"sync"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

//go:embed data/types.txt
var typeData string

// typeFact is what pg_type says of a type beyond types.Type.
type typeFact struct {
	byValue                              bool
	kind, delim, align, storage          byte
	subscript, elem, array               types.OID
	input, output, receive, send         types.OID
	typmodInput, typmodOutput, collation types.OID
}

var typeFacts = sync.OnceValue(func() map[types.OID]*typeFact {
	m := map[types.OID]*typeFact{}
	for line := range strings.Lines(typeData) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		w := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		oid := func(i int) types.OID { return types.OID(number(w[i])) }
		m[oid(0)] = &typeFact{
			byValue: w[2] == "t", kind: w[3][0], delim: w[4][0], subscript: oid(5), elem: oid(6), array: oid(7),
			input: oid(8), output: oid(9), receive: oid(10), send: oid(11), typmodInput: oid(12), typmodOutput: oid(13),
			align: w[14][0], storage: w[15][0], collation: oid(16),
		}
	}
	return m
})

// noFact stands for a type the data does not know, which a test rules out.
var noFact = &typeFact{kind: 'b', delim: ',', align: 'i', storage: 'x'}

func factOf(oid types.OID) *typeFact {
	if f := typeFacts()[oid]; f != nil {
		return f
	}
	return noFact
}

var staticTypes = &staticRows{build: func(w *writer) {
	for _, t := range types.All() {
		f := factOf(t.OID)
		w.begin()
		w.set("oid", num(t.OID))
		w.set("typname", str(t.Name))
		w.set("typnamespace", num(catalog.PgCatalogID))
		w.set("typowner", num(superuserOID))
		w.set("typlen", num(t.Len))
		w.set("typbyval", types.Bool(f.byValue))
		w.set("typtype", char(f.kind))
		w.set("typcategory", char(byte(t.Category)))
		w.set("typispreferred", types.Bool(t.Preferred))
		w.set("typisdefined", types.Bool(true))
		w.set("typdelim", char(f.delim))
		w.set("typsubscript", num(f.subscript))
		w.set("typelem", num(f.elem))
		w.set("typarray", num(f.array))
		w.set("typinput", num(f.input))
		w.set("typoutput", num(f.output))
		w.set("typreceive", num(f.receive))
		w.set("typsend", num(f.send))
		w.set("typmodin", num(f.typmodInput))
		w.set("typmodout", num(f.typmodOutput))
		w.set("typalign", char(f.align))
		w.set("typstorage", char(f.storage))
		w.set("typtypmod", num(types.NoTypmod))
		w.set("typcollation", num(f.collation))
		w.end()
	}
}}

func typeRows(_ *Context, r idRange, w *writer) error {
	staticTypes.send(w, r)
	return nil
}

// collation is one row of pg_collation.
type collation struct {
	id       catalog.ID
	name     string
	provider byte
	encoding int
	locale   string
}

// collations are those every PostgreSQL has. All of them compare bytes here.
var collations = []collation{
	{100, "default", 'd', -1, ""},
	{950, "C", 'c', -1, "C"},
	{951, "POSIX", 'c', -1, "POSIX"},
}

func collationRows(_ *Context, _ idRange, w *writer) error {
	for _, c := range collations {
		w.begin()
		w.set("oid", num(c.id))
		w.set("collname", str(c.name))
		w.set("collnamespace", num(catalog.PgCatalogID))
		w.set("collowner", num(superuserOID))
		w.set("collprovider", char(c.provider))
		w.set("collisdeterministic", types.Bool(true))
		w.set("collencoding", num(c.encoding))
		w.set("collcollate", strOrNull(c.locale))
		w.set("collctype", strOrNull(c.locale))
		if !w.end() {
			break
		}
	}
	return nil
}

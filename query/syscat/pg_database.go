package syscat

import (
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// postgresOID is the OID of the database that a cluster begins with.
const postgresOID = 5

// databaseComment is what PostgreSQL says of the database it makes first.
const databaseComment = "default administrative connection database"

func shdescriptionRows(_ *Context, _ idRange, w *writer) error {
	w.send(num(postgresOID), num(classDatabase), str(databaseComment))
	return nil
}

// databaseRows lists what this node knows of; another log says which there are.
func databaseRows(c *Context, _ idRange, w *writer) error {
	for _, d := range c.Session.Databases() {
		w.begin()
		w.set("oid", num(d.OID))
		w.set("datname", str(d.Name))
		w.set("datdba", num(ownerID(d.Owner)))
		w.set("encoding", num(encodingUTF8))
		w.set("datlocprovider", char('c'))
		w.set("datallowconn", types.Bool(!d.NoConnections))
		w.set("datconnlimit", num(unlimited))
		w.set("dattablespace", num(tablespaceDefault))
		w.set("datcollate", str(databaseLocale))
		w.set("datctype", str(databaseLocale))
		if !w.end() {
			break
		}
	}
	return nil
}

// databaseID is the OID of the session's database; 0 if nobody knows it.
func (c *Context) databaseID() catalog.ID {
	for _, d := range c.Session.Databases() {
		if d.Name == c.database() {
			return catalog.ID(d.OID)
		}
	}
	return 0
}

// findDatabase finds the database that an argument names or numbers; nil when there
// is none of that number. In apply it knows its own name and no more: which others
// there are is not in its log.
func (ci *CatalogInfo) findDatabase(d types.Datum) (*DatabaseInfo, error) {
	byName := d.Kind() == types.KindString
	if ci.Databases == nil {
		if byName && d.Str() == ci.database {
			return &DatabaseInfo{Name: ci.database}, nil
		}
		return nil, sqlstate.New(sqlstate.FeatureNotSupported, "asking about databases is not supported in a statement that writes")
	}
	for _, x := range ci.Databases() {
		if byName && x.Name == d.Str() || !byName && catalog.ID(x.OID) == oidArg(d) {
			return &x, nil
		}
	}
	if byName {
		return nil, sqlstate.New(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", d.Str())
	}
	return nil, nil
}

func (ci *CatalogInfo) existsDatabase(d types.Datum) (bool, error) {
	x, err := ci.findDatabase(d)
	return x != nil, err
}

// databaseSize is pg_database_size(); NULL for a database whose tables are not on
// this node.
func databaseSize(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	d, err := ci.findDatabase(args[0])
	switch {
	case d == nil || err != nil:
		return types.NullDatum, err
	case d.Bytes > 0:
		return types.Int(d.Bytes), nil
	case d.Name != ci.database:
		return types.NullDatum, nil
	}
	return types.Int(ci.allBytes()), nil
}

// tablespaceSize is pg_tablespace_size(); everything of this database is in one.
func tablespaceSize(ci *CatalogInfo, args []types.Datum) (types.Datum, error) {
	ok, err := ci.existsTablespace(args[0])
	if !ok || err != nil {
		return types.NullDatum, err
	}
	return types.Int(ci.allBytes()), nil
}

// allBytes is the size of all tables.
func (ci *CatalogInfo) allBytes() int64 {
	total := int64(0)
	for t := range storedTables(ci.catalog, everyID) {
		rel := tableRelation(t)
		total += ci.bytes(t, nil) + ci.indexBytes(&rel)
	}
	return total
}

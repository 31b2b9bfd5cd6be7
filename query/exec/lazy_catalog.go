package exec

import (
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// lazyCatalog makes what functions may ask of the catalog when the first of them
// asks: most statements call none.
type lazyCatalog struct {
	catalog        *catalog.Catalog
	path           []string
	database, user string
	databases      func() []syscat.DatabaseInfo
	info           *syscat.CatalogInfo
}

// NewLazyCatalog returns what functions may ask of a catalog. databases are those
// there are, nil in a statement that writes.
func NewLazyCatalog(c *catalog.Catalog, path []string, database, user string, databases func() []syscat.DatabaseInfo) expr.CatalogInfo {
	return &lazyCatalog{catalog: c, path: path, database: database, user: user, databases: databases}
}

func (l *lazyCatalog) get() *syscat.CatalogInfo {
	if l.info == nil {
		l.info = syscat.NewCatalogInfo(l.catalog, l.path, l.database, l.user)
		l.info.Databases = l.databases
	}
	return l.info
}

// RegIn implements expr.CatalogInfo.
func (l *lazyCatalog) RegIn(t *types.Type, name string) (types.OID, error) {
	return l.get().RegIn(t, name)
}

// RegOut implements expr.CatalogInfo.
func (l *lazyCatalog) RegOut(t *types.Type, oid types.OID) (string, bool) {
	return l.get().RegOut(t, oid)
}

// Call implements expr.CatalogInfo.
func (l *lazyCatalog) Call(name string, args []types.Datum) (types.Datum, bool, error) {
	return l.get().Call(name, args)
}

// CallSet implements expr.SetSource.
func (l *lazyCatalog) CallSet(name string, args []types.Datum) (expr.RowIter, bool, error) {
	return l.get().CallSet(name, args)
}

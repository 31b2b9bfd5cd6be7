package sim

import (
	"fmt"

	"github.com/tidemark-db/tidemark/sm/types"
)

// message emits messages, alone or one for each row of something.
func (g *generator) message() string {
	t, cols := g.table()
	transactional := g.pick("true", "true", "false")
	switch g.rnd.IntN(4) {
	case 0:
		return fmt.Sprintf("SELECT id, pg_logical_emit_message(%s, 'rows', id::text) FROM %s WHERE id < 20 ORDER BY id", transactional, t)
	case 1:
		return fmt.Sprintf("INSERT INTO %s (id) SELECT %d WHERE pg_logical_emit_message(%s, 'insert', 'x') IS NOT NULL", t, 1000+g.id(), transactional)
	case 2:
		return fmt.Sprintf("SELECT pg_logical_emit_message(%s, 'content', %s::text)", transactional, g.column(cols, 0)) // a column of nothing
	}
	return fmt.Sprintf(`SELECT pg_logical_emit_message(%s, 'p%d', '\x00%02d'::bytea)`, transactional, g.id(), g.id())
}

// publication defines, changes or drops one of a few publications, and says how
// rows are identified. Those that are there for long are of inserts only, so that
// most tables can be written to.
func (g *generator) publication() string {
	t, cols := g.table()
	p := fmt.Sprintf("p%d", g.rnd.IntN(4))
	object := g.pick(t, t, t+" (id)", fmt.Sprintf("%s (id, %s)", t, g.column(cols, 0)),
		fmt.Sprintf("%s WHERE (%s > %d)", t, g.column(cols, types.Int4Type.OID), g.id()), fmt.Sprintf("%s WHERE (random() < 1)", t))
	switch g.rnd.IntN(8) {
	case 0:
		return fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = '%s')", p, object, g.pick("insert", "insert", "insert, update", "truncate"))
	case 1:
		return fmt.Sprintf("CREATE PUBLICATION %s FOR %s WITH (publish = 'insert')", p, g.pick("ALL TABLES", "TABLES IN SCHEMA public"))
	case 2:
		return fmt.Sprintf("ALTER PUBLICATION %s %s TABLE %s", p, g.pick("ADD", "SET"), object)
	case 3:
		return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s", p, t)
	case 4:
		return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY %s", t, g.pick("FULL", "DEFAULT", "NOTHING", fmt.Sprintf("USING INDEX i%d", g.rnd.IntN(9))))
	case 5:
		return fmt.Sprintf("ALTER PUBLICATION %s RENAME TO p%d", p, g.rnd.IntN(4))
	}
	return "DROP PUBLICATION " + p
}

package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/types"
)

// generator draws SQL over the tables that there are, t0 to t5, and some that
// there are not.
type generator struct {
	rnd *rand.Rand
	cat *catalog.Catalog
}

const mixTables = 6

func (g *generator) pick(of ...string) string { return of[g.rnd.IntN(len(of))] }

func (g *generator) name() string { return fmt.Sprintf("t%d", g.rnd.IntN(mixTables)) }

// table draws a table that exists, nearly always, and its live columns.
func (g *generator) table() (string, []catalog.Column) {
	for range 8 {
		n := g.name()
		if t := g.cat.Table(g.cat.Relation(catalog.Name{Schema: catalog.PublicID, Name: n})); t != nil {
			var cols []catalog.Column
			for _, c := range t.Columns {
				if !c.Dropped {
					cols = append(cols, c)
				}
			}
			return n, cols
		}
	}
	return g.name(), nil
}

// column draws one of the columns that want accepts.
func (g *generator) column(cols []catalog.Column, want ...types.OID) string {
	var fit []string
	for _, c := range cols {
		for _, o := range want {
			if c.Type == o || o == 0 {
				fit = append(fit, c.Name)
			}
		}
	}
	if len(fit) == 0 {
		return "id"
	}
	return g.pick(fit...)
}

func (g *generator) id() int { return g.rnd.IntN(60) }

// value is an expression for a column of the type.
func (g *generator) value(oid types.OID) string {
	if g.rnd.IntN(25) == 0 {
		return "NULL"
	}
	n := g.rnd.IntN(100)
	switch oid {
	case types.Int4Type.OID:
		return g.pick(fmt.Sprint(n), fmt.Sprint(-n), fmt.Sprintf("%d * 2 + 1", n), "(random() * 100)::int", "2147483647", fmt.Sprintf("%d %% 7", n), "length('abc')")
	case types.Int8Type.OID:
		return g.pick(fmt.Sprint(n), "9223372036854775807", fmt.Sprintf("%d::bigint << 3", n), "(SELECT count(*) FROM bank)", "extract(epoch FROM now())::bigint")
	case types.TextType.OID:
		return g.pick(fmt.Sprintf("'text %d'", n), "''", "'ünïcode ☃'", fmt.Sprintf("repeat('x', %d)", n), "gen_random_uuid()::text", fmt.Sprintf("md5('%d')", n), "current_user", "now()::text", fmt.Sprintf("E'a\\\\b\\n%d'", n))
	case types.NumericType.OID:
		return g.pick(fmt.Sprintf("%d.%02d", n, n), "0.000001", fmt.Sprintf("%d / 3.0", n), "1e20", fmt.Sprintf("round(%d.5678, 2)", n), "random()::numeric(10,4)")
	case types.BoolType.OID:
		return g.pick("true", "false", fmt.Sprintf("%d > 50", n), "random() < 0.5")
	case types.DateType.OID:
		return g.pick("current_date", fmt.Sprintf("date '2026-01-01' + %d", n), "'2024-02-29'", "'infinity'")
	case types.TimestampTZType.OID:
		return g.pick("now()", "statement_timestamp()", fmt.Sprintf("now() - interval '%d hours'", n), "'2026-03-29 02:30:00+01'", "date_trunc('hour', now())")
	case types.UUIDType.OID:
		return g.pick("gen_random_uuid()", fmt.Sprintf("'00000000-0000-0000-0000-0000000000%02d'", n))
	case types.JSONBType.OID:
		return g.pick(fmt.Sprintf(`'{"a": %d, "b": [1, 2, null]}'`, n), `'"str"'`, fmt.Sprintf(`jsonb_build_object('n', %d)`, n), `'[]'`)
	case types.Float8Type.OID:
		return g.pick(fmt.Sprintf("%d.5", n), "random()", "'NaN'", "'-Infinity'", fmt.Sprintf("%d::float8 / 7", n))
	case types.ByteaType.OID:
		return g.pick(fmt.Sprintf(`'\x%02d00ff'`, n), `''`)
	}
	return fmt.Sprintf("'{%d, %d, NULL}'", n, n+1)
}

// condition is a boolean expression over the table.
func (g *generator) condition(cols []catalog.Column) string {
	n := g.id()
	other, _ := g.table()
	switch g.rnd.IntN(14) {
	case 0:
		return fmt.Sprintf("id = %d", n)
	case 1:
		return fmt.Sprintf("id BETWEEN %d AND %d", n, n+g.rnd.IntN(10))
	case 2:
		return fmt.Sprintf("id IN (%d, %d, %d)", n, n+3, g.id())
	case 3:
		return fmt.Sprintf("id IN (SELECT id FROM %s WHERE id < %d)", other, n)
	case 4:
		return fmt.Sprintf("id IN (SELECT id FROM %s LIMIT %d)", other, 1+g.rnd.IntN(4))
	case 5:
		return fmt.Sprintf("EXISTS (SELECT 1 FROM %s o WHERE o.id = x.id + 1)", other)
	case 6:
		return g.column(cols, types.TextType.OID) + "::text LIKE '%1%'"
	case 7:
		return g.column(cols, 0) + " IS NOT NULL AND id % 3 = 1"
	case 8:
		return fmt.Sprintf("%s = %d", g.column(cols, types.Int4Type.OID, types.Int8Type.OID), n)
	case 9:
		return fmt.Sprintf("%s > %d OR id = %d", g.column(cols, types.Int4Type.OID, types.Int8Type.OID, types.NumericType.OID), n, n)
	case 10:
		return fmt.Sprintf("id > (SELECT avg(id) FROM %s)", other)
	case 11:
		return "random() < 0.3"
	case 12:
		return fmt.Sprintf("id = (SELECT max(id) FROM %s)", other)
	}
	return fmt.Sprintf("id < %d", n/4)
}

func (g *generator) returning(cols []catalog.Column) string {
	switch g.rnd.IntN(5) {
	case 0:
		return " RETURNING *"
	case 1:
		return " RETURNING id, " + g.column(cols, 0)
	case 2:
		return " RETURNING id * 2 AS twice, now() > '2020-01-01'"
	}
	return ""
}

func (g *generator) insert() string {
	t, cols := g.table()
	var names []string
	for _, c := range cols {
		if c.Name == "id" || g.rnd.IntN(4) > 0 {
			names = append(names, c.Name)
		}
	}
	if len(cols) == 0 || len(names) == 0 {
		return "INSERT INTO " + t + " DEFAULT VALUES"
	}
	if g.rnd.IntN(8) == 0 {
		other, _ := g.table()
		return fmt.Sprintf("INSERT INTO %s (id) SELECT id + %d FROM %s%s", t, 100+g.id(), other, g.pick("", " ORDER BY id DESC LIMIT 5", " LIMIT 3", " WHERE id % 2 = 0"))
	}
	rows := make([]string, 1+g.rnd.IntN(1+g.rnd.IntN(8)))
	for i := range rows {
		var values []string
		for _, n := range names {
			for _, c := range cols {
				switch {
				case c.Name != n:
				case n == "id" && g.rnd.IntN(8) == 0:
					values = append(values, "DEFAULT")
				case n == "id":
					values = append(values, fmt.Sprint(g.id()*(1+g.rnd.IntN(20))))
				default:
					values = append(values, g.value(c.Type))
				}
			}
		}
		rows[i] = "(" + strings.Join(values, ", ") + ")"
	}
	conflict := ""
	switch g.rnd.IntN(6) {
	case 0:
		conflict = " ON CONFLICT DO NOTHING"
	case 1:
		conflict = " ON CONFLICT (id) DO UPDATE SET " + g.assign(cols)
	case 2:
		conflict = fmt.Sprintf(" ON CONFLICT (id) DO UPDATE SET %s = excluded.%[1]s WHERE %s.id %% 2 = 0", g.column(cols[1:], 0), t)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES %s%s%s", t, strings.Join(names, ", "), strings.Join(rows, ", "), conflict, g.returning(cols))
}

func (g *generator) assign(cols []catalog.Column) string {
	if len(cols) < 2 || g.rnd.IntN(12) == 0 {
		return fmt.Sprintf("id = %d", g.id())
	}
	c := cols[1+g.rnd.IntN(len(cols)-1)]
	v := g.value(c.Type)
	switch c.Type {
	case types.Int4Type.OID, types.Int8Type.OID:
		v = g.pick(v, "coalesce("+c.Name+", 0) + 1", c.Name+" / (id % 5)")
	}
	if c.Type == types.TextType.OID {
		v = g.pick(v, "left("+c.Name+" || 'z', 40)")
	}
	return c.Name + " = " + v
}

func (g *generator) update() string {
	t, cols := g.table()
	if g.rnd.IntN(5) == 0 {
		other, _ := g.table()
		return fmt.Sprintf("UPDATE %s x SET %s FROM %s o WHERE o.id = x.id AND o.id < %d", t, g.assign(cols), other, g.id()) + g.pick("", " RETURNING x.id")
	}
	return fmt.Sprintf("UPDATE %s x SET %s WHERE %s%s", t, g.assign(cols), g.condition(cols), g.returning(cols))
}

func (g *generator) delete() string {
	t, cols := g.table()
	if g.rnd.IntN(10) == 0 {
		return "DELETE FROM wide WHERE id % 3 > 0" + g.pick("", " RETURNING id")
	}
	if g.rnd.IntN(6) == 0 {
		other, _ := g.table()
		return fmt.Sprintf("DELETE FROM %s x USING %s o WHERE o.id = x.id + 7", t, other)
	}
	return fmt.Sprintf("DELETE FROM %s x WHERE %s%s", t, g.condition(cols), g.returning(cols))
}

func (g *generator) query() string {
	t, cols := g.table()
	other, _ := g.table()
	switch g.rnd.IntN(10) {
	case 0:
		return "SELECT * FROM " + t
	case 1:
		return fmt.Sprintf("SELECT x.id, o.id FROM %s x LEFT JOIN %s o ON o.id = x.id + 1 ORDER BY 1, 2 LIMIT 20", t, other)
	case 2:
		return fmt.Sprintf("SELECT %s, count(*), min(id), max(id) FROM %s GROUP BY 1", g.column(cols, 0), t)
	case 3:
		return fmt.Sprintf("SELECT id FROM %s UNION SELECT id FROM %s", t, other)
	case 4:
		return fmt.Sprintf("SELECT count(*), sum(id), avg(id) FROM %s x WHERE %s", t, g.condition(cols))
	case 5:
		return fmt.Sprintf("SELECT * FROM %s ORDER BY id DESC LIMIT 3 OFFSET 1", t)
	case 6:
		return fmt.Sprintf("WITH q AS (SELECT id FROM %s WHERE id > 5) SELECT q.id FROM q JOIN %s o USING (id)", t, other)
	case 7:
		return "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 't_' ORDER BY 1, ordinal_position"
	case 8:
		return "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
	}
	return fmt.Sprintf("SELECT * FROM %s x WHERE %s", t, g.condition(cols))
}

func (g *generator) ddl() string {
	t, cols := g.table()
	col := fmt.Sprintf("c%d", g.rnd.IntN(6))
	rest := cols // usually without id, which everything else likes to use
	if len(rest) > 0 && g.rnd.IntN(30) > 0 {
		rest = append([]catalog.Column{{Name: "c0"}}, rest[1:]...)
	}
	kind := g.pick("int", "bigint", "text", "numeric(12,2)", "boolean", "date", "timestamptz", "uuid", "jsonb", "int[]", "float8", "bytea")
	switch g.rnd.IntN(18) {
	case 16:
		return fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (%s) %s", t, g.column(cols, types.Int4Type.OID), g.references())
	case 17:
		return fmt.Sprintf("ALTER TABLE %s ADD CHECK (%s < %d)", t, g.column(cols, types.Int4Type.OID), 50+g.id())
	case 0, 1, 2:
		return g.createTable(g.name())
	case 3:
		return "DROP TABLE " + g.pick("", "IF EXISTS ") + g.name()
	case 4, 5:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s%s", t, col, kind, g.pick("", "", " NOT NULL", " DEFAULT NULL"))
	case 6:
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s int DEFAULT %d%s", t, col, g.id(), g.pick("", " NOT NULL"))
	case 7:
		return fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", t, g.column(rest, 0))
	case 8:
		return fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (%s)", t, g.pick("id", "id", g.column(cols, 0)))
	case 9, 10:
		return fmt.Sprintf("CREATE %sINDEX %s ON %s (%s)", g.pick("", "UNIQUE "), g.pick("", fmt.Sprintf("i%d", g.rnd.IntN(9))), t, g.pick(g.column(cols, 0), g.column(cols, 0)+" DESC, id", "id"))
	case 11:
		return fmt.Sprintf("DROP INDEX i%d", g.rnd.IntN(9))
	case 12:
		return "TRUNCATE " + g.pick(t, "wide")
	case 13:
		return fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s %s", t, g.column(cols, 0), g.pick("SET NOT NULL", "DROP NOT NULL", "SET DEFAULT NULL", "DROP DEFAULT"))
	case 14:
		return fmt.Sprintf("ALTER TABLE %s RENAME %s TO %s", t, g.column(rest, 0), col)
	}
	return fmt.Sprintf("CREATE TABLE %s AS SELECT id, id * 2 AS n FROM %s", g.name(), t)
}

func (g *generator) createTable(name string) string {
	id := g.pick("id int PRIMARY KEY", "id serial PRIMARY KEY", "id int", "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "id int NOT NULL")
	defs := []string{id}
	for i := range g.rnd.IntN(5) {
		kind := g.pick("int", "int", "bigint", "text", "text", "numeric", "boolean", "date", "timestamptz DEFAULT now()", "uuid DEFAULT gen_random_uuid()", "jsonb", "int[]", "float8", "bytea",
			"int NOT NULL DEFAULT 7", "text UNIQUE")
		switch n := g.rnd.IntN(12); {
		case n == 0 && g.cat != nil: // the first tables have nothing to refer to
			kind = "int " + g.references()
		case n == 1:
			kind = fmt.Sprintf("int CHECK (c%d < 90)", i)
		}
		defs = append(defs, fmt.Sprintf("c%d %s", i, kind))
	}
	return fmt.Sprintf("CREATE TABLE %s (%s)", name, strings.Join(defs, ", "))
}

// references is a foreign key to a table that there may be.
func (g *generator) references() string {
	return "REFERENCES " + g.name() + g.pick("", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE CASCADE ON UPDATE CASCADE", " ON UPDATE SET DEFAULT") +
		g.pick("", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED")
}

func (g *generator) sequence() string {
	s := fmt.Sprintf("s%d", g.rnd.IntN(3))
	return g.pick("SELECT nextval('"+s+"')", "SELECT nextval('"+s+"'), nextval('"+s+"')", "SELECT currval('"+s+"')", "SELECT lastval()",
		fmt.Sprintf("SELECT setval('%s', %d)", s, 1+g.id()), "CREATE SEQUENCE "+s+g.pick("", " INCREMENT 3", " MAXVALUE 50", " INCREMENT -2", " MAXVALUE 9 CYCLE", " CACHE 10"),
		"DROP SEQUENCE "+s, fmt.Sprintf("INSERT INTO %s (id) VALUES (nextval('%s'))", g.name(), s), "SELECT * FROM "+s)
}

// slot changes a slot, or fails to. Acknowledging in a transaction is left out: it
// may fail although nobody else has committed anything.
func (g *generator) slot() string {
	s := fmt.Sprintf("c%d", g.rnd.IntN(3))
	return g.pick(fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", s),
		fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput', true)", s),
		fmt.Sprintf("SELECT pg_drop_replication_slot('%s')", s),
		fmt.Sprintf("SELECT pg_replication_slot_advance('%s', '0/%X')", s, 1<<24+g.rnd.IntN(1<<16)))
}

// bad is a statement that fails.
func (g *generator) bad() string {
	t, cols := g.table()
	return g.pick("SELECT * FROM no_such_table", "INSERT INTO no_such_table VALUES (1)", "SELEC 1", fmt.Sprintf("UPDATE %s SET id = 1 / 0", t),
		fmt.Sprintf("UPDATE %s SET no_such_column = 1", t), fmt.Sprintf("INSERT INTO %s (id) VALUES (NULL)", t), fmt.Sprintf("UPDATE %s SET id = 2147483647 + 1 WHERE id > 0", t),
		fmt.Sprintf("INSERT INTO %s (id) VALUES ('abc')", t), fmt.Sprintf("INSERT INTO %s (id) VALUES (1), (1), (1)", t), fmt.Sprintf("UPDATE %s SET id = 5", t),
		fmt.Sprintf("UPDATE %s SET %s = (SELECT id FROM %s)", t, g.column(cols, types.Int4Type.OID), t), fmt.Sprintf("DELETE FROM %s WHERE id / 0 = 1", t),
		fmt.Sprintf("INSERT INTO %s SELECT sqrt(-id) FROM %s", t, t))
}

// copy is a COPY with its data.
func (g *generator) copy() (sql, data string) {
	t, _ := g.table()
	n := 1 + g.rnd.IntN(20)
	var b strings.Builder
	base := g.rnd.IntN(1_000_000) * 100
	if g.rnd.IntN(12) == 0 { // enough to be staged, in one or two chunks
		for i := range 300 * (1 + 4*(g.rnd.IntN(8)/7)) {
			fmt.Fprintf(&b, "%d\t%s\n", base+i, strings.Repeat("wide", 250))
		}
		return "COPY wide FROM STDIN", b.String()
	}
	for i := range n {
		fmt.Fprintf(&b, "%d\n", base+i)
	}
	switch g.rnd.IntN(8) {
	case 0:
		fmt.Fprintf(&b, "%d\n", base) // twice
	case 1:
		b.WriteString("not a number\n")
	case 2:
		b.WriteString("1\t2\t3\n")
	}
	return fmt.Sprintf("COPY %s (id) FROM STDIN", t), b.String()
}

// statement draws anything.
func (g *generator) statement() string {
	switch k := g.rnd.IntN(100); {
	case k < 33:
		return g.insert()
	case k < 56:
		return g.update()
	case k < 68:
		return g.delete()
	case k < 84:
		return g.query()
	case k < 90:
		return g.sequence()
	case k < 95:
		return g.ddl()
	case k < 96:
		return g.slot()
	case k < 97:
		return g.message()
	case k < 98:
		return g.publication()
	}
	return g.bad()
}

package tests

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/pgwire"
	"github.com/tidemark-db/tidemark/query"
)

// clustered is a node that believes to be part of a cluster.
func clustered(t *testing.T) (*fakeCluster, *memNode) {
	t.Helper()
	f := newFakeCluster()
	nodes := memNodes(t, 1, func(_ int, e *query.EngineConfig, _ *pgwire.Config) { e.Cluster = f })
	return f, nodes[0]
}

func TestCreateDatabase(t *testing.T) {
	f, n := clustered(t)
	c := newClient(t, n.addr)
	c.exec(`CREATE DATABASE shop`,
		`CREATE DATABASE "My Shop" WITH OWNER = ann TEMPLATE template0 ENCODING 'utf-8' LC_COLLATE 'C' LC_CTYPE = "C.UTF-8" LOCALE_PROVIDER libc
		   TABLESPACE pg_default ALLOW_CONNECTIONS false CONNECTION LIMIT -1 IS_TEMPLATE false STRATEGY wal_log REPLICAS 5`,
		`CREATE DATABASE third TEMPLATE DEFAULT ENCODING DEFAULT OWNER DEFAULT TABLESPACE DEFAULT`)
	require.Equal(t, []string{"create shop of tester", "create My Shop of ann", "create third of tester"}, f.calls)
	require.Equal(t, [][]string{{"16387", "shop", "tester", "t"}, {"16388", "My Shop", "ann", "f"}, {"16389", "third", "tester", "t"}, {"5", "postgres", "postgres", "t"}},
		c.rows(`SELECT oid, datname, pg_get_userbyid(datdba), datallowconn FROM pg_database ORDER BY datname = 'postgres', oid`))
	require.Equal(t, "4096", c.one(`SELECT pg_database_size('postgres')`))
	require.Equal(t, "", c.one(`SELECT pg_database_size('shop')`), "its tables are not here")
	require.Equal(t, "t", c.one(`SELECT has_database_privilege('shop', 'CONNECT')`))
	require.Equal(t, "default administrative connection database", c.one(`SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()`))
	require.Equal(t, "5", c.one(`SELECT datid FROM pg_stat_activity`))
	for _, x := range []struct{ code, sql, message string }{
		{"42P04", `CREATE DATABASE shop`, `database "shop" already exists`},
		{"42P04", `CREATE DATABASE template0`, `database "template0" already exists`},
		{"42939", `CREATE DATABASE _tidemark`, `unacceptable database name "_tidemark"`},
		{"42622", `CREATE DATABASE ` + strings.Repeat("x", 64), ``},
		{"42601", `CREATE DATABASE x COLOUR red`, `option "colour" not recognized`},
		{"42601", `CREATE DATABASE x OWNER a OWNER b`, `conflicting or redundant options`},
		{"0A000", `CREATE DATABASE x ENCODING latin1`, `encoding "latin1" is not supported`},
		{"0A000", `CREATE DATABASE x LOCALE 'de_DE.UTF-8'`, `locale "de_DE.UTF-8" is not supported`},
		{"0A000", `CREATE DATABASE x CONNECTION LIMIT 5`, ``},
		{"22023", `CREATE DATABASE x CONNECTION LIMIT -2`, `invalid connection limit: -2`},
		{"0A000", `CREATE DATABASE x TEMPLATE shop`, ``},
		{"3D000", `CREATE DATABASE x TEMPLATE nope`, `template database "nope" does not exist`},
		{"42704", `CREATE DATABASE x TABLESPACE fast`, `tablespace "fast" does not exist`},
		{"22023", `CREATE DATABASE x REPLICAS 9`, ``},
		{"0A000", `CREATE DATABASE x OID 77`, ``},
		{"25001", `SELECT 1; CREATE DATABASE x`, `CREATE DATABASE cannot run inside a transaction block`},
		{"25001", `CREATE DATABASE x; SELECT 1`, `CREATE DATABASE cannot run inside a transaction block`},
	} {
		e := c.fails(x.code, x.sql)
		if x.message != "" {
			require.Equal(t, x.message, e.Message, x.sql)
		}
	}
	c.exec("BEGIN")
	c.fails("25001", "CREATE DATABASE x")
	c.fails("25P02", "CREATE DATABASE x")
	c.exec("ROLLBACK", "SET default_transaction_read_only = on")
	require.Equal(t, "cannot execute DROP DATABASE in a read-only transaction", c.fails("25006", "DROP DATABASE shop").Message)
	require.Len(t, f.calls, 4, "only the duplicate has got so far")
}

func TestDropAndAlterDatabase(t *testing.T) {
	f, n := clustered(t)
	c := newClient(t, n.addr)
	c.exec("CREATE DATABASE shop", "CREATE DATABASE other")
	f.inUse["shop"] = 2
	c.fails("55006", "DROP DATABASE shop")
	require.Equal(t, "cannot drop the currently open database", c.fails("55006", "DROP DATABASE postgres").Message)
	require.Equal(t, "current database cannot be renamed", c.fails("0A000", "ALTER DATABASE postgres RENAME TO x").Message)
	c.exec("ALTER DATABASE other RENAME TO another", "DROP DATABASE IF EXISTS other", "DROP DATABASE shop WITH (FORCE)")
	c.fails("3D000", "DROP DATABASE shop")
	c.fails("42601", "DROP DATABASE another WITH (HASTE)")
	require.Equal(t, [][]string{{"another"}, {"postgres"}}, c.rows("SELECT datname FROM pg_database ORDER BY 1"))

	require.Equal(t, "3", c.one("SHOW tidemark.replicas"))
	for _, x := range []struct{ sql, want string }{
		{"ALTER DATABASE postgres SET (tidemark.replicas = 5)", "5"},
		{"ALTER DATABASE postgres SET tidemark.replicas = 1", "1"},
		{"alter database \"postgres\" set ( tidemark.replicas = '7' )", "7"},
		{"ALTER DATABASE postgres SET tidemark.replicas TO DEFAULT", "3"},
		{"ALTER DATABASE postgres SET tidemark.replicas TO 5", "5"},
		{"ALTER DATABASE postgres RESET tidemark.replicas", "3"},
	} {
		c.exec(x.sql)
		require.Equal(t, x.want, c.one("SHOW tidemark.replicas"), x.sql)
	}
	for _, x := range []struct{ set, setting, want string }{
		{"SET (tidemark.history_retention = '7 days')", "tidemark.history_retention", "7 days"},
		{"SET tidemark.history_retention = '1 month 12:00'", "tidemark.history_retention", "30 days 12:00:00"},
		{"SET tidemark.history_retention = '90min'", "tidemark.history_retention", "01:30:00"},
		{"SET tidemark.history_retention = 0", "tidemark.history_retention", "0"},
		{"SET (tidemark.history_size = '10GB')", "tidemark.history_size", "10737418240"},
		{"SET tidemark.history_size = 1000", "tidemark.history_size", "1000"},
		{"RESET tidemark.history_size", "tidemark.history_size", "0"},
		{"SET tidemark.max_slot_lag TO '1.5 kB'", "tidemark.max_slot_lag", "1536"},
		{"SET tidemark.max_slot_lag = DEFAULT", "tidemark.max_slot_lag", "10737418240"},
	} {
		c.exec("ALTER DATABASE postgres " + x.set)
		require.Equal(t, x.want, c.one("SHOW "+x.setting), x.set)
	}
	for _, set := range []string{"history_retention = '-1 day'", "history_retention = 'long'", "history_retention = '400000 years'",
		"history_size = '10 GiB'", "history_size = -1", "max_slot_lag = ''", "max_slot_lag = '1e30'", "history_size = 1, 2"} {
		c.fails("22023", "ALTER DATABASE postgres SET tidemark."+set)
	}
	c.fails("55P02", "SET tidemark.history_size = 3")
	c.fails("22023", "ALTER DATABASE postgres SET (tidemark.replicas = 0)")
	c.fails("22023", "ALTER DATABASE postgres SET (tidemark.replicas = many)")
	c.fails("42601", "ALTER DATABASE postgres SET (tidemark.replicas = 3, x = 4)")
	c.fails("3D000", "ALTER DATABASE nope SET (tidemark.replicas = 3)")
	c.fails("0A000", "ALTER DATABASE postgres SET work_mem = 1")
	c.fails("0A000", "ALTER DATABASE postgres SET (work_mem = 1)")
	c.fails("0A000", "ALTER DATABASE postgres WITH CONNECTION LIMIT 3")
	c.fails("0A000", "ALTER DATABASE postgres OWNER TO x")
	c.fails("55P02", "SET tidemark.replicas = 3")
	c.exec("BEGIN")
	c.fails("25001", "ALTER DATABASE postgres SET (tidemark.replicas = 1)")
	c.exec("ROLLBACK")
	require.Equal(t, "another", strings.TrimPrefix(f.databases[1].Name, " "))
}

// TestDatabaseCommandsAreCancelled: a cluster that does not answer holds nobody.
func TestDatabaseCommandsAreCancelled(t *testing.T) {
	f, n := clustered(t)
	f.block = true
	c := newClient(t, n.addr)
	c.exec("SET statement_timeout = '50ms'")
	c.fails("57014", "CREATE DATABASE shop")
	require.Equal(t, []string{"create shop of tester"}, f.calls)
}

// TestConnectingToDatabases: one connects to the database by the name it has now.
func TestConnectingToDatabases(t *testing.T) {
	f, n := clustered(t)
	try := func(database string) string {
		c, err := pgconn.Connect(t.Context(), "postgres://tester@"+n.addr+"/"+database+"?sslmode=disable")
		if err == nil {
			require.NoError(t, c.Close(t.Context()))
		}
		return codeOf(err)
	}
	require.Equal(t, "", try("postgres"))
	require.Equal(t, "3D000", try("nope"))
	n.engine.Rename("renamed")
	require.Equal(t, "3D000", try("postgres"))
	require.Equal(t, "", try("renamed"))
	f.databases[0].NoConnections = true
	require.Equal(t, "55000", try("renamed"))
}

// TestRenamedDatabaseInEntries: what replicas write does not depend on what each of
// them calls the database.
func TestRenamedDatabaseInEntries(t *testing.T) {
	nodes := memNodes(t, 2, nil)
	a := newClient(t, nodes[0].addr)
	a.exec("CREATE TABLE t (name text)")
	nodes[1].engine.Rename("renamed")
	b, err := pgconn.Connect(t.Context(), "postgres://tester@"+nodes[1].addr+"/renamed?sslmode=disable")
	require.NoError(t, err)
	_, err = execute(t.Context(), b, "INSERT INTO t SELECT current_database()")
	require.NoError(t, err)
	require.NoError(t, b.Close(t.Context()))
	require.Equal(t, [][]string{{"renamed"}}, a.rows("SELECT name FROM t"))
	require.Equal(t, nodes[0].replica.Position(), nodes[1].replica.Position())
}

// TestDatabasesInPsql runs psql's own queries.
func TestDatabasesInPsql(t *testing.T) {
	psql := tool(t, "psql")
	_, n := clustered(t)
	run := func(args ...string) string {
		host, port, _ := strings.Cut(n.addr, ":")
		out, err := exec.Command(psql, append([]string{"-X", "-h", host, "-p", port, "-U", "tester", "-d", "postgres"}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.Contains(t, run("-c", "CREATE DATABASE shop"), "CREATE DATABASE")
	list := run("-At", "-c", `\l+`)
	require.Contains(t, list, "shop|tester|UTF8|C.UTF-8|C.UTF-8")
	require.Contains(t, list, "4096 bytes")
}

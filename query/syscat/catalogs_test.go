package syscat_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The expected values are PostgreSQL 15's for the fixture's statements.

func TestPgClass(t *testing.T) {
	c := fixtureContext(t)
	cols := []string{"relname", "relkind", "relam", "relnatts", "relhasindex", "relchecks", "relhastriggers", "relreplident", "relpersistence", "reltuples"}
	row := func(name string) []string { return texts(t, c, "pg_class", "oid", name, cols...)[0] }
	require.Equal(t, []string{"pm_a", "r", "2", "5", "t", "1", "t", "d", "p", "-1"}, row(oid(aID)))
	require.Equal(t, []string{"pm_b", "r", "2", "4", "t", "0", "t", "d", "p", "-1"}, row(oid(bID)))
	require.Equal(t, []string{"pm_b_t", "i", "403", "3", "f", "0", "f", "n", "p", "-1"}, row(oid(bText)))
	require.Equal(t, []string{"pm_a_id_seq", "S", "0", "3", "f", "0", "f", "n", "p", "-1"}, row(oid(seqID)))
	require.Equal(t, []string{"pg_class", "r", "2", "33", "f", "0", "f", "n", "p", "-1"}, row("1259"))
	require.Equal(t, []string{"pm_v", "v", "0", "1", "f", "0", "f", "n", "p", "-1"}, row(oid(viewID)))
	require.Equal(t, [][]string{{"{fillfactor=70}"}}, texts(t, c, "pg_class", "oid", oid(hiddenID), "reloptions"))
}

func TestPgAttribute(t *testing.T) {
	c := fixtureContext(t)
	cols := []string{"attname", "atttypid", "attlen", "attnum", "attndims", "atttypmod", "attbyval", "attalign", "attstorage",
		"attnotnull", "atthasdef", "attidentity", "attgenerated", "attisdropped", "attcollation", "attstattarget"}
	require.Equal(t, [][]string{
		{"id", "23", "4", "1", "0", "-1", "t", "i", "p", "t", "t", "", "", "f", "0", "-1"},
		{"name", "1043", "-1", "2", "0", "34", "f", "i", "x", "t", "t", "", "", "f", "100", "-1"},
		{"n", "1700", "-1", "3", "0", "524294", "f", "i", "m", "f", "f", "", "", "f", "0", "-1"},
		{"at", "1184", "8", "4", "0", "-1", "t", "d", "p", "f", "t", "", "", "f", "0", "-1"},
		{"arr", "1007", "-1", "5", "1", "-1", "f", "i", "x", "f", "f", "", "", "f", "0", "-1"},
	}, texts(t, c, "pg_attribute", "attrelid", oid(aID), cols...))
	require.Equal(t, []string{"id", "23", "4", "1", "0", "-1", "t", "i", "p", "t", "f", "a", "", "f", "0", "-1"},
		texts(t, c, "pg_attribute", "attrelid", oid(bID), cols...)[0])
	require.Equal(t, []string{"........pg.dropped.4........", "0", "4", "4", "0", "-1", "t", "i", "p", "f", "f", "", "", "t", "0", "0"},
		texts(t, c, "pg_attribute", "attrelid", oid(bID), cols...)[3])
	require.Equal(t, [][]string{{"t", "25"}, {"lower", "25"}, {"a_id", "23"}}, texts(t, c, "pg_attribute", "attrelid", oid(bText), "attname", "atttypid"))
	require.Equal(t, [][]string{{"1", "nextval('pm_a_id_seq'::regclass)"}, {"2", "'x'::character varying"}, {"4", "now()"}},
		texts(t, c, "pg_attrdef", "adrelid", oid(aID), "adnum", "adbin"))
	require.Empty(t, texts(t, c, "pg_attrdef", "adrelid", oid(bID), "adnum"), "an identity is no default")
}

func TestPgIndexAndConstraint(t *testing.T) {
	c := fixtureContext(t)
	require.Equal(t, [][]string{
		{"1", "1", "t", "t", "1", "0", "1978", "0", "NULL", "NULL"},
		{"3", "2", "f", "f", "3 0 2", "100 100", "3126 3126", "3 0", "lower(t)", "(t IS NOT NULL)"},
		{"2", "2", "t", "f", "2 3", "0 100", "1978 3126", "0 0", "NULL", "NULL"},
	}, texts(t, c, "pg_index", "indrelid", oid(bID), "indnatts", "indnkeyatts", "indisunique", "indisprimary", "indkey", "indcollation",
		"indclass", "indoption", "indexprs", "indpred"))
	cols := []string{"oid", "conname", "contype", "conindid", "confrelid", "confdeltype", "conkey", "confkey", "conpfeqop", "connoinherit"}
	require.Equal(t, [][]string{
		{"16418", "pm_b_pkey", "p", "16417", "0", " ", "{1}", "NULL", "NULL", "t"},
		{"16419", "pm_b_a_id_fkey", "f", "16409", "16400", "c", "{2}", "{1}", "{96}", "t"},
	}, texts(t, c, "pg_constraint", "conrelid", oid(bID), cols...))
	require.Equal(t, []string{"16406", "pm_chk", "c", "0", "0", " ", "{3}", "NULL", "NULL", "f"},
		texts(t, c, "pg_constraint", "conname", "pm_chk", cols...)[0])
}

func TestPgDepend(t *testing.T) {
	c := fixtureContext(t)
	rows := texts(t, c, "pg_depend", "", "", "classid", "objid", "objsubid", "refclassid", "refobjid", "refobjsubid", "deptype")
	for _, want := range [][]string{
		{"1259", oid(seqID), "0", "1259", oid(aID), "1", "a"},    // a serial column's sequence
		{"1259", oid(identID), "0", "1259", oid(bID), "1", "i"},  // an identity's
		{"1259", oid(aKey), "0", "2606", oid(aKeyCon), "0", "i"}, // an index of a constraint
		{"1259", oid(bUnique), "0", "1259", oid(bID), "2", "a"},  // one without
		{"1259", oid(aID), "0", "2615", "2200", "0", "n"},
		{"2606", "16406", "0", "1259", oid(aID), "3", "a"},
		{"2606", "16419", "0", "1259", oid(aKey), "0", "n"},
	} {
		require.Contains(t, rows, want)
	}
	defaults := texts(t, c, "pg_attrdef", "adnum", "1", "oid")
	require.Contains(t, rows, []string{"2604", defaults[0][0], "0", "1259", oid(seqID), "0", "n"})
}

func TestSystemViews(t *testing.T) {
	c := fixtureContext(t)
	require.Equal(t, [][]string{{"pm_a_pkey", "CREATE UNIQUE INDEX pm_a_pkey ON public.pm_a USING btree (id)"}},
		texts(t, c, "pg_indexes", "tablename", "pm_a", "indexname", "indexdef"))
	require.Equal(t, [][]string{{"public", "postgres", "t"}, {"Other", "ann", "f"}},
		texts(t, c, "pg_tables", "tablename", "pm_a", "schemaname", "tableowner", "hasindexes"))
	require.Equal(t, [][]string{{"ann", "t"}, {"bob", "t"}, {"postgres", "t"}}, texts(t, c, "pg_roles", "", "", "rolname", "rolsuper"))
	require.Equal(t, [][]string{{"5", "postgres", "10", "6", "C.UTF-8", "1663", "t"}},
		texts(t, c, "pg_database", "datname", "postgres", "oid", "datname", "datdba", "encoding", "datcollate", "dattablespace", "datallowconn"))
	require.Equal(t, [][]string{{"16387", "f"}}, texts(t, c, "pg_database", "datname", "shop", "oid", "datallowconn"))
	require.Equal(t, [][]string{{"a comment", "0"}, {"the name", "2"}}, texts(t, c, "pg_description", "objoid", oid(aID), "description", "objsubid"))
	require.Equal(t, [][]string{{"8MB", "kB", "session"}}, texts(t, c, "pg_settings", "name", "work_mem", "setting", "unit", "source"))
	require.Equal(t, [][]string{{"7", "active", "SELECT 1", "NULL"}}, texts(t, c, "pg_stat_activity", "", "", "pid", "state", "query", "client_addr"))
	require.Equal(t, [][]string{{"CET", "01:00:00", "f"}}, texts(t, c, "pg_timezone_names", "name", "Europe/Berlin", "abbrev", "utc_offset", "is_dst"))
	require.Equal(t, [][]string{{"now", "f", "s", "0", ""}}, texts(t, c, "pg_proc", "oid", "1299", "proname", "prokind", "provolatile", "pronargs", "proargtypes"))
	require.Equal(t, [][]string{{"count", "a", "1"}}, texts(t, c, "pg_proc", "oid", "2147", "proname", "prokind", "pronargs"))
	require.Equal(t, [][]string{{"int4", "b", "N", "1007", "0", "42", "t", "p"}},
		texts(t, c, "pg_type", "oid", "23", "typname", "typtype", "typcategory", "typarray", "typelem", "typinput", "typbyval", "typstorage"))
}

func TestInformationSchema(t *testing.T) {
	c := fixtureContext(t)
	require.Equal(t, [][]string{
		{"id", "1", "nextval('pm_a_id_seq'::regclass)", "NO", "integer", "NULL", "NULL", "32", "2", "0", "NULL", "int4", "NO"},
		{"name", "2", "'x'::character varying", "NO", "character varying", "30", "120", "NULL", "NULL", "NULL", "NULL", "varchar", "NO"},
		{"n", "3", "NULL", "YES", "numeric", "NULL", "NULL", "8", "10", "2", "NULL", "numeric", "NO"},
		{"at", "4", "now()", "YES", "timestamp with time zone", "NULL", "NULL", "NULL", "NULL", "NULL", "6", "timestamptz", "NO"},
		{"arr", "5", "NULL", "YES", "ARRAY", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "_int4", "NO"},
	}, texts(t, c, "columns", "table_name", "pm_a", "column_name", "ordinal_position", "column_default", "is_nullable", "data_type",
		"character_maximum_length", "character_octet_length", "numeric_precision", "numeric_precision_radix", "numeric_scale",
		"datetime_precision", "udt_name", "is_identity")[:5])
	require.Equal(t, []string{"id", "YES", "ALWAYS", "1", "1", "2147483647", "1", "NO", "YES"},
		texts(t, c, "columns", "table_name", "pm_b", "column_name", "is_identity", "identity_generation", "identity_start",
			"identity_increment", "identity_maximum", "identity_minimum", "identity_cycle", "is_updatable")[0])
	require.Len(t, texts(t, c, "columns", "table_name", "pm_b", "column_name"), 3, "dropped columns are gone")
	require.Equal(t, []string{"postgres", "pg_catalog", "BASE TABLE", "NO"},
		texts(t, c, "tables", "table_name", "pg_class", "table_catalog", "table_schema", "table_type", "is_insertable_into")[0])
	require.Equal(t, []string{"public", "BASE TABLE", "YES"}, texts(t, c, "tables", "table_name", "pm_b", "table_schema", "table_type", "is_insertable_into")[0])
	require.ElementsMatch(t, [][]string{
		{"pm_b_pkey", "PRIMARY KEY"}, {"pm_b_a_id_fkey", "FOREIGN KEY"}, {"2200_16412_1_not_null", "CHECK"},
	}, texts(t, c, "table_constraints", "table_name", "pm_b", "constraint_name", "constraint_type"))
	require.Equal(t, [][]string{{"pm_b_pkey", "id", "1", "NULL"}, {"pm_b_a_id_fkey", "a_id", "1", "1"}},
		texts(t, c, "key_column_usage", "table_name", "pm_b", "constraint_name", "column_name", "ordinal_position", "position_in_unique_constraint"))
	require.Equal(t, [][]string{{"pm_a", "id"}}, texts(t, c, "constraint_column_usage", "constraint_name", "pm_b_a_id_fkey", "table_name", "column_name"))
	require.Equal(t, [][]string{{"pm_a_pkey", "NONE", "NO ACTION", "CASCADE"}},
		texts(t, c, "referential_constraints", "", "", "unique_constraint_name", "match_option", "update_rule", "delete_rule"))
	require.Equal(t, [][]string{{"((n > (0)::numeric))"}}, texts(t, c, "check_constraints", "constraint_name", "pm_chk", "check_clause"))
	require.Equal(t, [][]string{{"pm_a_id_seq", "integer", "32", "2147483647", "NO"}},
		texts(t, c, "sequences", "", "", "sequence_name", "data_type", "numeric_precision", "maximum_value", "cycle_option"))
	require.Contains(t, texts(t, c, "schemata", "", "", "schema_name", "schema_owner"), []string{"Other", "ann"})
}

// TestClusterViews: what other nodes have not said is NULL, and pg_stat_replication is
// about the others, and about consumers.
func TestClusterViews(t *testing.T) {
	c := fixtureContext(t)
	require.Equal(t, [][]string{{"n2", "draining", "t", "2000-01-01 00:00:00.000005+00", "f", "NULL"}},
		texts(t, c, "nodes", "id", "n2", "id", "state", "live", "last_seen", "is_self", "disk_free"))
	require.Equal(t, [][]string{{"NULL", "1", "2", "99"}}, texts(t, c, "nodes", "is_self", "t", "last_seen", "leads", "hosts", "disk_free"))
	require.Equal(t, [][]string{{"n2", "2", "8", "00:00:01.5"}, {"n3", "3", "NULL", "NULL"}},
		texts(t, c, "replicas", "role", "follower", "node", "replica", "lag_bytes", "lag"))
	require.Equal(t, [][]string{{"5", "7", "3", "n1", "t"}, {"16387", "3", "0", "n2", "f"}},
		texts(t, c, "databases", "", "", "oid", "log_id", "replicas", "leader", "allow_connections"))
	require.Equal(t, [][]string{{"9", "sub", "10.0.0.9", "4711", "streaming", "async", "NULL"}, {"2", "n2", "::1", "7433", "streaming", "quorum", "00:00:01.5"}, {"4", "n2", "::1", "7433", "catchup", "async", "NULL"}},
		texts(t, c, "pg_stat_replication", "", "", "pid", "application_name", "client_addr", "client_port", "state", "sync_state", "replay_lag"))
}

// TestSlotViews: what a slot does not have is NULL, and a lost one has no restart_lsn.
func TestSlotViews(t *testing.T) {
	c := fixtureContext(t)
	require.Equal(t, [][]string{
		{"a", "pgoutput", "t", "n1", "12", "0/10", "8", "00:00:01", "2000-01-01 00:00:00.000002+00", "NULL"},
		{"b", "test_decoding", "f", "NULL", "NULL", "0/20", "0", "00:00:00", "NULL", "too late"},
	}, texts(t, c, "slots", "", "", "name", "plugin", "active", "node", "session", "confirmed_lsn", "lag_bytes", "lag", "acknowledged_at", "invalid"))
	require.Equal(t, [][]string{
		{"a", "logical", "f", "t", "12", "0/10", "0/10", "reserved", "f"},
		{"b", "logical", "t", "f", "NULL", "NULL", "0/20", "lost", "f"},
	}, texts(t, c, "pg_replication_slots", "", "", "slot_name", "slot_type", "temporary", "active", "active_pid", "restart_lsn",
		"confirmed_flush_lsn", "wal_status", "two_phase"))
}

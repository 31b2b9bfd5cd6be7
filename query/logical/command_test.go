package logical

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// TestParseCommand has the spellings that consumers were seen to use.
func TestParseCommand(t *testing.T) {
	on := func(name, value string) Option { return Option{name, value, true} }
	for text, want := range map[string]Command{
		`IDENTIFY_SYSTEM`:    &IdentifySystem{},
		` identify_system ;`: &IdentifySystem{},
		`CREATE_REPLICATION_SLOT "n" LOGICAL "pgoutput" ( SNAPSHOT 'nothing')`: &CreateSlot{Name: "n", Plugin: "pgoutput", Snapshot: SnapshotNothing},
		`CREATE_REPLICATION_SLOT "n" LOGICAL pgoutput (SNAPSHOT 'use')`:        &CreateSlot{Name: "n", Plugin: "pgoutput", Snapshot: SnapshotUse},
		`CREATE_REPLICATION_SLOT "n" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')`: &CreateSlot{
			Name: "n", Temporary: true, Plugin: "pgoutput"},
		`CREATE_REPLICATION_SLOT "n" LOGICAL "pgoutput" ( TWO_PHASE,  SNAPSHOT 'nothing')`: &CreateSlot{
			Name: "n", Plugin: "pgoutput", Snapshot: SnapshotNothing, TwoPhase: true},
		`CREATE_REPLICATION_SLOT n  LOGICAL pgoutput EXPORT_SNAPSHOT`:  &CreateSlot{Name: "n", Plugin: "pgoutput"},
		`CREATE_REPLICATION_SLOT N LOGICAL Test_Decoding USE_SNAPSHOT`: &CreateSlot{Name: "n", Plugin: "test_decoding", Snapshot: SnapshotUse},
		`CREATE_REPLICATION_SLOT n LOGICAL pgoutput NOEXPORT_SNAPSHOT`: &CreateSlot{Name: "n", Plugin: "pgoutput", Snapshot: SnapshotNothing},
		`CREATE_REPLICATION_SLOT "dbz"  LOGICAL pgoutput `:             &CreateSlot{Name: "dbz", Plugin: "pgoutput"},
		`CREATE_REPLICATION_SLOT "p" PHYSICAL RESERVE_WAL`:             &CreateSlot{Name: "p", Physical: true},
		`CREATE_REPLICATION_SLOT a LOGICAL b (two_phase false)`:        &CreateSlot{Name: "a", Plugin: "b"},
		`DROP_REPLICATION_SLOT n `:                                     &DropSlot{Name: "n"},
		`DROP_REPLICATION_SLOT "N""x" WAIT`:                            &DropSlot{Name: `N"x`, Wait: true},
		`READ_REPLICATION_SLOT s`:                                      &ReadSlot{Name: "s"},
		`TIMELINE_HISTORY 1`:                                           &Refused{"TIMELINE_HISTORY"},
		`BASE_BACKUP (LABEL 'x')`:                                      &Refused{"BASE_BACKUP"},
		`START_REPLICATION 0/0`:                                        &StartReplication{Physical: true},
		`START_REPLICATION SLOT "s" PHYSICAL 0/1A TIMELINE 1`:          &StartReplication{Slot: "s", Physical: true, Start: 0x1a},
		`START_REPLICATION SLOT "s" LOGICAL 0/00000000`:                &StartReplication{Slot: "s"},
		`START_REPLICATION SLOT face LOGICAL ABC/DEF0`:                 &StartReplication{Slot: "face", Start: 0xabc_0000def0},
		`START_REPLICATION SLOT "s" LOGICAL 0/0 (proto_version '3', publication_names '"p"', streaming 'on', binary 'true')`: &StartReplication{Slot: "s",
			Options: []Option{on("proto_version", "3"), on("publication_names", `"p"`), on("streaming", "on"), on("binary", "true")}},
		`START_REPLICATION SLOT "s" LOGICAL 0/1234 ("proto_version" '1', "publication_names" 'p', "messages" 'true')`: &StartReplication{Slot: "s", Start: 0x1234,
			Options: []Option{on("proto_version", "1"), on("publication_names", "p"), on("messages", "true")}},
		`START_REPLICATION SLOT s LOGICAL 0/0 ("include-xids", "skip-empty-xacts" 'it''s')`: &StartReplication{Slot: "s",
			Options: []Option{{Name: "include-xids"}, on("skip-empty-xacts", "it's")}},
	} {
		c, ok, err := ParseCommand(text)
		require.NoError(t, err, text)
		require.True(t, ok, text)
		require.Equal(t, want, c, text)
	}
}

func TestParseCommandErrors(t *testing.T) {
	for _, text := range []string{
		`IDENTIFY_SYSTEM 1`, `CREATE_REPLICATION_SLOT`, `CREATE_REPLICATION_SLOT a`, `CREATE_REPLICATION_SLOT 'a' LOGICAL b`,
		`CREATE_REPLICATION_SLOT a LOGICAL`, `CREATE_REPLICATION_SLOT a LOGICAL b (`, `CREATE_REPLICATION_SLOT a LOGICAL b ()`,
		`CREATE_REPLICATION_SLOT a LOGICAL b (SNAPSHOT 'none')`, `CREATE_REPLICATION_SLOT a LOGICAL b (SNAPSHOT)`,
		`CREATE_REPLICATION_SLOT a LOGICAL b (SNAPSHOT 'use', SNAPSHOT 'use')`, `CREATE_REPLICATION_SLOT a LOGICAL b EXPORT_SNAPSHOT USE_SNAPSHOT`,
		`CREATE_REPLICATION_SLOT a LOGICAL b (RESERVE_WAL)`, `CREATE_REPLICATION_SLOT a PHYSICAL (SNAPSHOT 'use')`,
		`START_REPLICATION`, `START_REPLICATION SLOT`, `START_REPLICATION LOGICAL 0/0`, `START_REPLICATION SLOT s LOGICAL`,
		`START_REPLICATION SLOT s LOGICAL 0`, `START_REPLICATION SLOT s LOGICAL 0/123456789`, `START_REPLICATION SLOT s LOGICAL 0/0 (a 'b'`,
		`START_REPLICATION SLOT s LOGICAL 0/0 (a 'b)`, `START_REPLICATION SLOT s LOGICAL 0/0 x`, `DROP_REPLICATION_SLOT`, `DROP_REPLICATION_SLOT ""`,
		`DROP_REPLICATION_SLOT a b`, `READ_REPLICATION_SLOT 1`,
	} {
		_, ok, err := ParseCommand(text)
		require.True(t, ok, text)
		require.Equal(t, sqlstate.SyntaxError, sqlstate.CodeOf(err), "%s: %v", text, err)
	}
}

func TestSQLIsNoCommand(t *testing.T) {
	for _, text := range []string{``, `SELECT 1`, `SHOW wal_level`, `"IDENTIFY_SYSTEM"`, `'IDENTIFY_SYSTEM'`, `-- IDENTIFY_SYSTEM`, `BEGIN`, `1`, `identify_systems`} {
		_, ok, err := ParseCommand(text)
		require.NoError(t, err, text)
		require.False(t, ok, text)
	}
}

// FuzzParseCommand looks for text that makes the parser fail in another way than by
// saying so.
func FuzzParseCommand(f *testing.F) {
	for _, text := range []string{
		`CREATE_REPLICATION_SLOT "n" LOGICAL "pgoutput" ( TWO_PHASE,  SNAPSHOT 'nothing')`,
		`START_REPLICATION SLOT "s" LOGICAL 0/0 (proto_version '3', publication_names '"p"')`,
		`DROP_REPLICATION_SLOT n WAIT`, `IDENTIFY_SYSTEM`, `READ_REPLICATION_SLOT "a""b"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok, err := ParseCommand(text)
		if !ok && (c != nil || err != nil) || ok && (c == nil) == (err == nil) {
			t.Fatalf("%q: %v, %t, %v", text, c, ok, err)
		}
		if err != nil && sqlstate.CodeOf(err) == sqlstate.InternalError {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

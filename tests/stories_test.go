package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/tidemark-db/tidemark"
)

// storyPatience bounds what the test of stories waits for.
const storyPatience = 2 * time.Minute

// story is a change as all ways to consume changes tell it.
type story struct {
	commit, table, op string
	row               string // the columns after the change, or of the key before a delete
}

// TestStoriesAgree makes a random history and has it told by tidemark.changes, by
// tidemark.subscribe, over HTTP, by a slot with lines of JSON, by tidemark tail, and
// by a slot with pgoutput: they tell the same.
func TestStoriesAgree(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), storyPatience)
	defer cancel()
	n, err := tidemark.Open(ctx, tidemark.Config{Dir: t.TempDir(), SQLAddr: "127.0.0.1:0", RaftAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"})
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close(context.Background())) }()
	c := newClient(t, n.SQLAddr())
	c.exec("CREATE PUBLICATION p FOR ALL TABLES")
	from := c.one("SELECT lsn FROM pg_create_logical_replication_slot('lines', 'tidemark_json')")
	stream := newConsumer(t, n.SQLAddr(), "messages")
	stream.create("NOEXPORT_SNAPSHOT")
	randomHistory(t, c, rand.New(rand.NewPCG(seed, 0)))

	const columns = "lsn, commit_lsn, seq, log_time, schema_name, table_name, op, key, before, after, prefix, content, transactional"
	changes := c.rows("SELECT " + columns + " FROM tidemark.changes WHERE lsn > '" + from + "' ORDER BY lsn")
	require.Greater(t, len(changes), 5000)
	require.Equal(t, changes, c.rows("SELECT "+columns+" FROM tidemark.subscribe('"+from+"', timeout => '0')"))
	middle := changes[len(changes)/2][0]
	require.Equal(t, changes[len(changes)/2+1:], c.rows("SELECT "+columns+" FROM tidemark.subscribe('"+middle+"', timeout => '0')"), "from the middle of it")

	r, err := http.Get("http://" + n.HTTPAddr() + "/v1/changes?follow=false&from=" + from)
	require.NoError(t, err)
	defer r.Body.Close()
	web, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	var lines bytes.Buffer
	for _, row := range c.rows("SELECT data FROM pg_logical_slot_peek_changes('lines', null, null)") {
		lines.WriteString(row[0] + "\n")
	}
	require.Equal(t, lines.String(), string(web))
	printed, err := tailAt(t, n.SQLAddr(), "--from", from).Output()
	require.NoError(t, err)
	require.Equal(t, lines.String(), string(printed))

	told := storiesOf(t, web)
	require.Len(t, bytes.Split(bytes.TrimSpace(web), []byte("\n")), len(changes))
	for i, row := range changes {
		var l tailLine
		require.NoError(t, json.Unmarshal(bytes.Split(web, []byte("\n"))[i], &l))
		require.Equal(t, []string{row[0], row[1], row[4], row[5], row[6]}, []string{l.LSN, l.CommitLSN, l.Schema, l.Table, l.Op})
	}
	stream.start(0)
	require.Equal(t, told, stream.stories(len(told)))
}

// randomHistory commits, and rolls back, whatever leaves changes.
func randomHistory(t *testing.T, c *client, r *rand.Rand) {
	const steps, ids, bulk = 150, 40, 5000 // bulk rows are several chunks of a large load
	c.exec("CREATE TABLE a (id int PRIMARY KEY, v text)", "CREATE TABLE b (id int PRIMARY KEY, n numeric, ok bool)")
	wide, made := 0, 0
	statement := func() string {
		id := r.IntN(ids)
		switch r.IntN(12) {
		case 0, 1:
			return fmt.Sprintf("INSERT INTO a (id, v) VALUES (%d, 'v%d') ON CONFLICT (id) DO UPDATE SET v = 'again'", id, r.IntN(100))
		case 2:
			return fmt.Sprintf("INSERT INTO b (id, n, ok) VALUES (%d, %d.50, %v) ON CONFLICT DO NOTHING", id, r.IntN(100), r.IntN(2) == 0)
		case 3:
			return fmt.Sprintf("UPDATE a SET v = 'ü\"%d' WHERE id %% 5 = %d", r.IntN(100), id%5)
		case 4:
			return fmt.Sprintf("UPDATE b SET n = NULL, ok = NOT ok WHERE id < %d", id/4)
		case 5:
			return fmt.Sprintf("UPDATE a SET id = id + 1000 WHERE id = %d AND NOT EXISTS (SELECT 1 FROM a WHERE id = %d)", id, id+1000)
		case 6, 7:
			return fmt.Sprintf("DELETE FROM a WHERE id = %d", id)
		case 8:
			return fmt.Sprintf("DELETE FROM b WHERE id > %d", ids-id/8)
		case 9:
			return "SELECT pg_logical_emit_message(true, 'test', 'a message')"
		case 10:
			if r.IntN(4) == 0 {
				return "TRUNCATE a, b"
			}
			return "INSERT INTO a VALUES (2000, NULL) ON CONFLICT DO NOTHING"
		}
		return fmt.Sprintf("INSERT INTO a SELECT i, 'series' FROM generate_series(%d, %d) i ON CONFLICT DO NOTHING", 3000+id, 3010+id)
	}
	load := func(first int) {
		var rows strings.Builder
		for i := range bulk {
			fmt.Fprintf(&rows, "%d\tbulk\n", first+i)
		}
		_, err := c.CopyFrom(c.t.Context(), strings.NewReader(rows.String()), "COPY a (id, v) FROM STDIN")
		require.NoError(t, err)
	}
	for step := range steps {
		switch k := r.IntN(10); {
		case step == steps/3:
			load(100000)
		case step == steps/2:
			c.exec("BEGIN")
			load(200000)
			c.exec("ROLLBACK")
		case k < 4:
			c.exec(statement())
		case k < 8:
			end := []string{"COMMIT", "COMMIT", "ROLLBACK"}[r.IntN(3)]
			c.exec("BEGIN")
			for range 1 + r.IntN(5) {
				c.exec(statement())
			}
			c.exec("SAVEPOINT s", statement(), "ROLLBACK TO s", statement(), end)
		case k == 8 && wide < 3:
			wide++
			c.exec(fmt.Sprintf("ALTER TABLE a ADD COLUMN w%d int DEFAULT %d", wide, wide))
		case k == 8:
			c.exec(fmt.Sprintf("ALTER TABLE a DROP COLUMN w%d", wide))
			wide--
		default:
			made++
			c.exec(fmt.Sprintf("BEGIN; CREATE TABLE m%d (id int PRIMARY KEY); INSERT INTO m%d VALUES (1), (2); COMMIT", made, made))
			if r.IntN(2) == 0 {
				c.exec(fmt.Sprintf("BEGIN; DELETE FROM m%d WHERE id = 1; DROP TABLE m%d; COMMIT", made, made))
			}
		}
	}
	c.exec("INSERT INTO b (id) VALUES (-1)") // the end
}

// storiesOf reads lines of JSON, without messages.
func storiesOf(t *testing.T, lines []byte) (out []story) {
	for line := range bytes.Lines(lines) {
		var l struct {
			Commit string `json:"commit_lsn"`
			Table  string
			Op     string
			Before map[string]any
			After  map[string]any
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		require.NoError(t, d.Decode(&l))
		row := l.After
		switch l.Op {
		case "message":
			continue
		case "delete":
			row = map[string]any{"id": l.Before["id"]}
		}
		texts := map[string]string{}
		for name, v := range row {
			texts[name] = strings.NewReplacer("true", "t", "false", "f").Replace(fmt.Sprint(v))
			if v == nil {
				texts[name] = "NULL"
			}
		}
		out = append(out, story{l.Commit, l.Table, l.Op, fmt.Sprint(texts)})
	}
	return out
}

// stories reads so many changes from the stream.
func (c *consumer) stories(n int) []story {
	c.t.Helper()
	var out []story
	commit := ""
	relations := map[uint32]*pglogrepl.RelationMessage{}
	tell := func(relation uint32, op string, tuple *pglogrepl.TupleData) {
		rel := relations[relation]
		texts := map[string]string{}
		if tuple != nil {
			for i, col := range tuple.Columns {
				switch {
				case op == "delete" && rel.Columns[i].Flags == 0: // it is not of the key
				case col.DataType == pglogrepl.TupleDataTypeNull:
					texts[rel.Columns[i].Name] = "NULL"
				default:
					texts[rel.Columns[i].Name] = string(col.Data)
				}
			}
		}
		out = append(out, story{commit, rel.RelationName, op, fmt.Sprint(texts)})
	}
	for len(out) < n {
		msg, _ := c.next()
		switch m := msg.(type) {
		case *pglogrepl.BeginMessage:
			commit = m.FinalLSN.String()
		case *pglogrepl.RelationMessage:
			relations[m.RelationID] = m
		case *pglogrepl.InsertMessage:
			tell(m.RelationID, "insert", m.Tuple)
		case *pglogrepl.UpdateMessage:
			tell(m.RelationID, "update", m.NewTuple)
		case *pglogrepl.DeleteMessage:
			tell(m.RelationID, "delete", m.OldTuple)
		case *pglogrepl.TruncateMessage:
			for _, id := range m.RelationIDs {
				tell(id, "truncate", nil)
			}
		}
	}
	return out
}

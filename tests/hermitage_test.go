package tests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

const (
	// answerTimeout is for an answer that has to come, blockTimeout for a session
	// that has to wait for another.
	answerTimeout = 20 * time.Second
	blockTimeout  = 20 * time.Second
)

// levels are the isolation levels as scripts call them, and how a transaction at
// one begins.
var levels = []struct{ name, begin string }{
	{"SER", "BEGIN ISOLATION LEVEL SERIALIZABLE"}, {"RR", "BEGIN ISOLATION LEVEL REPEATABLE READ"}, {"RC", "BEGIN ISOLATION LEVEL READ COMMITTED"},
}

// TestHermitage runs the scripts under hermitage/, one for each anomaly that Martin
// Kleppmann's Hermitage looks for, at each isolation level:
//
//	# what it is about
//	T1: begin
//	T1: select * from test where id = 1
//	    => 1|10
//	T2: update test set value = 12 where id = 1
//	    postgres => blocks
//	T1: commit
//	    postgres SER RR => T2 40001
//
// A statement is answered with its rows, sorted and separated by spaces, none
// when there are none; with its tag; or with a SQLSTATE. Expectations stand under
// it: of one engine or both, at some levels or all, and the last that fits counts.
// Without any it must succeed. "blocks" waits for another session, and "T2 …" is
// what a session answers that waited until now. Sessions begin at the level that
// is tested, but for T0, which looks at the end.
func TestHermitage(t *testing.T) {
	n := startNode(t, t.TempDir())
	url := "postgres://tester@" + n.SQLAddr() + "/postgres?sslmode=disable"
	hermitage(t, "tidemark", url)
	for name, script := range scripts(t) { // the level that nobody asks for
		t.Run(name+"/default", func(t *testing.T) {
			p := &play{t: t, engine: "tidemark", url: url, begin: "BEGIN", level: "SER", sessions: map[string]*actor{}}
			p.run(script)
		})
	}
}

// TestHermitageReference gives the same scripts to PostgreSQL 15: what they say of
// it is so.
func TestHermitageReference(t *testing.T) {
	hermitage(t, "postgres", reference(t))
}

func hermitage(t *testing.T, engine, url string) {
	for name, script := range scripts(t) {
		for _, level := range levels {
			t.Run(name+"/"+level.name, func(t *testing.T) {
				p := &play{t: t, engine: engine, url: url, begin: level.begin, level: level.name, sessions: map[string]*actor{}}
				p.run(script)
			})
		}
	}
}

// scripts reads all scripts, by their names.
func scripts(t *testing.T) map[string][]line {
	files, err := filepath.Glob("hermitage/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string][]line{}
	for _, path := range files {
		out[strings.TrimSuffix(filepath.Base(path), ".txt")] = readScript(t, path)
	}
	return out
}

// line is one statement of a script.
type line struct {
	at, session, sql string
	expectations     []expectation
}

// expectation is what is said under a statement.
type expectation struct {
	engine  string   // "" for both
	levels  []string // none for all
	waiting string   // the session that answers now, "" for the statement's own
	outcome string
}

var statementLine = regexp.MustCompile(`^(T\d): (.+)$`)

func readScript(t *testing.T, path string) []line {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var script []line
	for i, l := range strings.Split(string(text), "\n") {
		at := fmt.Sprintf("%s:%d", path, i+1)
		switch m := statementLine.FindStringSubmatch(l); {
		case strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#"):
		case m != nil:
			script = append(script, line{at: at, session: m[1], sql: m[2]})
		default:
			require.NotEmpty(t, script, at)
			last := &script[len(script)-1]
			last.expectations = append(last.expectations, readExpectation(t, at, l))
		}
	}
	return script
}

func readExpectation(t *testing.T, at, text string) expectation {
	who, outcome, ok := strings.Cut(text, "=>")
	require.True(t, ok && strings.HasPrefix(text, " "), "%s: neither a statement nor an expectation", at)
	e := expectation{outcome: strings.TrimSpace(outcome)}
	for _, word := range strings.Fields(who) {
		switch {
		case word == "tidemark" || word == "postgres":
			e.engine = word
		case slices.ContainsFunc(levels, func(l struct{ name, begin string }) bool { return l.name == word }):
			e.levels = append(e.levels, word)
		default:
			require.Fail(t, "unknown word", "%s: %s", at, word)
		}
	}
	if first, rest, more := strings.Cut(e.outcome, " "); more && regexp.MustCompile(`^T\d$`).MatchString(first) {
		e.waiting, e.outcome = first, rest
	}
	return e
}

// play is one performance of a script.
type play struct {
	t           *testing.T
	engine, url string
	begin       string // how transactions begin
	level       string // whose answers count
	sessions    map[string]*actor
	admin       *pgconn.PgConn // sees who waits
}

// actor is a session of a script.
type actor struct {
	conn    *pgconn.PgConn
	waiting chan outcome // the answer that has not come yet
}

// outcome is what came of a statement: rows, a tag or a SQLSTATE.
type outcome struct {
	text   string
	failed bool
}

func (p *play) connect() *pgconn.PgConn {
	conn, err := pgconn.Connect(p.t.Context(), p.url)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (p *play) run(script []line) {
	p.admin = p.connect()
	_, err := execute(p.t.Context(), p.admin, "DROP TABLE IF EXISTS test; CREATE TABLE test (id int PRIMARY KEY, value int); INSERT INTO test (id, value) VALUES (1, 10), (2, 20)")
	require.NoError(p.t, err)
	for i := range script {
		p.perform(&script[i])
	}
	for name, a := range p.sessions {
		require.Nil(p.t, a.waiting, "%s still waits", name)
	}
}

// perform runs one statement and compares what comes of it.
func (p *play) perform(l *line) {
	a := p.sessions[l.session]
	if a == nil {
		a = &actor{conn: p.connect()}
		p.sessions[l.session] = a
	}
	require.Nil(p.t, a.waiting, "%s: %s still waits", l.at, l.session)
	sql, want := l.sql, ""
	switch sql {
	case "begin":
		sql = p.begin
	case "commit":
		want = "COMMIT"
	}
	var woken []expectation
	for _, e := range l.expectations {
		if e.engine != "" && e.engine != p.engine || len(e.levels) > 0 && !slices.Contains(e.levels, p.level) {
			continue
		}
		if e.waiting != "" {
			woken = append(woken, e)
		} else {
			want = e.outcome
		}
	}
	answer := make(chan outcome, 1)
	go func() { answer <- outcomeOf(p.t.Context(), a.conn, sql) }()
	if want == "blocks" {
		a.waiting = answer
		p.mustWait(l, a)
		return
	}
	p.compare(l, l.session, answer, want)
	for _, e := range woken {
		other := p.sessions[e.waiting]
		require.True(p.t, other != nil && other.waiting != nil, "%s: %s does not wait", l.at, e.waiting)
		p.compare(l, e.waiting, other.waiting, e.outcome)
		other.waiting = nil
	}
}

func (p *play) compare(l *line, session string, answer chan outcome, want string) {
	select {
	case got := <-answer:
		if want == "" {
			require.False(p.t, got.failed, "%s: %s: %s", l.at, l.sql, got.text)
			return
		}
		require.Equal(p.t, want, got.text, "%s: %s: %s", l.at, session, l.sql)
	case <-time.After(answerTimeout):
		require.Fail(p.t, "no answer", "%s: %s: %s", l.at, session, l.sql)
	}
}

// mustWait waits until the server says that the session waits for a lock.
func (p *play) mustWait(l *line, a *actor) {
	require.Eventually(p.t, func() bool {
		rows, err := execute(p.t.Context(), p.admin, fmt.Sprintf("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d", a.conn.PID()))
		return err == nil && len(rows) == 1 && rows[0][0] == "Lock"
	}, blockTimeout, 5*time.Millisecond, "%s: it does not wait", l.at)
}

// outcomeOf runs a statement and writes down what comes of it.
func outcomeOf(ctx context.Context, conn *pgconn.PgConn, sql string) outcome {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return outcome{codeOf(err), true}
	}
	r := results[0]
	if !r.CommandTag.Select() {
		return outcome{text: r.CommandTag.String()}
	}
	var rows []string
	for _, values := range r.Rows {
		var cells []string
		for _, v := range values {
			cells = append(cells, string(v))
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	slices.Sort(rows)
	if rows == nil {
		return outcome{text: "none"}
	}
	return outcome{text: strings.Join(rows, " ")}
}

package sim

import (
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/types"
)

// mix is a client that does anything. What it is shown is not known beforehand,
// but all replicas must agree on it, errors must be orderly ones, and its
// transactions must not be refused when nobody else wrote.
type mix struct {
	c       *conn
	in      bool
	failed  bool
	touched bool // the transaction has its snapshot
	commits int  // of the world, at the snapshot
	names   []string
	said    []string
}

func (m *mix) conn() *conn       { return m.c }
func (m *mix) inBlock() bool     { return m.in }
func (m *mix) w() *world         { return m.c.n.w }
func (m *mix) chance(n int) bool { return m.w().rnd.IntN(n) == 0 }
func (m *mix) finish()           { *m = mix{c: m.c} }
func (m *mix) generator() *generator {
	g := &generator{rnd: m.w().rnd}
	v, err := m.c.n.machine.View()
	if err == nil {
		defer v.Close()
		g.cat = v.Catalog()
	}
	return g
}

func (m *mix) next() error {
	if !m.in {
		return m.outside()
	}
	l := m.c.n.link
	switch {
	case m.failed && len(m.names) > 0 && m.chance(2):
		return m.say("ROLLBACK TO " + m.names[len(m.names)-1])
	case m.failed && m.chance(2):
		defer m.finish()
		return m.orderly("ROLLBACK", m.c.simple("ROLLBACK"))
	case m.chance(7):
		defer m.finish()
		if m.chance(5) {
			return m.orderly("ROLLBACK", m.c.simple("ROLLBACK"))
		}
		l.last, l.next, l.hit = nil, noFault, noFault
		m.fault()
		alone := m.touched && m.w().commits == m.commits
		a := m.c.simple("COMMIT")
		if a.code() == "40001" {
			m.w().count.conflicts++
			if alone {
				return fmt.Errorf("40001 although nobody else committed anything: %w (%s)\n  %s", a.err, a.err.Detail, strings.Join(m.said, "\n  "))
			}
		}
		return m.orderly("COMMIT", a)
	case !m.failed && m.chance(6):
		name := string(rune('p' + m.w().rnd.IntN(3)))
		m.names = append(m.names, name)
		return m.say("SAVEPOINT " + name)
	case !m.failed && len(m.names) > 0 && m.chance(8):
		return m.say(m.c.n.w.pickString("ROLLBACK TO ", "RELEASE ") + m.names[len(m.names)-1])
	case m.chance(12):
		return m.copy()
	}
	return m.say(m.generator().statement())
}

func (w *world) pickString(of ...string) string { return of[w.rnd.IntN(len(of))] }

// say runs one statement in the block.
func (m *mix) say(sql string) error {
	if !m.touched {
		m.touched, m.commits = true, m.w().commits
	}
	m.said = append(m.said, sql)
	var a answer
	if m.chance(4) {
		a = m.c.extended(sql)
	} else {
		a = m.c.simple(sql)
	}
	m.said[len(m.said)-1] += " -> " + cut(a.shown())
	m.failed = m.c.session.TxStatus() == 'E'
	if strings.HasPrefix(sql, "RELEASE") && a.err == nil {
		m.names = m.names[:len(m.names)-1]
	}
	return m.orderly(sql, a)
}

func cut(s string) string { return s[:min(len(s), 300)] }

func (m *mix) copy() error {
	sql, data := m.generator().copy()
	m.c.copyIn = data
	m.w().count.copies++
	if !m.in {
		m.fault()
		return m.orderly(sql, m.c.simple(sql))
	}
	if !m.touched {
		m.touched, m.commits = true, m.w().commits
	}
	a := m.c.simple(sql)
	m.said = append(m.said, sql+" -> "+cut(a.shown()))
	m.failed = m.c.session.TxStatus() == 'E'
	return m.orderly(sql, a)
}

// outside does something without a transaction block.
func (m *mix) outside() error {
	g := m.generator()
	switch {
	case m.chance(6):
		m.in = true
		return m.orderly("BEGIN", m.c.simple("BEGIN"))
	case m.chance(12):
		return m.copy()
	case m.chance(15):
		sql := m.w().pickString("SET TimeZone = 'Europe/Berlin'", "SET TimeZone = 'UTC'", "SET DateStyle = 'SQL, DMY'", "SET DateStyle = ISO", "SET search_path = public", "RESET ALL", "DISCARD ALL")
		return m.orderly(sql, m.c.simple(sql))
	case m.chance(10):
		return m.raw()
	case m.chance(8):
		var parts []string
		for range 2 + m.w().rnd.IntN(4) {
			parts = append(parts, g.statement())
		}
		m.fault()
		sql := strings.Join(parts, "; ")
		return m.orderly(sql, m.c.simple(sql))
	case m.chance(20):
		sql := g.ddl()
		m.fault()
		return m.orderly(sql, m.c.simple(sql))
	}
	sql := g.statement()
	m.fault()
	if m.chance(3) {
		return m.orderly(sql, m.c.extended(sql))
	}
	return m.orderly(sql, m.c.simple(sql))
}

// raw appends entries that a session makes rarely or never: staged chunks out of
// order, forgotten ones, consumed ones, and checks.
func (m *mix) raw() error {
	w := m.w()
	t, _ := m.generator().table()
	id := log.StageID(w.newSeed())
	e := func(kind log.Kind) *log.Entry {
		now := types.TimeToTimestamp(m.c.n.clock())
		return &log.Entry{Kind: kind, Semantics: log.CurrentSemantics, Time: now, Began: now, Seed: w.newSeed(), Role: "tester", Application: "raw"}
	}
	var entries []*log.Entry
	chunks := 1 + w.rnd.IntN(4)
	order := w.rnd.Perm(chunks)
	base := w.rnd.IntN(1_000_000)
	for _, i := range order {
		x := e(log.KindStage)
		x.Stage = &log.Stage{ID: id, Chunk: i}
		for j := range w.rnd.IntN(6) {
			row := types.AppendRow(nil, []types.Datum{types.Int(int64(base + i*10 + j))})
			x.Stage.Rows = append(append(x.Stage.Rows, byte(len(row))), row...)
		}
		if w.rnd.IntN(12) > 0 {
			entries = append(entries, x)
		}
	}
	if w.rnd.IntN(6) == 0 {
		x := e(log.KindUnstage)
		x.Stage = &log.Stage{ID: id}
		entries = append(entries, x)
	}
	for range 1 + w.rnd.IntN(8)/7 {
		x := e(log.KindCommand)
		x.Statements = []log.Statement{{Text: fmt.Sprintf("COPY %s (id) FROM STDIN", t), Time: x.Time, Copy: &log.CopyData{Stage: id, Chunks: chunks}}}
		entries = append(entries, x)
	}
	entries = append(entries, e(log.KindCheck))
	for _, x := range entries {
		data, err := x.Append(nil)
		if err != nil {
			return err
		}
		m.w().cluster.Append(data)
	}
	w.commits++ // some may commit: nobody looks at the answers here
	return nil
}

func (m *mix) fault() {
	l := m.c.n.link
	if m.w().faults && m.chance(60) {
		l.next = fault(m.w().rnd.IntN(int(faultsCount)))
	}
}

// orderly refuses errors that no statement may cause.
func (m *mix) orderly(sql string, a answer) error {
	switch {
	case a.err == nil:
		return nil
	case strings.HasPrefix(a.code(), "XX"), strings.HasPrefix(a.code(), "58"):
		return fmt.Errorf("%.1000s answers %w (%s)\n  %s", sql, a.err, a.err.Detail, strings.Join(m.said, "\n  "))
	}
	return nil
}

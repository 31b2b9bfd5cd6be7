package pgwire

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// fakeSession runs a toy language, one statement a line or between semicolons:
//
//	rows N [SIZE]      N rows of (i int4, t text), t padded to SIZE bytes
//	echo $1 … $n       one row of its parameters as text
//	last               one row that says whether Sync followed Execute
//	error CODE TEXT    fails; fatal CODE TEXT likewise, and ends the connection
//	full               fails with every field of an error set
//	wait               blocks until its context is cancelled
//	stubborn           blocks until the test ends it, whatever its context says
//	panic              panics
//	midrow             panics while a row is being encoded
//	conflict           makes the commit at Sync fail
//	internal           fails with an error that has no SQLSTATE
//	copyin [binary]    COPY FROM STDIN; counts bytes
//	copybad            the same, fails after the first message
//	copyout N          COPY TO STDOUT of N lines
//	begin, commit, rollback, notice TEXT, set NAME VALUE
type fakeSession struct {
	stats    *fakeStats
	params   query.StartupParams
	prepared map[string]*fakePrepared
	portals  map[string]*fakePortal
	status   byte
	failed   bool // implicit transaction
	conflict bool // Sync will fail
}

type fakePrepared struct {
	sql  string
	oids []types.OID
}

type fakePortal struct {
	sql     string
	params  []string
	isNull  []bool
	cols    []query.Column
	formats []int16
	next    int
	n, size int // the arguments of rows
	row     [2]types.Datum
}

func newFakePortal(sql string, oids []types.OID) *fakePortal {
	p := &fakePortal{sql: sql, cols: columnsOf(sql, oids)}
	if strings.HasPrefix(sql, "rows ") {
		p.n, p.size = number(sql, 1), number(sql, 2)
	}
	return p
}

// fakeStats is what a test may ask about all sessions of a server.
type fakeStats struct {
	opened, closed, running atomic.Int64
	release                 chan struct{}
}

func (st *fakeStats) factory() SessionFactory {
	return SessionFactoryFunc(func(_ context.Context, p query.StartupParams) (Session, []query.Setting, error) {
		if p.Database == "missing" {
			return nil, nil, sqlstate.New(sqlstate.InvalidCatalogName, "database %q does not exist", p.Database)
		}
		settings := []query.Setting{}
		for _, s := range p.Settings {
			switch s.Name {
			case "application_name", "tidemark.token":
				settings = append(settings, s)
			}
		}
		st.opened.Add(1)
		return &fakeSession{stats: st, params: p, status: 'I', prepared: map[string]*fakePrepared{}, portals: map[string]*fakePortal{}}, settings, nil
	})
}

var fakeFormat = types.DefaultFormat()

func (s *fakeSession) Format() *types.Format { return fakeFormat }
func (s *fakeSession) TxStatus() byte        { return s.status }
func (s *fakeSession) Close()                { s.stats.closed.Add(1) }

func (s *fakeSession) Failed() {
	s.failed = true
	if s.status == 'T' {
		s.status = 'E'
	}
}

func (s *fakeSession) Sync(context.Context, query.ResultWriter) error {
	conflict := s.conflict && !s.failed
	s.failed, s.conflict = false, false
	if conflict {
		return sqlstate.New(sqlstate.SerializationFailure, "could not serialize access")
	}
	return nil
}

func (s *fakeSession) SimpleQuery(ctx context.Context, sql string, w query.ResultWriter) error {
	if strings.TrimSpace(sql) == "" || sql == ";" || sql == "-- ping" {
		return w.EmptyQuery()
	}
	for _, stmt := range strings.Split(sql, ";") {
		if stmt = strings.TrimSpace(stmt); stmt == "" {
			continue
		}
		p := newFakePortal(stmt, nil)
		if p.cols != nil {
			if err := w.RowDescription(p.cols); err != nil {
				return err
			}
		}
		if _, err := s.run(ctx, p, 0, false, w); err != nil {
			s.Failed()
			return err
		}
	}
	return nil
}

func (s *fakeSession) Parse(_ context.Context, name, sql string, oids []types.OID) error {
	if strings.HasPrefix(sql, "syntax") {
		return sqlstate.New(sqlstate.SyntaxError, "syntax error at or near %q", "syntax").WithPosition(1)
	}
	params := slices.Clone(oids)
	for len(params) < strings.Count(sql, "$") {
		params = append(params, types.TextType.OID)
	}
	s.prepared[name] = &fakePrepared{sql: sql, oids: params}
	return nil
}

func (s *fakeSession) DescribeStatement(name string) ([]types.OID, []query.Column, error) {
	p, ok := s.prepared[name]
	if !ok {
		return nil, nil, sqlstate.New(sqlstate.InvalidSQLStatementName, "prepared statement %q does not exist", name)
	}
	return p.oids, columnsOf(p.sql, p.oids), nil
}

func (s *fakeSession) Bind(_ context.Context, portal, statement string, params [][]byte, _, resultFormats []int16) error {
	p, ok := s.prepared[statement]
	if !ok {
		return sqlstate.New(sqlstate.InvalidSQLStatementName, "prepared statement %q does not exist", statement)
	}
	po := s.portals[portal]
	if po == nil || po.sql != p.sql || len(params) > 0 {
		po = newFakePortal(p.sql, p.oids)
		s.portals[portal] = po
	}
	po.next = 0
	po.formats = append(po.formats[:0], resultFormats...)
	for _, v := range params {
		po.params = append(po.params, string(v))
		po.isNull = append(po.isNull, v == nil)
	}
	return nil
}

func (s *fakeSession) DescribePortal(name string) ([]query.Column, []int16, error) {
	p, ok := s.portals[name]
	if !ok {
		return nil, nil, sqlstate.New(sqlstate.InvalidCursorName, "portal %q does not exist", name)
	}
	return p.cols, p.formats, nil
}

func (s *fakeSession) CloseStatement(name string) { delete(s.prepared, name) }
func (s *fakeSession) ClosePortal(name string)    { delete(s.portals, name) }

func (s *fakeSession) Execute(ctx context.Context, portal string, maxRows int, last bool, w query.ResultWriter) (bool, error) {
	return s.run(ctx, s.portals[portal], maxRows, last, w)
}

var (
	rowColumns = []query.Column{
		{Name: "i", TableOID: 16384, AttNum: 1, Type: types.Int4Type, Typmod: types.NoTypmod},
		{Name: "t", Type: types.TextType, Typmod: types.NoTypmod},
	}
	textColumn = []query.Column{{Name: "t", Type: types.TextType, Typmod: types.NoTypmod}}
)

func columnsOf(sql string, oids []types.OID) []query.Column {
	switch word, _, _ := strings.Cut(sql, " "); word {
	case "rows":
		return rowColumns
	case "last", "midrow", "params":
		return textColumn
	case "echo":
		return slices.Repeat(textColumn, len(oids))
	}
	return nil
}

// number returns argument i of a statement.
func number(sql string, i int) int {
	words := strings.Fields(sql)
	if i >= len(words) {
		return 0
	}
	n, err := strconv.Atoi(words[i])
	if err != nil {
		panic(err)
	}
	return n
}

func (s *fakeSession) run(ctx context.Context, p *fakePortal, maxRows int, last bool, w query.ResultWriter) (bool, error) {
	word, rest, _ := strings.Cut(p.sql, " ")
	switch word {
	case "rows":
		return p.rows(maxRows, w)
	case "echo":
		row := make([]types.Datum, len(p.params))
		for i, v := range p.params {
			if !p.isNull[i] {
				row[i] = types.String(v)
			}
		}
		return false, one(w, "SELECT 1", row...)
	case "last":
		return false, one(w, "SELECT 1", types.String(fmt.Sprint(last)))
	case "params":
		return false, one(w, "SELECT 1", types.String(fmt.Sprint(s.params.User, "|", s.params.Database, "|", s.params.Settings, "|", s.params.Replication)))
	case "midrow":
		return false, one(w, "SELECT 1", types.JSONB(nil)) // the encoder panics
	case "wait", "stubborn":
		return false, s.block(ctx, word)
	case "copyin", "copybad":
		return false, s.copyIn(word == "copybad", rest == "binary", w)
	case "copyout":
		return false, s.copyOut(number(p.sql, 1), w)
	}
	return false, s.utility(word, rest, w)
}

func one(w query.ResultWriter, tag string, row ...types.Datum) error {
	if err := w.Row(row); err != nil {
		return err
	}
	return w.CommandComplete(tag)
}

func (s *fakeSession) block(ctx context.Context, word string) error {
	s.stats.running.Add(1)
	defer s.stats.running.Add(-1)
	if word == "stubborn" {
		<-s.stats.release
		return fmt.Errorf("released")
	}
	<-ctx.Done()
	return fmt.Errorf("wait: %w", ctx.Err())
}

func (s *fakeSession) utility(word, rest string, w query.ResultWriter) error {
	tag := strings.ToUpper(word)
	switch word {
	case "error", "fatal":
		code, text, _ := strings.Cut(rest, " ")
		e := sqlstate.New(sqlstate.Code(code), "%s", text)
		if word == "fatal" {
			e.Severity = severityFatal
		}
		return e
	case "full":
		return &sqlstate.Error{Code: "23505", Message: "m\x00\xff", Detail: "d", Hint: "h", Position: 7, Where: "w",
			Schema: "s", Table: "t", Column: "c", DataType: "dt", Constraint: "n"}
	case "internal":
		return fmt.Errorf("disk on fire")
	case "conflict":
		s.conflict = true
	case "panic":
		panic("the fake was told to")
	case "begin":
		s.status = 'T'
	case "commit", "rollback":
		s.status = 'I'
	case "notice":
		if err := w.Notice(sqlstate.New(sqlstate.SuccessfulCompletion, "%s", rest)); err != nil {
			return err
		}
	case "set":
		name, value, _ := strings.Cut(rest, " ")
		if err := w.ParameterStatus(name, value); err != nil {
			return err
		}
	default:
		return sqlstate.New(sqlstate.SyntaxError, "syntax error at or near %q", word)
	}
	return w.CommandComplete(tag)
}

func (p *fakePortal) rows(maxRows int, w query.ResultWriter) (bool, error) {
	row := p.row[:]
	for sent := 0; p.next < p.n; sent++ {
		if maxRows > 0 && sent == maxRows {
			return true, nil
		}
		p.next++
		row[0] = types.Int(int64(p.next))
		row[1] = types.String("row")
		if p.size > 0 {
			row[1] = types.String(strings.Repeat("x", p.size))
		}
		if err := w.Row(row); err != nil {
			return false, err
		}
	}
	if p.n == 1 {
		return false, w.CommandComplete("SELECT 1") // nothing allocated, for the benchmark
	}
	return false, w.CommandComplete("SELECT " + strconv.Itoa(p.n))
}

func (s *fakeSession) copyIn(bad, binary bool, w query.ResultWriter) error {
	r, err := w.CopyIn(binary, 2)
	if err != nil {
		return err
	}
	s.stats.running.Add(1)
	defer s.stats.running.Add(-1)
	total := 0
	for {
		data, err := r.Next()
		if err == io.EOF {
			return w.CommandComplete(fmt.Sprintf("COPY %d", total))
		}
		if err != nil {
			return err
		}
		if bad {
			return sqlstate.New(sqlstate.BadCopyFileFormat, "bad line")
		}
		total += len(data)
	}
}

func (s *fakeSession) copyOut(n int, w query.ResultWriter) error {
	if err := w.CopyOut(false, 1); err != nil {
		return err
	}
	for i := range n {
		if err := w.CopyData(fmt.Appendf(nil, "line %d\n", i)); err != nil {
			return err
		}
	}
	if err := w.CopyDone(); err != nil {
		return err
	}
	return w.CommandComplete(fmt.Sprintf("COPY %d", n))
}

// queryHooks are the hooks of StartupParams.
type queryHooks struct{ cancel, terminate func(*sqlstate.Error) }

// spyOnHooks passes the hooks of each new session on to a test.
func spyOnHooks(f SessionFactory, hooks chan<- queryHooks) SessionFactory {
	return SessionFactoryFunc(func(ctx context.Context, p query.StartupParams) (Session, []query.Setting, error) {
		hooks <- queryHooks{p.Cancel, p.Terminate}
		return f.NewSession(ctx, p)
	})
}

package query

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// prepared is a prepared statement.
type prepared struct {
	name string
	text string
	cmd  plan.Command // nil for an empty statement
	hint string

	declared []*types.Type // as given; nil entries are inferred
	params   []*types.Type
	cols     []Column
	program  *exec.Program // how it was planned last
	version  catalog.Version
}

// Parse makes a prepared statement.
func (s *Session) Parse(ctx context.Context, name, sql string, paramOIDs []types.OID) error {
	if err := s.refuseExtended(); err != nil {
		return err
	}
	if name == "" {
		delete(s.prepared, "")
	} else if _, dup := s.prepared[name]; dup {
		return sqlstate.New(sqlstate.DuplicatePreparedStatement, "prepared statement \"%s\" already exists", name)
	}
	if len(s.prepared) >= maxPrepared {
		return sqlstate.New(sqlstate.ConfigurationLimitExceeded, "a session may have at most %d prepared statements", maxPrepared)
	}
	cmds, err := s.e.commands(sql)
	if err != nil {
		return err
	}
	if len(cmds) > 1 {
		return sqlstate.New(sqlstate.SyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	p := &prepared{name: name, text: sql, hint: leadingHint(sql)}
	for _, oid := range paramOIDs {
		var t *types.Type
		if oid != 0 && oid != types.UnknownType.OID {
			var ok bool
			if t, ok = types.ByOID(oid); !ok {
				return sqlstate.New(sqlstate.UndefinedObject, "type with OID %d does not exist", oid)
			}
		}
		p.declared = append(p.declared, t)
	}
	if len(cmds) == 1 {
		p.cmd = cmds[0]
		if s.tx != nil && s.tx.failed && !endsFailure(p.cmd) {
			return failedError()
		}
		if err := s.planAnew(ctx, p); err != nil {
			return err
		}
	}
	s.prepared[name] = p
	return nil
}

// planAnew is plan for a new statement. One that cannot be planned may name what
// this node has not heard of yet, so the log is asked before the client is told.
func (s *Session) planAnew(ctx context.Context, p *prepared) error {
	err := s.plan(p)
	if err == nil || s.tx != nil && s.tx.txn != nil {
		return err
	}
	wait := s.confirm
	if q, ok := p.cmd.(*plan.Query); ok && q.Select() {
		wait = s.reach
	}
	if err := wait(ctx); err != nil {
		return err
	}
	return s.plan(p)
}

// plan finds out a prepared statement's parameters and columns, anew when the
// catalog has changed.
func (s *Session) plan(p *prepared) error {
	q, ok := p.cmd.(*plan.Query)
	if !ok {
		p.params = p.declared
		p.cols = s.controlColumns(p.cmd)
		return nil
	}
	cat := s.catalog()
	if p.program != nil && p.version == cat.Version() && cat.Draft() == 0 {
		return nil
	}
	in := exec.ContextInputs{TxnTime: s.e.now(), StmtTime: s.e.now()}
	prog, err := s.program(&statement{query: q, types: p.declared}, cat, in, false)
	if err != nil {
		return err
	}
	cols := wireColumns(prog.Statement)
	if p.program != nil && !sameColumns(p.cols, cols) {
		return sqlstate.New(sqlstate.FeatureNotSupported, "cached plan must not change result type")
	}
	p.program, p.version, p.params, p.cols = prog, cat.Version(), prog.Statement.Params, cols
	return nil
}

func sameColumns(a, b []Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || a[i].Name != b[i].Name {
			return false
		}
	}
	return true
}

// controlColumns are the columns of a command that the session handles itself.
func (s *Session) controlColumns(c plan.Command) []Column {
	switch c := c.(type) {
	case *plan.Show:
		if c.Name == "all" {
			return showAllColumns
		}
		return []Column{textColumn(showName(c.Name))}
	case *plan.Explain:
		return []Column{textColumn("QUERY PLAN")}
	case *plan.Wait:
		return []Column{textColumn("status")}
	case *plan.Fetch:
		if p, ok := s.portals[c.Name]; ok && !c.Move {
			return p.cols
		}
	case *plan.Execute:
		if p, ok := s.prepared[c.Name]; ok {
			return p.cols
		}
	}
	return nil
}

// DescribeStatement returns a prepared statement's parameter types and columns.
func (s *Session) DescribeStatement(name string) ([]types.OID, []Column, error) {
	if err := s.refuseExtended(); err != nil {
		return nil, nil, err
	}
	p, err := s.lookup(name)
	if err != nil {
		return nil, nil, err
	}
	if s.tx != nil && s.tx.failed && len(p.cols) > 0 {
		return nil, nil, failedError()
	}
	if p.cmd != nil && (s.tx == nil || !s.tx.failed) {
		if err := s.plan(p); err != nil {
			return nil, nil, err
		}
	}
	oids := make([]types.OID, len(p.params))
	for i, t := range p.params {
		oids[i] = types.TextType.OID
		if t != nil {
			oids[i] = t.OID
		}
	}
	return oids, p.cols, nil
}

func (s *Session) lookup(name string) (*prepared, error) {
	p, ok := s.prepared[name]
	if ok {
		return p, nil
	}
	if name == "" {
		return nil, sqlstate.New(sqlstate.InvalidSQLStatementName, "unnamed prepared statement does not exist")
	}
	return nil, sqlstate.New(sqlstate.InvalidSQLStatementName, "prepared statement \"%s\" does not exist", name)
}

// Bind makes a portal of a prepared statement and its parameters.
func (s *Session) Bind(_ context.Context, name, statementName string, params [][]byte, paramFormats, resultFormats []int16) error {
	if err := s.refuseExtended(); err != nil {
		return err
	}
	p, err := s.lookup(statementName)
	if err != nil {
		return err
	}
	if s.tx != nil && s.tx.failed && (p.cmd == nil || !endsFailure(p.cmd)) {
		return failedError()
	}
	if p.cmd != nil && !endsFailure(p.cmd) {
		if err := s.plan(p); err != nil {
			return err
		}
	}
	if len(params) != len(p.params) {
		return sqlstate.New(sqlstate.ProtocolViolation, "bind message supplies %d parameters, but prepared statement \"%s\" requires %d",
			len(params), statementName, len(p.params))
	}
	if n := len(resultFormats); n > 1 && n != len(p.cols) {
		return sqlstate.New(sqlstate.ProtocolViolation, "bind message has %d result formats but query has %d columns", n, len(p.cols))
	}
	if name != "" {
		if _, dup := s.portals[name]; dup {
			return sqlstate.New(sqlstate.DuplicateCursor, "cursor \"%s\" already exists", name)
		}
	}
	if len(s.portals) >= maxPortals {
		return sqlstate.New(sqlstate.ConfigurationLimitExceeded, "a session may have at most %d portals", maxPortals)
	}
	values, err := s.decodeParams(p.params, params, paramFormats)
	if err != nil {
		return err
	}
	s.ClosePortal(name)
	s.portals[name] = &portal{name: name, prepared: p, params: values, cols: p.cols, formats: append([]int16(nil), resultFormats...)}
	return nil
}

// decodeParams reads parameter values in the formats they came in.
func (s *Session) decodeParams(ts []*types.Type, params [][]byte, formats []int16) ([]types.Datum, error) {
	out := make([]types.Datum, len(params))
	for i, b := range params {
		if b == nil {
			continue
		}
		t := ts[i]
		if t == nil {
			t = types.TextType
		}
		format := int16(0)
		switch len(formats) {
		case 0:
		case 1:
			format = formats[0]
		default:
			format = formats[i]
		}
		var err error
		if format == 1 {
			out[i], err = t.ParseBinary(s.format, b, types.NoTypmod)
		} else {
			out[i], err = s.parseText(t, b)
		}
		if err != nil {
			e := *sqlstate.As(err)
			if e.Where == "" {
				e.Where = "unnamed portal parameter $" + itoa(i+1)
			}
			return nil, &e
		}
	}
	return out, nil
}

// parseText reads a value from text that a client has sent.
func (s *Session) parseText(t *types.Type, b []byte) (types.Datum, error) {
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return types.NullDatum, notUTF8(b)
	}
	f := s.format
	if t.IsReg() || t.Kind == types.KindDate || t.Kind == types.KindTimestamp {
		c := *s.format
		c.Now = s.e.now()
		c.RegIn = s.catalogInfo(s.catalog()).RegIn
		f = &c
	}
	return t.Parse(f, string(b), types.NoTypmod)
}

// CloseStatement forgets a prepared statement.
func (s *Session) CloseStatement(name string) { delete(s.prepared, name) }

// Execute runs a portal, or goes on with it.
func (s *Session) Execute(ctx context.Context, name string, maxRows int, last bool, w ResultWriter) (bool, error) {
	p, err := s.portal(name)
	if err != nil {
		return false, err
	}
	if p.live != nil {
		return s.executeLive(ctx, p, maxRows, w)
	}
	if p.prepared == nil {
		return s.fetchPortal(p, maxRows, w)
	}
	s.busy(p.prepared.text)
	defer s.idle()
	ctx, cancel := s.timed(ctx)
	defer cancel()
	if p.prepared.cmd == nil {
		return false, w.EmptyQuery()
	}
	if s.tx != nil && s.tx.failed && !endsFailure(p.prepared.cmd) {
		return false, failedError()
	}
	if p.started {
		return s.fetchPortal(p, maxRows, w)
	}
	s.hint = p.prepared.hint
	defer func() { s.hint = "" }()
	q, ok := p.prepared.cmd.(*plan.Query)
	if !ok {
		if s.tx == nil && !last && opensImplicit(p.prepared.cmd) {
			if err := s.begin(false, plan.TransactionModes{}); err != nil {
				return false, err
			}
		}
		return false, s.control(ctx, p.prepared.cmd, w, false)
	}
	st := &statement{query: q, types: p.prepared.params, params: p.params, shown: p.cols, told: true}
	if s.tx == nil && (!last || maxRows > 0 && p.prepared.program.Statement.Root != nil) {
		if err := s.begin(false, plan.TransactionModes{}); err != nil {
			return false, err
		}
	}
	if maxRows > 0 {
		if prog := s.subscription(st); prog != nil {
			if err := s.openLive(p, st, prog); err != nil {
				return false, err
			}
			return s.executeLive(ctx, p, maxRows, w)
		}
	}
	if maxRows > 0 && len(p.cols) > 0 {
		if err := s.materialize(ctx, p, st, w); err != nil {
			return false, err
		}
		return s.fetchPortal(p, maxRows, w)
	}
	p.started = true
	return false, s.query(ctx, st, w)
}

// Sync ends the implicit transaction, if there is one.
func (s *Session) Sync(ctx context.Context, w ResultWriter) error {
	defer s.idle()
	defer s.follow(w)
	if s.tx == nil || s.tx.explicit {
		if s.tx == nil {
			s.closePortals(func(p *portal) bool { return !p.hold })
		}
		return nil
	}
	if s.tx.failed {
		return s.rollback(w)
	}
	return s.commit(ctx, w)
}

// Failed marks the transaction failed after an error the client has seen.
func (s *Session) Failed() {
	if s.tx != nil {
		s.tx.failed = true
	}
}

// dropUnnamed forgets the unnamed statement and portal, as a simple query does.
func (s *Session) dropUnnamed() {
	delete(s.prepared, "")
	s.ClosePortal("")
}

package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/tests/check"
)

// run is one transaction of Lists on its way.
type run struct {
	w *Lists
	c *Client
	t *check.Txn

	wrote bool // it has sent what may write
}

// request is one statement and what it means.
type request struct {
	Statement
	ops  []check.Op // its appends, and reads without what they will show
	tag  string     // how the server must call it
	from *store
}

func (r *run) chance(n int) bool { return r.c.Rand.IntN(n) == 0 }

func (r *run) key() check.Key { return r.w.base() + check.Key(r.c.Rand.IntN(listsAtATime)) }

// next draws a statement.
func (r *run) next(extended, readOnly bool) request {
	k := r.key()
	s := storeOf(k)
	read := func(k check.Key) check.Op { return check.Op{Kind: check.Read, Key: k} }
	switch n := r.c.Rand.IntN(12); {
	case n < 4 || readOnly && n < 9:
		return request{s.read(extended, k), []check.Op{read(k)}, "SELECT", s}
	case n < 6 || readOnly:
		last := k + check.Key(len(stores)*r.c.Rand.IntN(4))
		x := request{s.readRange(extended, k, last), nil, "SELECT", s}
		for ; k <= last; k += check.Key(len(stores)) {
			x.ops = append(x.ops, read(k))
		}
		return x
	}
	r.wrote = true
	v := check.Value(r.w.value.Add(1))
	r.w.senders.Store(v, r.t)
	x := request{ops: []check.Op{{Kind: check.Append, Key: k, Value: v}}, from: s}
	if there, ok := r.w.known.Load(k); ok && there == true && r.chance(2) {
		x.Statement, x.tag = s.update(extended, k, v), "UPDATE 1"
		return x
	}
	returning := r.chance(3)
	x.Statement, x.tag = s.upsert(extended, returning, k, v), "INSERT 0 1"
	if returning {
		x.ops = append(x.ops, read(k))
	}
	return x
}

// show takes what a statement showed into the transaction.
func (r *run) show(x *request, rows [][]string, tag string) error {
	if tag == "UPDATE 0" && x.tag == "UPDATE 1" { // the transaction's snapshot is older than the list
		r.t.Ops = append(r.t.Ops, check.Op{Kind: check.Read, Key: x.ops[0].Key})
		return nil
	}
	if !strings.HasPrefix(tag, x.tag) {
		return fmt.Errorf("%s %q answers %s", x.SQL, x.Params, tag)
	}
	shown := map[check.Key][]check.Value{}
	for _, row := range rows {
		k, l, err := x.from.parseRow(row)
		if err != nil {
			return fmt.Errorf("%s %q: %w", x.SQL, x.Params, err)
		}
		if _, twice := shown[k]; twice {
			return fmt.Errorf("%s %q shows key %d twice", x.SQL, x.Params, k)
		}
		shown[k] = l
	}
	for _, o := range x.ops {
		if o.Kind == check.Read {
			o.List = shown[o.Key]
			delete(shown, o.Key)
		}
		r.t.Ops = append(r.t.Ops, o)
	}
	if len(shown) > 0 {
		return fmt.Errorf("%s %q shows keys it did not ask for: %v", x.SQL, x.Params, shown)
	}
	return nil
}

// sent notes the appends of what may have been done without an answer.
func (r *run) sent(all []request) {
	r.t.Ops = nil
	for _, x := range all {
		for _, o := range x.ops {
			if o.Kind == check.Append {
				r.t.Ops = append(r.t.Ops, o)
			}
		}
	}
}

// draw runs a transaction in one of the ways there are.
func (r *run) draw(ctx context.Context) (Answer, error) {
	switch n := r.c.Rand.IntN(20); {
	case n < 4:
		r.t.How = "single"
		return r.together(ctx, 1, false)
	case n < 8:
		r.t.How = "script"
		return r.together(ctx, 2+r.c.Rand.IntN(3), false)
	case n < 10:
		r.t.How = "pipeline"
		return r.together(ctx, 1+r.c.Rand.IntN(4), true)
	case n < 11:
		r.t.How = "script with BEGIN"
		return r.together(ctx, 1+r.c.Rand.IntN(4), false)
	}
	return r.interactive(ctx)
}

// together runs statements that are sent at once.
func (r *run) together(ctx context.Context, n int, pipeline bool) (Answer, error) {
	extended := pipeline || n == 1 && r.t.How == "single" && r.chance(2)
	readOnly := r.chance(5)
	var all []request
	var statements []Statement
	var script []string
	for range n {
		x := r.next(extended, readOnly)
		all, statements, script = append(all, x), append(statements, x.Statement), append(script, x.SQL)
	}
	var a Answer
	skip := 0 // results that are not of statements
	switch {
	case pipeline:
		a = r.c.Pipeline(ctx, statements)
	case extended:
		a = r.c.Run(ctx, statements[0].SQL, statements[0].Params...)
	case r.t.How == "script with BEGIN":
		skip = 1
		a = r.c.Run(ctx, "BEGIN; "+strings.Join(script, "; ")+"; COMMIT")
		if a.Outcome != check.Committed && r.c.conn != nil && !r.c.conn.IsClosed() && r.c.conn.TxStatus() != 'I' {
			r.c.Close() // it has failed before its COMMIT
		}
	default:
		a = r.c.Run(ctx, strings.Join(script, "; "))
	}
	if a.Outcome != check.Committed {
		r.sent(all)
		return a, nil
	}
	if len(a.Results) != n+2*skip {
		return a, fmt.Errorf("%d statements have %d results", n+2*skip, len(a.Results))
	}
	for i := range all {
		res := a.Results[i+skip]
		if err := r.show(&all[i], table(res), res.CommandTag.String()); err != nil {
			return a, err
		}
	}
	return a, nil
}

// interactive runs a transaction statement by statement, with savepoints and
// errors inside them at times.
func (r *run) interactive(ctx context.Context) (Answer, error) {
	begin, extended, readOnly := "BEGIN", r.chance(2), r.chance(6)
	r.t.How = "interactive"
	if extended {
		r.t.How += " extended"
	}
	if readOnly {
		r.t.How += " read only"
		begin = "BEGIN READ ONLY"
	} else if r.chance(4) {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ"
	}
	var wrong error
	saved := false
	a := r.c.Block(ctx, begin, func(q Query) error {
		for range 1 + r.c.Rand.IntN(5) {
			if err := r.savepoint(q, &saved); err != nil {
				return err
			}
			x := r.next(extended, readOnly)
			shown, err := q(x.SQL, x.Params...)
			if err != nil {
				return err
			}
			if wrong = r.show(&x, shown.Rows, shown.Tag); wrong != nil {
				return wrong
			}
		}
		if r.chance(20) {
			return ErrRollback
		}
		return nil
	})
	return a, wrong
}

// savepoint does something with a savepoint, now and then.
func (r *run) savepoint(q Query, saved *bool) error {
	do := func(kind check.Kind, sql string) error {
		_, err := q(sql)
		if err == nil {
			r.t.Ops = append(r.t.Ops, check.Op{Kind: kind, Name: "s"})
		}
		return err
	}
	switch n := r.c.Rand.IntN(16); {
	case n == 0:
		*saved = true
		return do(check.Savepoint, "SAVEPOINT s")
	case n == 1 && *saved:
		*saved = false
		return do(check.Release, "RELEASE s")
	case n < 4 && *saved:
		if n == 2 {
			_, err := q("SELECT 1 / 0")
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != "22012" {
				return fmt.Errorf("1 / 0 answers %w", err)
			}
		}
		return do(check.RollbackTo, "ROLLBACK TO s")
	}
	return nil
}

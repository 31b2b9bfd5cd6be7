package exec

import (
	"errors"
	"strings"

	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// writeError makes PostgreSQL's error of what sm says about a write.
func writeError(rt *Runtime, err error) error {
	var u *sm.UniqueViolationError
	if errors.Is(err, sm.ErrRowChanged) {
		return sqlstate.New("27000", "tuple to be updated was already modified by an operation triggered by the current command")
	}
	if !errors.As(err, &u) {
		return err
	}
	e := sqlstate.New(sqlstate.UniqueViolation, "duplicate key value violates unique constraint \"%s\"", u.Index.Name)
	e.Table, e.Constraint, e.Schema = u.Table.Name, u.Index.Name, schemaName(rt, u.Table)
	return e.WithDetail("Key %s already exists.", keyText(rt, u))
}

// keyText prints a key as (a, b)=(1, x).
func keyText(rt *Runtime, u *sm.UniqueViolationError) string {
	var names, values []string
	for i, ic := range u.Index.Columns {
		if ic.Column == 0 {
			names = append(names, ic.Expr)
		} else {
			names = append(names, u.Table.Columns[ic.Column-1].Name)
		}
		if i < len(u.Key) {
			values = append(values, datumText(rt, types.OID(ic.Type), u.Key[i]))
		}
	}
	return "(" + strings.Join(names, ", ") + ")=(" + strings.Join(values, ", ") + ")"
}

// maxRowText is how many bytes of a value a message shows.
const maxRowText = 64

// rowText prints a row for a message as (1, x, null).
func rowText(rt *Runtime, t *catalog.Table, row []types.Datum) string {
	var out []string
	for i := range t.Columns {
		if t.Columns[i].Dropped {
			continue
		}
		v := datumText(rt, t.Columns[i].Type, row[i])
		if len(v) > maxRowText {
			v = strings.ToValidUTF8(v[:maxRowText], "") + "..."
		}
		out = append(out, v)
	}
	return "(" + strings.Join(out, ", ") + ")"
}

func datumText(rt *Runtime, oid types.OID, d types.Datum) string {
	if d.IsNull() {
		return "null"
	}
	t, ok := types.ByOID(oid)
	if !ok {
		return "?"
	}
	return t.Text(rt.Expr.Format, d)
}

func schemaName(rt *Runtime, t *catalog.Table) string {
	if d, ok := rt.Txn.Catalog().ByID(t.Schema); ok {
		if s, ok := d.(*catalog.Schema); ok {
			return s.Name
		}
	}
	return ""
}

// outcome makes sure that what a function returns as an error is recorded as the
// outcome of the statement: an error without a SQLSTATE would halt the log, and
// only storage may do that.
func outcome(err error) error {
	var e *sqlstate.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return sqlstate.New(sqlstate.InternalError, "%s", err.Error())
}

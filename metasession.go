package tidemark

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// metaUser is the role under which the node itself works.
const metaUser = "postgres"

// metaRetries is how often a transaction on the meta database is tried again
// after a conflict with another node's.
const metaRetries = 20

// metaSession runs statements on the meta database for the node itself.
type metaSession struct {
	session *query.Session
	columns []query.Column
	rows    [][]string // of the last statement; NULL is ""
}

// openMetaSession begins a session of the meta database that reads what is here
// or, when fresh, what is newest anywhere.
func openMetaSession(ctx context.Context, db *database, fresh bool) (*metaSession, error) {
	level := "local"
	if fresh {
		level = "linearizable"
	}
	s, _, err := db.engine.NewSession(ctx, query.StartupParams{
		User: metaUser, Database: metaDatabase,
		Settings: []query.Setting{{Name: "application_name", Value: "tidemark node"}, {Name: "tidemark.read_consistency", Value: level}},
	})
	if err != nil {
		return nil, err
	}
	return &metaSession{session: s}, nil
}

func (m *metaSession) close() { m.session.Close() }

// run runs statements and returns the rows of the last one.
func (m *metaSession) run(ctx context.Context, sql string) ([][]string, error) {
	m.rows = nil
	if err := m.session.SimpleQuery(ctx, sql, m); err != nil {
		return nil, err
	}
	return m.rows, nil
}

// transact runs f in a transaction on the newest state, again after conflicts.
func transact(ctx context.Context, db *database, f func(*metaSession) error) error {
	var err error
	for range metaRetries {
		if err = transactOnce(ctx, db, f); !isConflict(err) {
			return err
		}
	}
	return err
}

func transactOnce(ctx context.Context, db *database, f func(*metaSession) error) error {
	m, err := openMetaSession(ctx, db, true)
	if err != nil {
		return err
	}
	defer m.close()
	if _, err := m.run(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := f(m); err != nil {
		return err
	}
	_, err = m.run(ctx, "COMMIT")
	return err
}

// isConflict says whether a transaction failed because of another one.
func isConflict(err error) bool {
	var e *sqlstate.Error
	return errors.As(err, &e) && e.Code == sqlstate.SerializationFailure
}

// literal writes a string as SQL. Everything that goes into statements of the
// meta database is a number or passes through here.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// number reads a column that is a number by its type.
func number[T ~uint64](s string) (T, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("meta database: %w", err)
	}
	return T(n), nil
}

var _ query.ResultWriter = (*metaSession)(nil)

// RowDescription implements query.ResultWriter.
func (m *metaSession) RowDescription(columns []query.Column) error {
	m.columns = columns
	m.rows = nil
	return nil
}

// Row implements query.ResultWriter.
func (m *metaSession) Row(values []types.Datum) error {
	row := make([]string, len(values))
	for i, v := range values {
		if !v.IsNull() {
			row[i] = m.columns[i].Type.Text(m.session.Format(), v)
		}
	}
	m.rows = append(m.rows, row)
	return nil
}

// CommandComplete implements query.ResultWriter.
func (m *metaSession) CommandComplete(string) error { return nil }

// EmptyQuery implements query.ResultWriter.
func (m *metaSession) EmptyQuery() error { return nil }

// Notice implements query.ResultWriter.
func (m *metaSession) Notice(*sqlstate.Error) error { return nil }

// ParameterStatus implements query.ResultWriter.
func (m *metaSession) ParameterStatus(string, string) error { return nil }

// CopyIn implements query.ResultWriter.
func (m *metaSession) CopyIn(bool, int) (query.CopyReader, error) { return nil, errNoCopy }

// CopyOut implements query.ResultWriter.
func (m *metaSession) CopyOut(bool, int) error { return errNoCopy }

// CopyData implements query.ResultWriter.
func (m *metaSession) CopyData([]byte) error { return errNoCopy }

// CopyDone implements query.ResultWriter.
func (m *metaSession) CopyDone() error { return errNoCopy }

var errNoCopy = errors.New("the node does not copy")

// logID prints a log's number.
func logID(id log.ID) string { return strconv.FormatUint(uint64(id), 10) }

package query

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

func hex8(v uint64) string { return fmt.Sprintf("%08x", v) }

// parseSnapshot reads what SET TRANSACTION SNAPSHOT takes: the name of an exported
// snapshot, or an LSN.
func parseSnapshot(name string) (log.Offset, bool) {
	parts := strings.Split(name, "-")
	if len(parts) == 3 && len(parts[0]) == 8 && len(parts[1]) == 8 && parts[2] == "1" {
		hi, err := strconv.ParseUint(parts[0], 16, 32)
		lo, err2 := strconv.ParseUint(parts[1], 16, 32)
		return log.Offset(hi<<32 | lo), err == nil && err2 == nil
	}
	off, err := log.ParseOffset(name)
	return off, err == nil
}

// repeatable reports whether a transaction sees one state from its beginning to its
// end.
func (tx *transaction) repeatable() bool {
	return tx.isolation == "repeatable read" || tx.isolation == "serializable"
}

// setSnapshot is SET TRANSACTION SNAPSHOT.
func (s *Session) setSnapshot(ctx context.Context, c *plan.SetSnapshot, w ResultWriter) error {
	if s.tx == nil || !s.tx.explicit {
		return noBlock(w, "SET TRANSACTION", "SET")
	}
	switch {
	case s.tx.txn != nil:
		return sqlstate.New(sqlstate.ActiveSQLTransaction, "SET TRANSACTION SNAPSHOT must be called before any query")
	case !s.tx.repeatable():
		return sqlstate.New(sqlstate.FeatureNotSupported, "a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ")
	}
	off, ok := parseSnapshot(c.ID)
	if !ok {
		return sqlstate.New(sqlstate.InvalidParameterValue, "invalid snapshot identifier: \"%s\"", c.ID)
	}
	if err := s.snapshotAt(ctx, off); err != nil {
		return err
	}
	return w.CommandComplete("SET")
}

// snapshotAt makes the transaction see the state at an offset. A node that has not
// come that far waits, as for a token.
func (s *Session) snapshotAt(ctx context.Context, off log.Offset) error {
	inner, cancel := context.WithTimeout(ctx, s.waitTimeout())
	defer cancel()
	if err := s.waitFor(ctx, inner, off.String(), false); err != nil {
		return err
	}
	v, err := s.e.cfg.Replica.ViewAt(off)
	if err != nil {
		return appendError(err)
	}
	tx := s.tx
	tx.view, tx.txn = v, v.Begin()
	tx.txn.SetBudget(s.budget)
	return nil
}

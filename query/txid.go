package query

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// id is the number of the transaction.
func (tx *transaction) id() log.TransactionID { return log.NewTransactionID(tx.began, tx.seed) }

// transaction answers the functions about numbers of transactions. A number is
// given to a transaction that asks for it (pg_current_xact_id); its outcome is
// remembered for a day.
func (i sessionInfo) transaction(name string, args []types.Datum) (types.Datum, bool, error) {
	tx := i.s.tx
	switch name {
	case "txid_current_if_assigned", "pg_current_xact_id_if_assigned":
		if tx == nil || !tx.traced {
			return types.NullDatum, true, nil
		}
		return types.Int(int64(tx.id())), true, nil
	case "txid_status", "pg_xact_status":
		if args[0].IsNull() {
			return types.NullDatum, true, nil
		}
		d, err := i.s.xactStatus(log.TransactionID(args[0].Int()))
		return d, true, err
	}
	return types.NullDatum, false, nil
}

// xactStatus is txid_status(): NULL for what is too old to be known.
func (s *Session) xactStatus(id log.TransactionID) (types.Datum, error) {
	v, err := s.e.view()
	if err != nil {
		return types.NullDatum, err
	}
	defer v.Close()
	if id == 0 {
		return types.NullDatum, nil // no transaction's, and what sessions without a number have
	}
	if id.Began() > max(s.e.now(), v.Time()) {
		return types.NullDatum, sqlstate.New(sqlstate.InvalidParameterValue, "transaction ID %s is in the future", id)
	}
	o, err := v.Outcome(sm.OutcomeOfTransaction, id.String())
	switch {
	case err != nil:
		return types.NullDatum, err
	case o != nil && o.Failure == nil:
		return types.String("committed"), nil
	case o == nil && s.e.inProgress(id):
		return types.String("in progress"), nil
	case o == nil && id.Began() < v.Time()-sm.TraceWindow:
		return types.NullDatum, nil
	}
	return types.String("aborted"), nil
}

// inProgress reports whether a session of this node runs that transaction.
func (e *Engine) inProgress(id log.TransactionID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.sessions {
		if s.snapshotStatus().transaction == id {
			return true
		}
	}
	return false
}

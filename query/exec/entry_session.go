package exec

import (
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/expr"
	"github.com/tidemark-db/tidemark/query/syscat"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// EntrySession is the session as far as an entry carries it: what functions such
// as current_user may answer in a statement that writes.
type EntrySession interface {
	expr.SessionInfo
	syscat.Session
	// Traced reports whether the number of the entry's transaction was asked for.
	Traced() bool
}

// NewEntrySession returns the session that an entry carries, whose statements run
// in txn; traced says that the number of its transaction has been asked for
// before. A session that runs a statement ahead of its entry uses it too, so that
// both answer alike.
func NewEntrySession(e *log.Entry, m *Meaning, txn *sm.Txn, traced bool) EntrySession {
	return &entrySession{entry: e, meaning: m, txn: txn, traced: traced}
}

type entrySession struct {
	entry   *log.Entry
	meaning *Meaning
	txn     *sm.Txn
	traced  bool
}

// Traced implements EntrySession.
func (s *entrySession) Traced() bool { return s.traced }

// Setting implements expr.SessionInfo.
func (s *entrySession) Setting(name string) (string, bool) {
	for _, x := range s.meaning.Settings {
		if strings.EqualFold(x.Name, name) {
			return x.Value, true
		}
	}
	if strings.EqualFold(name, "application_name") {
		return s.entry.Application, true
	}
	return "", false
}

// SetSetting implements expr.SessionInfo.
func (s *entrySession) SetSetting(string, string, bool) error {
	return unsupported("set_config in a statement that writes")
}

// Call implements expr.SessionInfo.
func (s *entrySession) Call(name string, args []types.Datum) (types.Datum, bool, error) {
	switch name {
	case expr.AckName:
		return args[1], true, s.txn.AckSlot(args[0].Str(), log.Offset(args[1].LSN()))
	case "current_user", "session_user", "user", "current_role":
		return types.String(s.entry.Role), true, nil
	case "current_database", "current_catalog":
		return types.String(s.meaning.Database), true, nil
	case "current_schema":
		for _, name := range s.meaning.SearchPath {
			if s.txn.Catalog().SchemaByName(name) != nil {
				return types.String(name), true, nil
			}
		}
		return types.NullDatum, true, nil
	case "txid_current", "pg_current_xact_id":
		s.traced = true
		return types.Int(int64(s.entry.TransactionID())), true, nil
	case "txid_current_if_assigned", "pg_current_xact_id_if_assigned":
		if !s.traced {
			return types.NullDatum, true, nil
		}
		return types.Int(int64(s.entry.TransactionID())), true, nil
	case "version":
		return types.String(VersionText), true, nil
	case "pg_is_in_recovery":
		// What writes is executed where PostgreSQL would have its primary.
		if s.entry.Semantics >= log.SemanticsDefinitions {
			return types.Bool(false), true, nil
		}
	}
	return types.NullDatum, false, unsupported("function %s in a statement that writes", name)
}

// Database implements syscat.Session.
func (s *entrySession) Database() string { return s.meaning.Database }

// Settings implements syscat.Session.
func (s *entrySession) Settings() []syscat.Setting { return nil }

// Activity implements syscat.Session.
func (s *entrySession) Activity() []syscat.Activity { return nil }

// Databases implements syscat.Session.
func (s *entrySession) Databases() []syscat.DatabaseInfo { return nil }

// Nodes implements syscat.Session.
func (s *entrySession) Nodes() []syscat.NodeInfo { return nil }

// Replicas implements syscat.Session.
func (s *entrySession) Replicas() []syscat.ReplicaInfo { return nil }

// Senders implements syscat.Session.
func (s *entrySession) Senders() []syscat.Sender { return nil }

// Slots implements syscat.Session.
func (s *entrySession) Slots() []syscat.SlotInfo { return nil }

// Formatter implements syscat.Session.
func (s *entrySession) Formatter() *types.Format { return s.meaning.Format }

// entrySequences draws sequence values in apply. A value that the client has
// already been shown was drawn from a reserved block and is in the entry; the
// others come from the sequence's state.
type entrySequences struct {
	txn     *sm.Txn
	feed    []log.DrawnValue // what the current statement drew before COMMIT
	current map[types.OID]int64
	order   []types.OID // of current, in the order last drawn
	drawn   map[types.OID]bool
	last    types.OID
}

func newEntrySequences(txn *sm.Txn, e *log.Entry) *entrySequences {
	s := &entrySequences{txn: txn}
	for _, c := range e.Current {
		s.set(types.OID(c.Sequence), c.Value)
	}
	return s
}

func (s *entrySequences) set(seq types.OID, v int64) {
	if s.current == nil {
		s.current, s.drawn = map[types.OID]int64{}, map[types.OID]bool{}
	}
	if _, ok := s.current[seq]; !ok {
		s.order = append(s.order, seq)
	}
	s.current[seq] = v
	s.last = seq
}

// newest are the values drawn by this entry, for currval and lastval; the last
// drawn one comes last.
func (s *entrySequences) newest() []log.DrawnValue {
	var out []log.DrawnValue
	for _, seq := range s.order {
		if s.drawn[seq] && seq != s.last {
			out = append(out, log.DrawnValue{Sequence: uint32(seq), Value: s.current[seq]})
		}
	}
	if s.drawn[s.last] {
		out = append(out, log.DrawnValue{Sequence: uint32(s.last), Value: s.current[s.last]})
	}
	return out
}

// SequenceByOID finds a sequence or fails as PostgreSQL does.
func SequenceByOID(c *catalog.Catalog, oid types.OID) (*catalog.Sequence, error) {
	if q := c.Sequence(catalog.ID(oid)); q != nil {
		return q, nil
	}
	if o, ok := c.ByID(catalog.ID(oid)); ok {
		if t, ok := o.(*catalog.Table); ok {
			return nil, sqlstate.New(sqlstate.WrongObjectType, "\"%s\" is not a sequence", t.Name)
		}
	}
	return nil, sqlstate.New(sqlstate.UndefinedTable, "relation with OID %d does not exist", oid)
}

// NextVal implements expr.Sequences.
func (s *entrySequences) NextVal(oid types.OID) (int64, error) {
	q, err := SequenceByOID(s.txn.Catalog(), oid)
	if err != nil {
		return 0, err
	}
	var v int64
	if len(s.feed) > 0 && types.OID(s.feed[0].Sequence) == oid {
		v = s.feed[0].Value
		s.feed = s.feed[1:]
	} else if v, err = s.txn.SequenceNext(q, 1); err != nil {
		return 0, err
	}
	s.set(oid, v)
	s.drawn[oid] = true
	return v, nil
}

// CurrVal implements expr.Sequences.
func (s *entrySequences) CurrVal(oid types.OID) (int64, error) {
	q, err := SequenceByOID(s.txn.Catalog(), oid)
	if err != nil {
		return 0, err
	}
	v, ok := s.current[oid]
	if !ok {
		return 0, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "currval of sequence \"%s\" is not yet defined in this session", q.Name)
	}
	return v, nil
}

// SetVal implements expr.Sequences.
func (s *entrySequences) SetVal(oid types.OID, value int64, called bool) (int64, error) {
	q, err := SequenceByOID(s.txn.Catalog(), oid)
	if err != nil {
		return 0, err
	}
	if value < q.Min || value > q.Max {
		return 0, sqlstate.New(sqlstate.NumericValueOutOfRange, "setval: value %d is out of bounds for sequence \"%s\" (%d..%d)", value, q.Name, q.Min, q.Max)
	}
	if err := s.txn.SequenceSet(q, value, called); err != nil {
		return 0, err
	}
	if called {
		s.set(oid, value)
		s.drawn[oid] = true
	}
	return value, nil
}

// LastVal implements expr.Sequences.
func (s *entrySequences) LastVal() (int64, error) {
	if s.last == 0 {
		return 0, sqlstate.New(sqlstate.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session")
	}
	return s.current[s.last], nil
}

// User implements syscat.Session.
func (s *entrySession) User() string { return s.entry.Role }

// Status implements syscat.Session.
func (s *entrySession) Status() syscat.Status { return syscat.Status{} }

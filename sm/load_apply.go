package sm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// adopted is a load that a transaction commits, and how many of the
// transaction's changes come before the load's.
type adopted struct {
	load *load
	at   int
}

// doom is a load that a transaction aborts if it commits.
type doom struct {
	load       keys.LoadID
	reason     loadReason
	constraint string
}

// doom notes that the load cannot commit once this transaction has.
func (t *Txn) doom(d doom) {
	if t.app == nil || slices.ContainsFunc(t.dooms, func(x doom) bool { return x.load == d.load }) {
		return
	}
	t.dooms = append(t.dooms, d)
}

// overtake dooms the open loads that the last lookup has met at a key of ix: who
// commits a row first has the key.
func (t *Txn) overtake(ix *catalog.Index) {
	for _, id := range t.met {
		t.doom(doom{load: id, reason: reasonOvertaken, constraint: ix.Name})
	}
	t.met = t.met[:0]
}

// Adopt makes the rows of a large transaction this transaction's own, as if it
// had inserted them now, and returns how many they are. tbl is the table that its
// statement names. It fails with 40001, or 23505, when the load was given up.
func (t *Txn) Adopt(c *log.CopyData, tbl *catalog.Table) (int64, error) {
	if t.app == nil {
		return 0, errors.New("sm: only apply adopts large transactions")
	}
	l := t.base.loads.staged(c.Stage)
	switch {
	case l == nil || slices.Contains(t.base.own, l.id):
		return 0, (&load{reason: reasonGivenUp}).failure()
	case l.status != LoadOpen:
		return 0, l.failure()
	case l.chunks != c.Chunks || l.table != tbl.ID:
		return 0, sqlstate.New(sqlstate.InternalError, "the large transaction has %d chunks for table %d, %d for table %d were expected",
			l.chunks, l.table, c.Chunks, tbl.ID)
	}
	if fresh, ok := t.LoadTarget(tbl, t.app.cat); !ok || fresh != (l.fresh != nil) {
		return 0, (&load{reason: reasonDDL}).failure()
	}
	for _, d := range t.dooms {
		if d.load == l.id { // by an earlier statement of this very transaction
			return 0, (&load{reason: d.reason, constraint: d.constraint}).failure()
		}
	}
	n, err := t.loaded(l)
	if err != nil {
		return 0, err
	}
	t.base.own = append(t.base.own, l.id)
	t.loads = append(t.loads, adopted{load: l, at: len(t.changes)})
	t.span += l.bytes
	t.delta(n).add(l.storageSum)
	t.rowsChanged += l.rows
	return l.rows, nil
}

// putLoad keeps the new state of a load.
func (a *applier) putLoad(l *load) error {
	a.loads = a.loads.with(l)
	a.base.loads = a.loads
	a.buf = keys.AppendLoad(a.buf[:0], l.id)
	return a.batch.Set(a.buf, l.append(nil), nil)
}

// abortLoad gives up a load that is open.
func (a *applier) abortLoad(l *load, reason loadReason, constraint string) error {
	if l == nil || l.status != LoadOpen {
		return nil
	}
	n := *l
	n.status, n.reason, n.constraint = LoadAborted, reason, constraint
	return a.putLoad(&n)
}

// settleLoads commits the loads that a transaction has adopted and aborts those
// that it has doomed.
func (a *applier) settleLoads(t *Txn, commit log.Offset) error {
	for _, ad := range t.loads {
		n := *ad.load
		n.status, n.commit = LoadCommitted, commit
		if err := a.putLoad(&n); err != nil {
			return err
		}
	}
	for _, d := range t.dooms {
		if err := a.abortLoad(a.loads.find(d.load), d.reason, d.constraint); err != nil {
			return err
		}
	}
	return nil
}

// doomLoads aborts the open loads of a table whose descriptor changes.
func (a *applier) doomLoads(table catalog.ID) error {
	if a.loads == nil {
		return nil
	}
	for _, l := range a.loads.live {
		if l.table == table {
			if err := a.abortLoad(l, reasonDDL, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// ChunkEarly is the failure of a chunk that arrives before the one in front of it.
// Nothing has happened then: it may be sent again.
const ChunkEarly = sqlstate.ObjectNotInPrerequisiteState

// loadChunk puts the rows of a chunk into their table, where only their own load
// sees them. A chunk that fails aborts its load, unless it has come too early.
func (a *applier) loadChunk(e *log.Entry, data []byte) (*log.Result, error) {
	a.state.time = max(a.state.time+1, e.Time)
	l, err := a.loadOf(e.Stage)
	var res *log.Result
	if err == nil {
		res, err = a.runChunk(l, e, data)
	}
	if err == nil {
		return res, nil
	}
	var failure *sqlstate.Error
	if !errors.As(err, &failure) {
		return nil, err
	}
	if errors.Is(err, errEarly) {
		return a.refuse(err), nil
	}
	return a.refuse(err), a.abortLoad(a.loads.staged(e.Stage.ID), reasonFailed, "")
}

var errEarly error = sqlstate.New(ChunkEarly, "the chunk before this one has not arrived")

// loadOf returns the load that a chunk is the next one of, to be modified.
func (a *applier) loadOf(s *log.Stage) (*load, error) {
	l := a.loads.staged(s.ID)
	if l == nil {
		return a.beginLoad(s)
	}
	if l.status != LoadOpen {
		return nil, l.failure()
	}
	if l.chunks < s.Chunk {
		return nil, errEarly
	}
	if l.chunks != s.Chunk {
		return nil, sqlstate.New(sqlstate.InternalError, "chunk %d of the large transaction came after %d chunks", s.Chunk, l.chunks)
	}
	n := *l
	return &n, nil
}

func (a *applier) beginLoad(s *log.Stage) (*load, error) {
	if s.Chunk != 0 {
		return nil, (&load{reason: reasonGivenUp}).failure()
	}
	tbl := a.cat.Table(catalog.ID(s.Load.Table))
	if tbl == nil {
		return nil, sqlstate.New(sqlstate.UndefinedTable, "relation with OID %d does not exist", s.Load.Table)
	}
	l := &load{
		id: a.state.nextLoad, stage: s.ID, owner: s.Load.Owner, status: LoadOpen,
		table: tbl.ID, storage: tbl.Storage, began: a.cat.Version(),
	}
	a.state.nextLoad++
	if s.Load.Fresh {
		for range storagesOf(tbl) {
			l.fresh = append(l.fresh, a.state.nextStorage)
			a.state.nextStorage++
		}
		l.storage = l.fresh[0]
	}
	return l, a.putLoad(l)
}

func (a *applier) runChunk(l *load, e *log.Entry, data []byte) (*log.Result, error) {
	t := a.begin(e)
	a.base.own = append(a.base.own, l.id)
	for _, id := range e.Stage.Load.Beside {
		if b := a.loads.staged(id); b != nil {
			a.base.own = append(a.base.own, b.id)
		}
	}
	if l.fresh != nil {
		t.PutDescriptor(withStorages(t.cat.Table(l.table), l.fresh))
	}
	res, err := a.r.executor.Execute(t, e)
	if err == nil && res.Err != nil {
		err = ErrorOf(res.Err)
	}
	if err == nil {
		err = t.onlyLoads(l)
	}
	if err != nil {
		return nil, err
	}
	if err := a.commitChunk(t, l, data); err != nil {
		return nil, err
	}
	res.Offset = a.state.offset
	return &res, nil
}

// onlyLoads makes sure that the transaction has done nothing that a chunk's
// versions cannot say.
func (t *Txn) onlyLoads(l *load) error {
	if len(t.acks) > 0 {
		return sqlstate.New(sqlstate.FeatureNotSupported, "a large transaction cannot acknowledge anything row by row")
	}
	for i := range t.deltas {
		if t.deltas[i].storage != l.storage {
			return sqlstate.New(sqlstate.FeatureNotSupported, "a large transaction can write to one table only")
		}
	}
	for _, c := range t.changes {
		if Op(c[0]) != OpInsert {
			return sqlstate.New(sqlstate.FeatureNotSupported, "a large transaction can only insert rows")
		}
	}
	return nil
}

// commitChunk writes what a chunk has inserted. Its versions get the next offset
// that a transaction could begin at: whoever writes one of the keys later commits
// after it.
func (a *applier) commitChunk(t *Txn, l *load, data []byte) error {
	v := log.Next(a.state.end)
	a.makeRoom(t, 0)
	if err := t.over.commit(v, func(key []byte, w *version) error { return a.writeProvisional(key, w, v, l.id) }); err != nil {
		return err
	}
	for _, c := range t.changes {
		a.buf = keys.AppendLoadChange(a.buf[:0], l.id, l.bytes)
		if err := a.batch.Set(a.buf, c, nil); err != nil {
			return err
		}
		l.bytes += log.Offset(len(c))
	}
	l.changes += int64(len(t.changes))
	for i := range t.deltas {
		l.add(t.deltas[i].storageSum)
	}
	l.chunks++
	l.touched = a.state.time
	a.state.nextRow = t.nextIDs.row
	if err := a.settleLoads(t, 0); err != nil {
		return err
	}
	if err := a.putLoad(l); err != nil {
		return err
	}
	return a.commitDrawn(t, v, data)
}

// commitDrawn gives a chunk an offset after all when it has drawn from sequences:
// their values are state that everybody sees.
func (a *applier) commitDrawn(t *Txn, commit log.Offset, data []byte) error {
	if len(t.seqs) == 0 {
		return nil
	}
	if err := a.writeSequences(t, commit); err != nil {
		return err
	}
	head := commandHead{TxnHeader: TxnHeader{Start: commit, Prev: a.state.offset, Time: a.state.time}}
	if err := a.writeCommand(&head, commit, 0, t.entry, data); err != nil {
		return err
	}
	a.state.offset, a.state.end, a.state.failures = commit, commit+1, 0
	return nil
}

// writeProvisional writes one row version or index entry of a load.
func (a *applier) writeProvisional(key []byte, w *version, v log.Offset, id keys.LoadID) error {
	value := w.value
	flags := byte(flagProvisional)
	if keys.Space(key[0]) == keys.Entries {
		// The flags of the entry are in its value.
		flags, value = flags|value[0], value[1:]
	}
	var head [1 + binary.MaxVarintLen64]byte
	h := binary.AppendUvarint(append(head[:0], flags), uint64(id))
	op := a.batch.SetDeferred(len(key)+keys.SuffixBytes, len(h)+len(value))
	keys.AppendVersion(append(op.Key[:0], key...), v)
	copy(op.Value[copy(op.Value, h):], value)
	return op.Finish()
}

// MaxSweepRows bounds the rows that one entry removes.
const MaxSweepRows = 10_000

// sweep removes up to n rows of an aborted load from the store, and its record
// after the last one.
func (a *applier) sweep(l *load, n int) (*log.Result, error) {
	res := &log.Result{Offset: a.state.offset}
	if l == nil || l.status != LoadAborted {
		return res, nil
	}
	if l.fresh != nil {
		for i, s := range l.fresh {
			space := keys.Entries
			if i == 0 {
				space = keys.Rows
			}
			lo := keys.AppendStorage(nil, space, s)
			if err := a.batch.DeleteRange(keys.Terminate(slices.Clone(lo)), keys.Terminate(keys.PrefixEnd(lo)), nil); err != nil {
				return nil, err
			}
		}
		return res, a.forgetLoad(l)
	}
	swept, err := a.sweepRows(l, min(n, MaxSweepRows))
	if err != nil {
		return nil, err
	}
	if swept == l.bytes {
		return res, a.forgetLoad(l)
	}
	next := *l
	next.swept = swept
	return res, a.putLoad(&next)
}

// forgetLoad removes what is left of an aborted load when its rows are gone.
func (a *applier) forgetLoad(l *load) error {
	a.loads = a.loads.without(l.id)
	a.base.loads = a.loads
	err := a.batch.DeleteRange(keys.AppendLoadChange(nil, l.id, 0), keys.AppendLoadChange(nil, l.id+1, 0), nil)
	return errors.Join(err, a.batch.Delete(keys.AppendLoad(nil, l.id), nil))
}

// sweepRows removes the versions of up to n rows with their index entries, which
// the staged changes name, and returns how far it has come.
func (a *applier) sweepRows(l *load, n int) (swept log.Offset, err error) {
	cat, err := a.r.catalogs.at(a.base.store, l.began)
	if err != nil {
		return 0, err
	}
	it, err := a.base.scans.get(a.base.store.db, a.base.generation)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.base.scans.put(it)) }()
	it.SetBounds(keys.AppendLoadChange(nil, l.id, l.swept), keys.AppendLoadChange(nil, l.id, l.bytes))
	s := sweeper{a: a, load: l, tbl: cat.Table(l.table), txn: &Txn{r: a.r, base: &a.base, over: a.over, app: a, cat: cat}}
	if err := s.dec.init(s.tbl, nil); err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		k, err := keys.Decode(it.Key())
		if err != nil {
			return 0, err
		}
		if n--; n < 0 {
			return k.Offset, nil
		}
		if err := s.change(it.Value()); err != nil {
			return 0, err
		}
	}
	return l.bytes, it.Error()
}

// sweeper removes the versions that the changes of a load name.
type sweeper struct {
	a      *applier
	load   *load
	tbl    *catalog.Table
	txn    *Txn
	dec    rowDecoder
	values []types.Datum
}

func (s *sweeper) change(value []byte) error {
	var c Change
	if err := decodeChange(value, &c); err != nil {
		return err
	}
	prefix := appendRowPrefix(nil, s.tbl, c.Key)
	if err := s.remove(prefix); err != nil {
		return err
	}
	s.values = sized(s.values, len(s.tbl.Columns))
	if err := s.dec.decode(c.After, s.values, false); err != nil {
		return err
	}
	t := s.txn
	t.arena = arena{}
	var err error
	if t.oldEntries, err = t.planEntries(t.oldEntries[:0], s.tbl, s.values, c.Key); err != nil {
		return err
	}
	for i := range t.oldEntries {
		if p := &t.oldEntries[i]; p.include {
			if err := s.remove(p.prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes the load's version of a key. It may be gone: another load that
// met it has written over it.
func (s *sweeper) remove(prefix []byte) error {
	b := &s.a.base
	if b.point.Iterator == nil {
		var err error
		if b.point, err = b.points.get(b.store.db, b.generation); err != nil {
			return err
		}
	}
	b.seekBuf = keys.AppendVersion(append(b.seekBuf[:0], prefix...), keys.MaxVersion)
	for ok := b.point.SeekPrefixGE(b.seekBuf); ok; ok = b.point.Next() {
		value, err := b.point.ValueAndErr()
		if err != nil {
			return err
		}
		if !provisional(prefix[0], value) {
			continue
		}
		id, _, err := loadOf(value)
		if err != nil {
			return err
		}
		if id == s.load.id {
			return s.a.batch.Delete(bytes.Clone(b.point.Key()), nil)
		}
	}
	return b.point.Error()
}

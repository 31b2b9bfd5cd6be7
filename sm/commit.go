package sm

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// commitTxn gives a transaction its offsets and puts what it wrote into the
// batch.
func (a *applier) commitTxn(t *Txn, data []byte) (log.Offset, error) {
	start := log.Next(a.state.end)
	commit := start
	for _, c := range t.changes {
		commit += log.Offset(len(c))
	}
	a.makeRoom(t, commit-start)
	loaded := int64(0)
	for _, ad := range t.loads {
		commit += ad.load.bytes
		loaded += ad.load.changes
	}
	if err := a.settleLoads(t, commit); err != nil {
		return 0, err
	}
	if err := a.writeDescriptors(t, commit); err != nil {
		return 0, err
	}
	large := len(t.over.undo) >= bulkWrites
	err := t.over.commit(commit, func(key []byte, v *version) error {
		if !large {
			t.touched = append(t.touched, key)
		}
		return a.writeVersion(key, v, commit)
	})
	if err != nil {
		return 0, err
	}
	if err := a.writeChanges(t, start); err != nil {
		return 0, err
	}
	if err := a.writeSequences(t, commit); err != nil {
		return 0, err
	}
	if err := a.settleSlots(t); err != nil {
		return 0, err
	}
	a.addDeltas(t, commit)
	a.noteChanges(t, large, commit)
	head := commandHead{
		TxnHeader: TxnHeader{Start: start, Prev: a.state.offset, Time: a.state.time, Changes: int64(len(t.changes)) + loaded},
		rows:      t.rowsChanged,
	}
	if err := a.writeCommand(&head, commit, 0, t.entry, data); err != nil {
		return 0, err
	}
	a.state.offset, a.state.end, a.state.failures = commit, commit+1, 0
	a.state.nextID, a.state.nextStorage, a.state.nextRow = t.nextIDs.id, t.nextIDs.storage, t.nextIDs.row
	return commit, nil
}

// makeRoom sizes the batch for a large transaction: growing it by doubling would
// copy it many times.
func (a *applier) makeRoom(t *Txn, changed log.Offset) {
	if len(t.over.undo) < bulkWrites || !a.batch.Empty() {
		return
	}
	const perKey = 40 // a key with its lengths and version, roughly
	size := int64(changed) + t.bytesWritten + perKey*int64(len(t.over.undo)+len(t.changes))
	if size < maxBatchRoom {
		old := a.batch
		a.batch = a.base.store.db.NewBatchWithSize(int(size))
		a.spare = append(a.spare, old)
	}
}

// maxBatchRoom is how many bytes are set aside at most for a transaction that
// is about to be written.
const maxBatchRoom = 1 << 30

// writeVersion writes one row version or index entry.
func (a *applier) writeVersion(key []byte, v *version, commit log.Offset) error {
	var head [1 + binary.MaxVarintLen64]byte
	h := head[:0]
	if v.deleted {
		h = append(h, flagDeleted)
	} else if keys.Space(key[0]) == keys.Rows {
		h = appendRowHead(h, false, v.created)
	}
	op := a.batch.SetDeferred(len(key)+keys.SuffixBytes, len(h)+len(v.value))
	keys.AppendVersion(append(op.Key[:0], key...), commit)
	copy(op.Value[copy(op.Value, h):], v.value)
	return op.Finish()
}

func (a *applier) writeChanges(t *Txn, start log.Offset) error {
	off, loads := start, t.loads
	for i := 0; ; i++ {
		for len(loads) > 0 && loads[0].at == i {
			l := loads[0].load
			a.buf = keys.AppendChange(a.buf[:0], off)
			if err := a.batch.Set(a.buf, appendLoadMarker(nil, l), nil); err != nil {
				return err
			}
			off, loads = off+l.bytes, loads[1:]
		}
		if i == len(t.changes) {
			return nil
		}
		c := t.changes[i]
		a.buf = keys.AppendChange(a.buf[:0], off)
		if err := a.batch.Set(a.buf, c, nil); err != nil {
			return err
		}
		off += log.Offset(len(c))
	}
}

// recordFailure puts a failed command into the command log.
func (a *applier) recordFailure(t *Txn, data []byte, f *log.Failure) error {
	failure, err := (&log.Result{Err: f}).Append(nil)
	if err != nil {
		return err
	}
	a.state.failures++
	head := commandHead{TxnHeader: TxnHeader{Time: a.state.time}, rows: 0, failed: true, failure: failure}
	return a.writeCommand(&head, a.state.offset, a.state.failures, t.entry, data)
}

// writeCommand writes a command record. Rows that came with a COPY are left
// out: the change log has them.
func (a *applier) writeCommand(h *commandHead, at log.Offset, seq uint32, e *log.Entry, data []byte) error {
	if hasInlineRows(e) {
		bare := *e
		bare.Statements = slices.Clone(e.Statements)
		for i := range bare.Statements {
			if c := bare.Statements[i].Copy; c != nil {
				bare.Statements[i].Copy = &log.CopyData{Stage: c.Stage, Chunks: c.Chunks, Loaded: c.Loaded, Sum: c.Sum}
			}
		}
		if e.Stage != nil {
			bare.Stage = &log.Stage{ID: e.Stage.ID, Chunk: e.Stage.Chunk, Load: e.Stage.Load}
		}
		var err error
		if data, err = bare.Append(nil); err != nil {
			return err
		}
	}
	value := h.append(make([]byte, 0, 64+len(h.failure)+len(data)))
	a.buf = keys.AppendCommand(a.buf[:0], at, seq)
	return a.batch.Set(a.buf, append(value, data...), nil)
}

func hasInlineRows(e *log.Entry) bool {
	for i := range e.Statements {
		if c := e.Statements[i].Copy; c != nil && len(c.Rows) > 0 {
			return true
		}
	}
	return e.Stage != nil && len(e.Stage.Rows) > 0
}

// writeDescriptors writes the descriptors that a transaction changed, and
// settles what follows: a table that is gone, or has new storage, takes the
// rows of its old storage out of the checksum.
func (a *applier) writeDescriptors(t *Txn, commit log.Offset) error {
	slices.Sort(t.ddl)
	changed := false
	for _, id := range t.ddl {
		before, _ := a.cat.ByID(id)
		after, _ := t.cat.ByID(id)
		if before == after {
			continue
		}
		changed = true
		prefix := keys.AppendID(nil, keys.Descriptors, uint32(id))
		var value []byte
		if before != nil {
			old, err := encodeDescriptor(before)
			if err != nil {
				return err
			}
			a.state.total.sub(a.hash.of(prefix, old))
		}
		if after != nil {
			var err error
			if value, err = encodeDescriptor(after); err != nil {
				return err
			}
			a.state.total.add(a.hash.of(prefix, value))
		}
		if err := a.batch.Set(keys.AppendVersion(prefix, commit), value, nil); err != nil {
			return err
		}
		if err := a.doomLoads(id); err != nil {
			return err
		}
		a.settleDescriptor(t, before, after, commit)
	}
	if changed {
		t.cat = t.cat.Edit()
		t.cat.Publish(commit)
		a.cat, a.state.catalog = t.cat, commit
		a.catalogs = append(a.catalogs, catalogVersion{at: commit, catalog: t.cat})
	}
	return nil
}

func (a *applier) settleDescriptor(t *Txn, before, after catalog.Descriptor, commit log.Offset) {
	switch d := before.(type) {
	case *catalog.Table:
		n, _ := after.(*catalog.Table)
		if n == nil || n.Storage != d.Storage {
			a.state.total.sub(a.storageSum(d.Storage).sum)
			a.sums[d.Storage] = storageSum{}
			a.dropped = append(a.dropped, d.Storage)
		}
		a.r.recent.whole(d.ID, commit)
	case *catalog.Sequence:
		if after == nil && t.seqs == nil {
			t.seqs = map[catalog.ID]sequenceState{}
		}
		if after == nil {
			// writeSequences deletes the value of a sequence that is gone.
			t.seqs[d.ID] = sequenceState{}
		}
	}
	if n, ok := after.(*catalog.Table); ok {
		a.r.recent.whole(n.ID, commit)
	}
}

// addDeltas adds a transaction's changes of rows to the checksum. What it did to
// tables that it dropped itself, or whose storage it replaced, is void.
func (a *applier) addDeltas(t *Txn, commit log.Offset) {
	for i := range t.deltas {
		d := &t.deltas[i]
		tbl := t.cat.Table(d.table)
		if tbl == nil || tbl.Storage != d.storage {
			continue
		}
		s := a.storageSum(d.storage)
		s.add(d.storageSum)
		a.sums[d.storage] = s
		a.state.total.add(d.sum)
	}
}

// noteChanges notes what others may ask for that a transaction has changed.
func (a *applier) noteChanges(t *Txn, large bool, commit log.Offset) {
	large = large || len(t.loads) > 0 // their keys are not known here
	for i := range t.deltas {
		if large {
			a.r.recent.whole(t.deltas[i].table, commit)
		} else {
			a.r.recent.table(t.deltas[i].table, commit)
		}
	}
	if !large {
		a.r.recent.note(t.touched, commit)
	}
}

// storageSum returns the account of a key space as earlier entries left it.
func (a *applier) storageSum(id catalog.StorageID) storageSum {
	if s, ok := a.sums[id]; ok {
		return s
	}
	a.r.sumsMu.RLock()
	defer a.r.sumsMu.RUnlock()
	return a.r.sums[id]
}

func (a *applier) writeSequences(t *Txn, commit log.Offset) error {
	if len(t.seqs) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(t.seqs)) {
		before, had, err := t.committedSequence(id)
		if err != nil {
			return err
		}
		live := t.cat.Sequence(id) != nil
		if !had && !live {
			continue
		}
		prefix := keys.AppendID(nil, keys.Sequences, uint32(id))
		if had {
			a.state.total.sub(a.hash.of(prefix, before.append(nil)))
		}
		var value []byte
		if live {
			value = t.seqs[id].append(nil)
			a.state.total.add(a.hash.of(prefix, value))
		}
		a.seqs[id] = committedSequence{state: t.seqs[id], live: live}
		if err := a.batch.Set(keys.AppendVersion(prefix, commit), value, nil); err != nil {
			return err
		}
	}
	return nil
}

// commit writes what belongs to the whole call, commits the batch and publishes
// the new position.
func (a *applier) commit() error {
	for _, id := range slices.Sorted(maps.Keys(a.sums)) {
		a.buf = keys.AppendID(a.buf[:0], keys.Sums, uint32(id))
		var err error
		if slices.Contains(a.dropped, id) {
			err = a.batch.Delete(a.buf, nil)
		} else {
			err = a.batch.Set(a.buf, a.sums[id].append(nil), nil)
		}
		if err != nil {
			return err
		}
	}
	if err := writeState(a.batch, &a.state); err != nil {
		return err
	}
	if err := a.writeSeen(); err != nil {
		return err
	}
	if err := a.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	return a.r.publish(a)
}

func writeState(b *pebble.Batch, s *state) error {
	if err := b.Set(keys.AppendMeta(nil, stateName), s.append(nil), nil); err != nil {
		return fmt.Errorf("sm: state: %w", err)
	}
	return nil
}

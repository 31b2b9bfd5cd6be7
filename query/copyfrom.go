package query

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/query/plan"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// Sizes of COPY's data in the log.
const (
	// copyChunkBytes is the size of a staged chunk.
	copyChunkBytes = 1 << 20
	// copyInlineBytes is up to what size the rows travel in the entry itself.
	copyInlineBytes = 256 << 10
	// copyAhead is how many chunks may be on their way into the log at a time.
	copyAhead = 4
)

// copy is COPY.
func (s *Session) copy(ctx context.Context, c *plan.Copy, w ResultWriter) error {
	if s.tx != nil && s.tx.failed {
		return failedError()
	}
	if c.Spec.From {
		return s.copyFrom(ctx, c, w)
	}
	return s.copyTo(ctx, &c.Spec, w)
}

// copyFrom is COPY … FROM STDIN. The rows are read and checked here and go into
// the log in stored form: inline, in chunks that the entry refers to, or as a
// large transaction.
func (s *Session) copyFrom(ctx context.Context, c *plan.Copy, w ResultWriter) (err error) {
	if s.tx != nil {
		if s.tx.readOnly {
			return sqlstate.New(sqlstate.ReadOnlySQLTransaction, "cannot execute COPY FROM in a read-only transaction")
		}
		if err := s.present(ctx); err != nil {
			return err
		}
	} else if err := s.confirm(ctx); err != nil {
		return err
	}
	prog, err := s.copyProgram(&c.Spec)
	if err != nil {
		return err
	}
	cols := prog.Statement.Cols
	in, err := w.CopyIn(c.Spec.Format == "binary", len(cols))
	if err != nil {
		return err
	}
	rows, err := newCopyReader(s, &c.Spec, cols, in)
	if err != nil {
		return err
	}
	if s.tx == nil && loadable(prog.Statement, false) {
		return s.copyAutocommit(ctx, c, prog, rows, w)
	}
	st := &stager{s: s, ctx: ctx, table: prog.Statement.Insert.Table.Name}
	defer func() {
		if err != nil {
			st.abandon()
		}
	}()
	if s.tx == nil {
		return s.copyInOnePiece(ctx, c, rows, st, w)
	}
	first := s.e.newBatch()
	all, err := rows.fill(first)
	if err != nil {
		s.tx.failed = true
		return err
	}
	if !all {
		if done, err := s.copyAheadLarge(ctx, c, prog, first, rows, w); done || err != nil {
			return err
		}
	}
	return s.copyAheadOf(ctx, c, prog, rows.after(first), st, w)
}

// copyInOnePiece runs a COPY on its own whose rows have to be inserted by one entry.
func (s *Session) copyInOnePiece(ctx context.Context, c *plan.Copy, rows *copyReader, st *stager, w ResultWriter) error {
	for {
		row, err := rows.next()
		if err != nil {
			return err
		}
		if row == nil {
			break
		}
		if err := st.add(row); err != nil {
			return err
		}
	}
	data, err := st.finish()
	if err != nil {
		return err
	}
	rows.seal(data)
	e := s.entry(log.KindCommand)
	e.Seed = s.e.cfg.Seed()
	e.Statements = []log.Statement{{Text: c.Text, Time: e.Time, Copy: data}}
	return s.submit(ctx, e, nil, w)
}

// copyProgram plans a COPY FROM against the catalog the session sees.
func (s *Session) copyProgram(spec *plan.CopySpec) (*exec.Program, error) {
	cat := s.catalog()
	now := s.e.now()
	ec := s.context(cat, exec.ContextInputs{TxnTime: now, StmtTime: now})
	st, err := plan.BindCopyFrom(plan.Env{Catalog: cat, Database: s.start.Database, SearchPath: s.meaning.SearchPath, Ctx: ec, Write: true}, spec)
	if err != nil {
		return nil, err
	}
	return exec.Compile(st), nil
}

// copyAheadOf runs a COPY in the current transaction, where its rows can be seen
// at once, and stages them for COMMIT.
func (s *Session) copyAheadOf(ctx context.Context, c *plan.Copy, prog *exec.Program, rows *copyReader, st *stager, w ResultWriter) error {
	tx := s.tx
	now := s.e.now()
	in := exec.ContextInputs{TxnTime: tx.began, StmtTime: now, Seed: tx.seed, Statement: len(tx.statements), Sequences: tx.seqs, Messages: tx.seqs,
		Session: s.entrySession()}
	rt := s.runtime(ctx, &statement{}, tx.txn, tx.view, in, w)
	mark, keys := tx.txn.Savepoint(), tx.keys.Savepoint()
	tx.seqs.drawn = nil
	n, err := prog.CopyIn(rt, func() ([]byte, error) {
		row, err := rows.next()
		if row == nil || err != nil {
			return nil, err
		}
		// The rows are kept by the transaction, so each needs memory of its own.
		row = append([]byte(nil), row...)
		return row, st.add(row)
	})
	var data *log.CopyData
	if err == nil {
		data, err = st.finish()
	}
	ls := log.Statement{Text: c.Text, Time: now, Drawn: tx.seqs.drawn, Copy: data}
	if err != nil {
		tx.txn.RollbackTo(mark)
		tx.keys.RollbackTo(keys)
		tx.failed = true
		return err
	}
	rows.seal(data)
	if data.Chunks > 0 {
		tx.stages = append(tx.stages, data.Stage)
	}
	tag := exec.Tag(prog.Statement, n)
	ls.Digest = exec.NewDigest(false).Sum(tag)
	if err := s.record(ls, prog.Statement, &validatedSession{}); err != nil {
		return err
	}
	return w.CommandComplete(tag)
}

// stager collects rows in stored form and puts them into the log chunk by chunk
// once they are too many to travel in an entry.
type stager struct {
	s       *Session
	ctx     context.Context
	table   string
	id      log.StageID
	buf     []byte
	bytes   int64 // in all
	chunks  int
	flights chan struct{} // a slot for each chunk on its way
	failed  chan error
}

// add appends one row.
func (st *stager) add(row []byte) error {
	st.buf = binary.AppendUvarint(st.buf, uint64(len(row)))
	st.buf = append(st.buf, row...)
	if st.bytes += int64(len(row)); st.bytes > maxUnseenBytes {
		return unseenTooLarge(st.table)
	}
	if len(st.buf) >= copyChunkBytes {
		return st.flush()
	}
	return nil
}

// flush sends the chunk off and does not wait for it unless too many are on
// their way.
func (st *stager) flush() error {
	if st.flights == nil {
		st.id = log.StageID(st.s.e.cfg.Seed())
		st.flights = make(chan struct{}, copyAhead)
		st.failed = make(chan error, 1)
	}
	select {
	case err := <-st.failed:
		return err
	case st.flights <- struct{}{}:
	}
	e := st.s.entry(log.KindStage)
	e.Stage = &log.Stage{ID: st.id, Chunk: st.chunks, Rows: st.buf}
	st.chunks++
	st.buf = make([]byte, 0, copyChunkBytes+copyChunkBytes/8)
	go func() {
		defer func() { <-st.flights }()
		res, err := st.s.e.append(st.ctx, e)
		if err == nil && res.Err != nil {
			err = sqlstate.New(sqlstate.Code(res.Err.Code), "staging of COPY data failed")
		}
		if err != nil {
			select {
			case st.failed <- err:
			default:
			}
		}
	}()
	return nil
}

// finish returns what the entry refers to, once all chunks are in the log.
func (st *stager) finish() (*log.CopyData, error) {
	if st.chunks == 0 && len(st.buf) <= copyInlineBytes {
		return &log.CopyData{Rows: st.buf}, nil
	}
	if len(st.buf) > 0 {
		if err := st.flush(); err != nil {
			return nil, err
		}
	}
	st.land()
	select {
	case err := <-st.failed:
		return nil, err
	default:
	}
	return &log.CopyData{Stage: st.id, Chunks: st.chunks}, nil
}

// land waits for the chunks on their way.
func (st *stager) land() {
	for range cap(st.flights) {
		st.flights <- struct{}{}
	}
	for range cap(st.flights) {
		<-st.flights
	}
}

// abandon forgets the chunks of a COPY that has failed.
func (st *stager) abandon() {
	if st.chunks == 0 {
		return
	}
	st.land()
	st.s.unstage([]log.StageID{st.id})
}

// unstage tells the log to forget staged chunks. When that fails they stay until
// the log is told again; they are in nobody's way.
func (s *Session) unstage(ids []log.StageID) {
	for _, id := range ids {
		e := s.entry(log.KindUnstage)
		e.Stage = &log.Stage{ID: id}
		if _, err := s.e.append(context.Background(), e); err != nil {
			s.e.cfg.Logger.Warn("staged rows of an abandoned COPY were not removed", "error", err)
		}
	}
}

// copyReader turns the client's data into rows in stored form.
type copyReader struct {
	before  *rowBatch // rows that were read already, or nil
	sum     hash.Hash // of all rows; nil unless there is an idempotency key
	decoder rowSource
	values  []types.Datum
	buf     []byte
}

// rowSource yields the values of the next row, or false at the end.
type rowSource interface {
	row(dst []types.Datum) (bool, error)
	// at is the line that the row ends in, counted from 1.
	at() int64
}

func newCopyReader(s *Session, c *plan.CopySpec, cols []plan.ResultColumn, in CopyReader) (*copyReader, error) {
	src := &byteSource{in: in}
	r := &copyReader{values: make([]types.Datum, len(cols))}
	if key, _ := s.settings.get(settingIdempotency); key != "" {
		r.sum = sha256.New()
	}
	switch c.Format {
	case "binary":
		r.decoder = &binaryRows{s: s, src: src, cols: cols}
	case "csv":
		d := &csvRows{textRows: textRows{s: s, src: src, cols: cols, spec: c}}
		if err := d.columns(); err != nil {
			return nil, err
		}
		r.decoder = d
	default:
		r.decoder = &textRows{s: s, src: src, cols: cols, spec: c}
	}
	return r, nil
}

// next returns the next row in stored form, valid until the following call, or
// nil at the end.
func (r *copyReader) next() ([]byte, error) {
	if r.before != nil && r.before.n > 0 {
		return r.before.pop(), nil
	}
	clear(r.values)
	ok, err := r.decoder.row(r.values)
	if !ok || err != nil {
		return nil, err
	}
	r.buf = types.AppendRow(r.buf[:0], r.values)
	if r.sum != nil {
		_, _ = r.sum.Write(r.buf) // never fails
	}
	return r.buf, nil
}

// seal notes in c, which all rows have gone into, what rows they were.
func (r *copyReader) seal(c *log.CopyData) {
	if r.sum != nil && c.Chunks > 0 {
		c.Sum = r.sum.Sum(nil)
	}
}

// after puts rows that were read already in front of the others.
func (r *copyReader) after(b *rowBatch) *copyReader {
	r.before = b
	return r
}

// byteSource joins the client's CopyData messages.
type byteSource struct {
	in  CopyReader
	buf []byte // what has not been consumed
	eof bool
}

// fill adds the next message to buf; false at the end of the data.
func (b *byteSource) fill() (bool, error) {
	if b.eof {
		return false, nil
	}
	data, err := b.in.Next()
	if errors.Is(err, io.EOF) {
		b.eof = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b.buf = append(b.buf, data...)
	return true, nil
}

// need makes sure that n bytes are there.
func (b *byteSource) need(n int) (bool, error) {
	for len(b.buf) < n {
		ok, err := b.fill()
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

package query

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/exec"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The size of one chunk of a large transaction, which is also up to where a COPY
// or INSERT … SELECT counts as small and is executed in one piece. Everybody
// else's writes wait while a chunk is applied, so it is far smaller than an entry
// may be.
const (
	loadChunkBytes = 256 << 10
	loadChunkRows  = 2048
)

// chunksInFlight is how many chunks of this node, of whatever sessions, may be on
// their way into the log. Two keep it busy: one is made durable while the other
// is applied. With more, others would wait for several in a row.
const chunksInFlight = 2

// How a loader waits for a store that is behind.
const (
	paceStep = 2 * time.Millisecond
	paceMax  = 2 * time.Second
)

// rowBatch is rows in stored form, each behind its length, as entries carry them.
type rowBatch struct {
	data []byte
	n    int
	most int   // rows that make it full
	line int64 // of the first row in the client's data; 0 when there is none
}

func (e *Engine) newBatch() *rowBatch { return &rowBatch{most: e.cfg.ChunkRows} }

func (b *rowBatch) add(row []byte, line int64) {
	if b.n == 0 {
		b.line = line
	}
	b.data = append(binary.AppendUvarint(b.data, uint64(len(row))), row...)
	b.n++
}

// pop takes the first row out.
func (b *rowBatch) pop() []byte {
	n, w := binary.Uvarint(b.data)
	row := b.data[w : w+int(n)]
	b.data = b.data[w+int(n):]
	b.n--
	return row
}

func (b *rowBatch) full() bool { return len(b.data) >= loadChunkBytes || b.n >= b.most }

func (b *rowBatch) reset() { b.data, b.n, b.line = b.data[:0], 0, 0 }

// loader stages the rows of one large transaction. Few chunks are on their way
// while the next one is being filled, so what it holds does not depend on how many
// there are.
type loader struct {
	s      *Session
	ctx    context.Context
	st     log.Statement // what the rows are of
	began  int64
	id     log.StageID
	load   log.Load
	chunks int
	rows   int64

	batch   *rowBatch
	idle    []*rowBatch
	flights []flight // in the order of their chunks
}

// flight is a chunk on its way.
type flight struct {
	entry *log.Entry
	batch *rowBatch
	done  chan flown
}

// flown is what has come of a chunk.
type flown struct {
	res *log.Result
	err error
}

func (s *Session) newLoader(ctx context.Context, st log.Statement, began int64, load log.Load) *loader {
	load.Owner = s.e.owner
	return &loader{s: s, ctx: ctx, st: st, began: began, id: log.StageID(s.e.cfg.Seed()), load: load,
		batch: s.e.newBatch()}
}

// add appends one row in stored form.
func (l *loader) add(row []byte, line int64) error {
	l.batch.add(row, line)
	l.rows++
	if !l.batch.full() {
		return nil
	}
	return l.flush()
}

// take makes b, which rows were collected in before it was known how many there
// would be, the loader's first chunk.
func (l *loader) take(b *rowBatch) error {
	l.batch = b
	l.rows += int64(b.n)
	return l.flush()
}

// flush sends the batch off.
func (l *loader) flush() error {
	for len(l.flights) >= chunksInFlight || l.chunks == 1 && len(l.flights) > 0 {
		// Nobody knows the transaction before its first chunk has been applied.
		if err := l.land(); err != nil {
			return err
		}
	}
	engine, ctx := l.s.e, l.ctx
	if err := engine.pace(ctx); err != nil {
		return err
	}
	select {
	case engine.loading <- struct{}{}:
	case <-ctx.Done():
		return exec.Canceled(ctx)
	}
	f := flight{entry: l.entry(), batch: l.batch, done: make(chan flown, 1)}
	l.flights = append(l.flights, f)
	l.batch = engine.newBatch()
	if n := len(l.idle); n > 0 {
		l.batch, l.idle = l.idle[n-1], l.idle[:n-1]
	}
	go func() {
		defer func() { <-engine.loading }()
		res, err := engine.append(ctx, f.entry)
		f.done <- flown{res, err}
	}()
	return nil
}

// pace waits while the tables' store is behind, so that others' small writes find
// room in it. It does not wait for ever: a store that stays behind would hold the
// writer up itself.
func (e *Engine) pace(ctx context.Context) error {
	for waited := time.Duration(0); waited < paceMax && e.cfg.Replica.Backlogged(); waited += paceStep {
		select {
		case <-time.After(paceStep):
		case <-ctx.Done():
			return exec.Canceled(ctx)
		}
	}
	return nil
}

// entry makes the entry of the next chunk.
func (l *loader) entry() *log.Entry {
	e := l.s.entry(log.KindStage)
	e.Began, e.Seed = l.began, l.s.e.cfg.Seed()
	e.Statements = []log.Statement{l.st}
	load := l.load
	load.Line = l.batch.line
	e.Stage = &log.Stage{ID: l.id, Chunk: l.chunks, Rows: l.batch.data, Load: &load}
	l.chunks++
	return e
}

// land waits for the oldest of the chunks on their way.
func (l *loader) land() error {
	f := l.flights[0]
	l.flights = l.flights[1:]
	out := <-f.done
	if out.err == nil && out.res.Err != nil && out.res.Err.Code == string(sm.ChunkEarly) {
		// It has overtaken the one before it, which is in its place by now.
		f.entry.Seed = l.s.e.cfg.Seed()
		out.res, out.err = l.s.e.append(l.ctx, f.entry)
	}
	f.batch.reset()
	l.idle = append(l.idle, f.batch)
	if out.err != nil {
		return out.err
	}
	if out.res.Err != nil {
		return sm.ErrorOf(out.res.Err)
	}
	for _, d := range out.res.Drawn {
		l.s.drew(types.OID(d.Sequence), d.Value)
	}
	return nil
}

// landAll waits for all chunks on their way.
func (l *loader) landAll() error {
	var first error
	for len(l.flights) > 0 {
		if err := l.land(); first == nil {
			first = err
		}
	}
	return first
}

// finish returns what the committing entry refers to, once all chunks are
// applied.
func (l *loader) finish() (*log.CopyData, error) {
	if l.batch.n > 0 {
		if err := l.flush(); err != nil {
			return nil, err
		}
	}
	if err := l.landAll(); err != nil {
		return nil, err
	}
	return &log.CopyData{Stage: l.id, Chunks: l.chunks, Loaded: true}, nil
}

// abandon gives the transaction up. What it has staged is removed in the
// background.
func (l *loader) abandon() {
	_ = l.landAll() // what comes of them is of no interest any more
	if l.chunks > 0 {
		l.s.unstage([]log.StageID{l.id})
	}
}

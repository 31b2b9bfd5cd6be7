package consume

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/tests/check"
)

// Work is what a consumer does that must do it once: it stores what it has received
// and, in the same transaction, that it has it. The table has room for each
// transaction once.
type Work struct {
	Slot  string
	Table string

	Again int // the transaction had come through although nobody said so

	conn *pgconn.PgConn
}

const (
	// workTogether are so many transactions that are stored at once.
	workTogether = 64
	// workTimeout is for how long storing may take.
	workTimeout = 10 * time.Second
)

// Define is how the table is made.
func (w *Work) Define() string {
	return fmt.Sprintf("CREATE TABLE %s (commit_lsn pg_lsn PRIMARY KEY, changes int NOT NULL, sum numeric NOT NULL)", w.Table)
}

// Done is a transaction to be stored.
type Done struct {
	Commit, End log.Offset
	Changes     int
	Sum         uint64
}

// done makes an entry for the table of a transaction.
func done(commit, end log.Offset, changes []Change) Done {
	d := Done{Commit: commit, End: end, Changes: len(changes)}
	for i := range changes {
		d.Sum = d.Sum*31 + uint64(changes[i].Sum())
	}
	return d
}

// DoneOf is what there should be of a transaction.
func DoneOf(p check.Published) Done {
	d := Done{Commit: p.Commit, Changes: len(p.Changes)}
	for _, s := range p.Changes {
		d.Sum = d.Sum*31 + uint64(s)
	}
	return d
}

// work does the work there is, if it is much or all of it is to be done.
func (s *session) work(ctx context.Context, all bool) error {
	w := s.c.Work
	if w == nil || len(s.batch) == 0 || !all && len(s.batch) < workTogether {
		return nil
	}
	err := w.store(ctx, s.batch, s.c.servers, s.c.rnd)
	if err == nil {
		s.c.acked = s.batch[len(s.batch)-1].End
	}
	s.batch = s.batch[:0]
	return err
}

// store stores transactions and the position behind the last of them. Any error
// means that the consumer has to begin again where the slot is.
func (w *Work) store(ctx context.Context, batch []Done, servers *Servers, rnd *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	if w.conn == nil || w.conn.IsClosed() {
		addrs := slices.Clone(servers.Addrs())
		if len(addrs) == 0 {
			return fmt.Errorf("there is no server")
		}
		var err error
		w.conn, err = pgconn.Connect(ctx, "postgres://consumer@"+addrs[rnd.IntN(len(addrs))]+"/postgres?sslmode=disable&connect_timeout=3")
		if err != nil {
			w.conn = nil
			return fmt.Errorf("work: %s", err) // not the stream's
		}
	}
	rows := make([]string, len(batch))
	for i, d := range batch {
		rows[i] = fmt.Sprintf("('%s', %d, %d)", d.Commit, d.Changes, d.Sum)
	}
	_, err := w.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s VALUES %s; SELECT tidemark.ack('%s', '%s')",
		w.Table, strings.Join(rows, ", "), w.Slot, batch[len(batch)-1].End)).ReadAll()
	switch codeOf(err) {
	case "":
		if err != nil {
			w.Close()
			return fmt.Errorf("work: %s", err)
		}
		return nil
	case "23505", "55000":
		w.Again++
		return fmt.Errorf("work: it has been done: %s", err)
	}
	return err
}

// Close ends the connection.
func (w *Work) Close() {
	if w.conn != nil {
		_ = w.conn.Close(context.Background()) // it may be lost already
		w.conn = nil
	}
}

// Stored reads what has been stored.
func (w *Work) Stored(ctx context.Context, conn *pgconn.PgConn) ([]Done, error) {
	results, err := conn.Exec(ctx, "SELECT commit_lsn, changes, sum FROM "+w.Table+" ORDER BY 1").ReadAll()
	if err != nil {
		return nil, err
	}
	var out []Done
	for _, row := range results[0].Rows {
		var d Done
		if d.Commit, err = log.ParseOffset(string(row[0])); err != nil {
			return nil, err
		}
		if _, err := fmt.Sscan(string(row[1]), &d.Changes); err != nil {
			return nil, err
		}
		if _, err := fmt.Sscan(string(row[2]), &d.Sum); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

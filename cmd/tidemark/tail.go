package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark"
)

const (
	// tailBatch is how many changes one query brings.
	tailBatch = 1000
	// tailPoll is how long a follower waits before it asks for news.
	tailPoll = 100 * time.Millisecond
	// tailReconnect is the pause before a follower connects again.
	tailReconnect = time.Second
)

// tailer prints changes. position is the last one printed or passed over: the
// next query begins behind it, so that none is printed twice and none is missed.
type tailer struct {
	program  *program
	config   *pgconn.Config
	schema   string
	table    string
	follow   bool
	position tidemark.Offset
	out      *bufio.Writer
}

// changeLine is one line of the output.
type changeLine struct {
	LSN       string          `json:"lsn"`
	CommitLSN string          `json:"commit_lsn"`
	Time      string          `json:"log_time"`
	Schema    string          `json:"schema"`
	Table     string          `json:"table"`
	Op        string          `json:"op"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`

	// Of messages only.
	Prefix  string  `json:"prefix,omitempty"`
	Content *string `json:"content,omitempty"`
}

func (p *program) tail(ctx context.Context, args []string) error {
	f := p.flags("tail", "[FLAGS]")
	from := f.String("from", "0/0", "print what comes after this `LSN`, such as the last one that was printed")
	table := f.String("table", "", "print the changes of this `table` only; it may be written schema.table")
	follow := f.Bool("follow", false, "wait for more, and connect again when the server is gone")
	target := targetFlags(f, "tidemark tail")
	if err := parse(f, args); err != nil {
		return err
	}
	t := &tailer{program: p, follow: *follow, out: bufio.NewWriter(p.stdout)}
	var err error
	if t.position, err = tidemark.ParseOffset(*from); err != nil {
		return usage(f, "--from %q: want an LSN such as 0/16B3748", *from)
	}
	t.table = *table
	if schema, name, ok := strings.Cut(*table, "."); ok {
		t.schema, t.table = schema, name
	}
	if t.config, err = target.config(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return t.run(ctx)
}

// run prints until there is nothing left, or for ever. A follower that was
// connected once survives the end of a connection.
func (t *tailer) run(ctx context.Context) error {
	connected := false
	for {
		err := t.session(ctx, &connected)
		var refused *pgconn.PgError
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, !t.follow, !connected, errors.Is(err, errOutput):
			return err
		case errors.As(err, &refused) && !ends(refused):
			return err // the query is wrong, and would be again
		}
		fmt.Fprintf(t.program.stderr, "tidemark tail: %v; connecting again\n", err)
		select {
		case <-time.After(tailReconnect):
		case <-ctx.Done():
			return nil
		}
	}
}

// ends says whether an error is about the connection: class 57 is sent when the
// server stops or starts, 53 when it has no room, 08 when the wire broke.
func ends(e *pgconn.PgError) bool {
	return strings.HasPrefix(e.Code, "57P") || strings.HasPrefix(e.Code, "53") || strings.HasPrefix(e.Code, "08")
}

// errOutput says that whoever reads the output is gone.
var errOutput = errors.New("write output")

// session prints over one connection.
func (t *tailer) session(ctx context.Context, connected *bool) error {
	conn, err := pgconn.ConnectConfig(ctx, t.config)
	if err != nil {
		return err
	}
	*connected = true
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), tailReconnect)
		defer cancel()
		_ = conn.Close(closing) // there is nothing to lose
	}()
	for {
		n, err := t.batch(ctx, conn)
		if err != nil {
			return err
		}
		if n == tailBatch {
			continue
		}
		if !t.follow {
			return nil
		}
		select {
		case <-time.After(tailPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// batch prints the next changes and returns how many there were.
func (t *tailer) batch(ctx context.Context, conn *pgconn.PgConn) (int, error) {
	end, err := t.end(ctx, conn)
	if err != nil {
		return 0, err
	}
	query := `SELECT lsn, commit_lsn, log_time, schema_name, table_name, op, before, after, prefix, content FROM tidemark.changes WHERE lsn > $1::pg_lsn`
	args := [][]byte{[]byte(t.position.String())}
	for _, filter := range []struct{ column, value string }{{"table_name", t.table}, {"schema_name", t.schema}} {
		if filter.value != "" {
			args = append(args, []byte(filter.value))
			query += fmt.Sprintf(" AND %s = $%d::text", filter.column, len(args))
		}
	}
	rows := conn.ExecParams(ctx, query+fmt.Sprintf(" ORDER BY lsn LIMIT %d", tailBatch), args, nil, nil, nil)
	n := 0
	for rows.NextRow() {
		if err := t.print(rows.Values()); err != nil {
			_, _ = rows.Close()
			return n, err
		}
		n++
	}
	if _, err := rows.Close(); err != nil {
		return n, err
	}
	if n < tailBatch {
		t.position = max(t.position, end) // nothing of interest up to there
	}
	if err := t.out.Flush(); err != nil {
		return n, fmt.Errorf("%w: %w", errOutput, err)
	}
	return n, nil
}

// end returns how far the log had got before a query, so that the next one need
// not look at what this one has seen.
func (t *tailer) end(ctx context.Context, conn *pgconn.PgConn) (tidemark.Offset, error) {
	result := conn.ExecParams(ctx, "SELECT pg_current_wal_lsn()", nil, nil, nil, nil).Read()
	if result.Err != nil {
		return 0, result.Err
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 1 {
		return 0, errors.New("the server did not say how far its log has got")
	}
	return tidemark.ParseOffset(string(result.Rows[0][0]))
}

// messageText is the content of a message, which comes as bytea: the text that it
// is, or else its bytes in hexadecimal.
func messageText(value []byte) *string {
	if value == nil {
		return nil
	}
	out := string(value)
	if b, err := hex.DecodeString(strings.TrimPrefix(out, `\x`)); err == nil && utf8.Valid(b) {
		out = string(b)
	}
	return &out
}

// print writes one line and moves the position behind it.
func (t *tailer) print(values [][]byte) error {
	line := changeLine{
		LSN:       string(values[0]),
		CommitLSN: string(values[1]),
		Time:      string(values[2]),
		Schema:    string(values[3]),
		Table:     string(values[4]),
		Op:        string(values[5]),
		Before:    values[6],
		After:     values[7],
		Prefix:    string(values[8]),
		Content:   messageText(values[9]),
	}
	position, err := tidemark.ParseOffset(line.LSN)
	if err != nil {
		return err
	}
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	t.position = position
	return nil
}

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

// tailReconnect is the pause before a follower connects again.
const tailReconnect = time.Second

// tailer prints changes. position is the last one printed or passed over: the
// next query begins behind it, so that none is printed twice and none is missed.
type tailer struct {
	program  *program
	config   *pgconn.Config
	table    string
	follow   bool
	slot     *slotTail // nil when no slot is followed
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
	slot := f.String("slot", "", "follow the replication slot of this `name`, and acknowledge what was printed: who comes next goes on there")
	create := f.Bool("create", false, "create the slot first if there is none; it begins with what is committed from then on")
	target := targetFlags(f, "tidemark tail")
	if err := parse(f, args); err != nil {
		return err
	}
	t := &tailer{program: p, follow: *follow || *slot != "", table: *table, out: bufio.NewWriter(p.stdout)}
	var err error
	if t.position, err = tidemark.ParseOffset(*from); err != nil {
		return usage(f, "--from %q: want an LSN such as 0/16B3748", *from)
	}
	switch {
	case *slot != "" && t.position != 0:
		return usage(f, "--from and --slot: a slot knows its own position")
	case *slot != "":
		t.slot = &slotTail{tailer: t, name: *slot, create: *create, file: keptOutput(p.stdout)}
	case *create:
		return usage(f, "--create: want the name of the slot as --slot")
	}
	if t.config, err = target.config(); err != nil {
		return err
	}
	if t.slot != nil {
		t.config.RuntimeParams["replication"] = "database"
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
		case err == nil, !t.follow, !connected, errors.Is(err, errOutput), errors.Is(err, errPlugin):
			return err
		case errors.As(err, &refused) && !ends(refused) && (t.slot == nil || refused.Code != codeInUse):
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
	if t.slot != nil {
		return t.slot.follow(ctx, conn)
	}
	return t.stream(ctx, conn)
}

// stream prints what the server says has changed. Where the log ends it says so as
// well, with a row of progress, and then everything is to be seen.
func (t *tailer) stream(ctx context.Context, conn *pgconn.PgConn) error {
	query := `SELECT lsn, commit_lsn, log_time, schema_name, table_name, op, before, after, prefix, content FROM tidemark.subscribe($1::pg_lsn, table_name => $2::text, progress => true`
	args := [][]byte{[]byte(t.position.String()), nil}
	if t.table != "" {
		args[1] = []byte(t.table)
	}
	if !t.follow {
		query += ", timeout => '0'"
	}
	rows := conn.ExecParams(ctx, query+")", args, nil, nil, nil)
	for rows.NextRow() {
		if err := t.print(rows.Values()); err != nil {
			_ = conn.Conn().Close() // there may be no end of rows
			return err
		}
	}
	if _, err := rows.Close(); err != nil {
		return err
	}
	return t.flush()
}

func (t *tailer) flush() error {
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
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

// opProgress is what a row says that has no change, and nothing but a position.
const opProgress = "progress"

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
	if line.Op == opProgress {
		t.position = position
		return t.flush()
	}
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	t.position = position
	return nil
}

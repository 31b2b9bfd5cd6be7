package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tidemark-db/tidemark"
)

const (
	// slotPlugin makes the lines.
	slotPlugin = "tidemark_json"
	// slotAckEvery is how often a consumer that is behind acknowledges.
	slotAckEvery = time.Second
	// slotGoodbye bounds the end of a stream.
	slotGoodbye = 2 * time.Second

	codeInUse     = "55006" // somebody else holds the slot, maybe the connection before
	codeDuplicate = "42710"
)

// The messages of a stream.
const (
	walData       = 'w'
	walDataHeader = 25
	walKeepalive  = 'k'
	walStatus     = 'r'
)

// postgresEpoch is the beginning of PostgreSQL's time, after Unix'.
const postgresEpoch = 946684800 * time.Second

// slotTail prints what a replication slot delivers. It acknowledges what has been
// written out, to the disk if the output is a file, and nothing else: after a crash of
// either side the slot delivers again what had not been acknowledged, so that a line
// may come twice, with the same LSN, and none is lost.
type slotTail struct {
	*tailer
	name   string
	create bool
	file   *os.File // the output, or nil when nothing keeps it

	conn    *pgconn.PgConn
	printed tidemark.Offset // of the last line, or the end of all before
	acked   tidemark.Offset
	ackedAt time.Time
}

// follow streams over one connection.
func (s *slotTail) follow(ctx context.Context, conn *pgconn.PgConn) error {
	s.conn, s.printed, s.acked, s.ackedAt = conn, 0, 0, time.Now()
	if s.create {
		err := conn.Exec(ctx, fmt.Sprintf(`CREATE_REPLICATION_SLOT %s LOGICAL %s NOEXPORT_SNAPSHOT`, ident(s.name), slotPlugin)).Close()
		var refused *pgconn.PgError
		if err != nil && (!errors.As(err, &refused) || refused.Code != codeDuplicate) {
			return err
		}
	}
	if err := s.checkPlugin(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	for {
		m, err := conn.ReceiveMessage(ctx)
		switch {
		case ctx.Err() != nil:
			return s.goodbye(ctx)
		case err != nil:
			return err
		}
		switch m := m.(type) {
		case *pgproto3.CopyData:
			if err := s.take(m.Data); err != nil {
				return err
			}
		case *pgproto3.CopyDone, *pgproto3.CommandComplete:
			return errors.New("the server has ended the stream")
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		}
	}
}

// errPlugin says that a slot is none for this command.
var errPlugin = errors.New("the slot has another output plugin")

// checkPlugin refuses a slot whose messages are no lines.
func (s *slotTail) checkPlugin(ctx context.Context) error {
	results, err := s.conn.Exec(ctx, "SELECT plugin FROM pg_replication_slots WHERE slot_name = "+literal(s.name)).ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && len(results[0].Rows) == 1 && string(results[0].Rows[0][0]) != slotPlugin {
		return fmt.Errorf("%w: %q has %s; this command follows those with %s", errPlugin, s.name, results[0].Rows[0][0], slotPlugin)
	}
	return nil // one that is not there is refused by the server
}

// start begins the stream.
func (s *slotTail) start(ctx context.Context) error {
	command := fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL 0/0", ident(s.name))
	if s.table != "" {
		command += ` ("table" ` + literal(s.table) + ")"
	}
	s.conn.Frontend().Send(&pgproto3.Query{String: command})
	if err := s.conn.Frontend().Flush(); err != nil {
		return err
	}
	for {
		m, err := s.conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.CopyBothResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return errors.New("the server did not begin a stream")
		}
	}
}

// take prints a change, or answers that the server has nothing more now.
func (s *slotTail) take(b []byte) error {
	switch {
	case len(b) >= walDataHeader && b[0] == walData:
		s.printed = tidemark.Offset(binary.BigEndian.Uint64(b[1:]))
		_, err := s.out.Write(b[walDataHeader:])
		if err == nil {
			err = s.out.WriteByte('\n')
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
		if time.Since(s.ackedAt) < slotAckEvery {
			return nil
		}
	case len(b) >= 18 && b[0] == walKeepalive:
		// All that precedes this position has been sent before, and is printed now.
		s.printed = max(s.printed, tidemark.Offset(binary.BigEndian.Uint64(b[1:])))
		if s.printed == s.acked && b[17] == 0 {
			return nil
		}
	default:
		return nil
	}
	return s.acknowledge()
}

// keptOutput returns the output if it is a file: the other end of a pipe, or of a
// terminal, has to see for itself what becomes of the lines.
func keptOutput(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return f
}

// acknowledge writes out what was printed, and then says so.
func (s *slotTail) acknowledge() error {
	if err := s.flush(); err != nil {
		return err
	}
	if s.file != nil && s.printed != s.acked {
		if err := s.file.Sync(); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	s.acked, s.ackedAt = s.printed, time.Now()
	b := make([]byte, 0, 34)
	b = append(b, walStatus)
	for range 3 { // written, flushed, applied
		b = binary.BigEndian.AppendUint64(b, uint64(s.acked))
	}
	b = binary.BigEndian.AppendUint64(b, uint64((time.Duration(time.Now().UnixNano()) - postgresEpoch).Microseconds()))
	b = append(b, 0)
	s.conn.Frontend().Send(&pgproto3.CopyData{Data: b})
	return s.conn.Frontend().Flush()
}

// goodbye acknowledges what has been printed and ends the stream, so that the slot is
// free at once.
func (s *slotTail) goodbye(ctx context.Context) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), slotGoodbye)
	defer cancel()
	if err := s.acknowledge(); err != nil {
		return err
	}
	s.conn.Frontend().Send(&pgproto3.CopyDone{})
	if err := s.conn.Frontend().Flush(); err != nil {
		return err
	}
	for {
		m, err := s.conn.ReceiveMessage(closing)
		if err != nil {
			return nil // the server will find out
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return nil
		}
	}
}

// ident and literal quote names and strings of SQL.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

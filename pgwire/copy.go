package pgwire

import (
	"errors"
	"io"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// copyReader is the query.CopyReader of one COPY FROM STDIN.
type copyReader struct {
	c   *conn
	err error // how the copy ended
}

// Next implements query.CopyReader.
func (r *copyReader) Next() ([]byte, error) {
	for r.err == nil {
		if r.err = r.c.interrupted(); r.err != nil {
			break
		}
		typ, body, err := r.c.in.next()
		if err != nil {
			r.err = r.disconnected(err)
			break
		}
		switch typ {
		case msgCopyData:
			return body, nil
		case msgCopyDone:
			r.err = io.EOF
			if len(body) > 0 {
				r.err = sqlstate.New(sqlstate.ProtocolViolation, "invalid message format")
			}
		case msgCopyFail:
			r.err = copyFailed(body)
		case msgFlush, msgSync:
			// Clients that use the extended protocol send these before they know that
			// their statement was a COPY. PostgreSQL ignores them too.
		case msgTerminate:
			r.err = r.disconnected(io.EOF)
		default:
			r.err = sqlstate.New(sqlstate.ProtocolViolation, "unexpected message type 0x%02X during COPY from stdin", typ)
		}
	}
	return nil, r.err
}

// disconnected is the error of a copy whose client has gone. It is never io.EOF,
// which would mean that the data are complete.
func (r *copyReader) disconnected(err error) error {
	if err = r.c.readFailed(err); errors.Is(err, io.EOF) {
		return sqlstate.New(sqlstate.ConnectionFailure, "unexpected EOF on client connection during COPY")
	}
	return err
}

func copyFailed(body []byte) error {
	reason, err := text(body)
	if err != nil {
		return err
	}
	return sqlstate.New(sqlstate.QueryCanceled, "COPY from stdin failed: %s", reason)
}

package consume

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/jackc/pglogrepl"

	"github.com/tidemark-db/tidemark/log"
)

// pgoutput decodes what pglogrepl parses.
type pgoutput struct {
	relations map[uint32]*pglogrepl.RelationMessage
	inside    bool
}

// NewPgoutput returns a decoder of pgoutput, version 1.
func NewPgoutput() Decoder {
	return &pgoutput{relations: map[uint32]*pglogrepl.RelationMessage{}}
}

// Decode implements Decoder.
func (p *pgoutput) Decode(at log.Offset, message []byte) (Event, error) {
	m, err := pglogrepl.Parse(message)
	if err != nil {
		return Event{}, err
	}
	e := Event{Kind: Changed, Change: Change{At: at}}
	c := &e.Change
	switch m := m.(type) {
	case *pglogrepl.BeginMessage:
		p.inside = true
		return Event{Kind: Begun, Commit: log.Offset(m.FinalLSN)}, nil
	case *pglogrepl.CommitMessage:
		p.inside = false
		if at != log.Offset(m.TransactionEndLSN) || m.TransactionEndLSN <= m.CommitLSN {
			return Event{}, fmt.Errorf("a commit at %s, with an end at %s, came at %s", m.CommitLSN, m.TransactionEndLSN, at)
		}
		return Event{Kind: Ended, Commit: log.Offset(m.CommitLSN)}, nil
	case *pglogrepl.RelationMessage:
		p.relations[m.RelationID] = m
		return Event{}, nil
	case *pglogrepl.InsertMessage:
		c.Op = Insert
		err = p.rows(c, m.RelationID, nil, m.Tuple)
	case *pglogrepl.UpdateMessage:
		c.Op = Update
		err = p.rows(c, m.RelationID, m.OldTuple, m.NewTuple)
	case *pglogrepl.DeleteMessage:
		c.Op = Delete
		err = p.rows(c, m.RelationID, m.OldTuple, nil)
	case *pglogrepl.TruncateMessage:
		if len(m.RelationIDs) != 1 {
			return Event{}, fmt.Errorf("a truncate of %d tables", len(m.RelationIDs))
		}
		c.Op = Truncate
		err = p.rows(c, m.RelationIDs[0], nil, nil)
	case *pglogrepl.LogicalDecodingMessage:
		c.Op, c.Table, c.Content = Message, m.Prefix, string(m.Content)
		if log.Offset(m.LSN) != at {
			return Event{}, fmt.Errorf("a message of %s came at %s", m.LSN, at)
		}
		if !m.Transactional {
			if p.inside {
				return Event{}, fmt.Errorf("a message that is not transactional came inside of a transaction, at %s", at)
			}
			e.Kind, e.Commit = Outside, at
		}
	default:
		return Event{}, fmt.Errorf("an unexpected message %T", m)
	}
	return e, err
}

// rows sets the table and the rows of a change.
func (p *pgoutput) rows(c *Change, id uint32, before, after *pglogrepl.TupleData) (err error) {
	rel := p.relations[id]
	if rel == nil {
		return fmt.Errorf("nothing was said of the table %d", id)
	}
	c.Table = rel.RelationName
	if before != nil {
		if c.Old, err = tuple(rel, before); err != nil {
			return err
		}
	}
	if after != nil {
		c.New, err = tuple(rel, after)
	}
	return err
}

func tuple(rel *pglogrepl.RelationMessage, t *pglogrepl.TupleData) (Row, error) {
	if len(t.Columns) != len(rel.Columns) {
		return nil, fmt.Errorf("%s has %d columns, a row of it %d", rel.RelationName, len(rel.Columns), len(t.Columns))
	}
	row := make(Row, 0, len(t.Columns))
	for i, col := range t.Columns {
		text := string(col.Data)
		switch col.DataType {
		case pglogrepl.TupleDataTypeNull:
			continue
		case pglogrepl.TupleDataTypeText:
			if rel.Columns[i].DataType == oidBool {
				text = strconv.FormatBool(text == "t")
			}
		case pglogrepl.TupleDataTypeBinary:
			var err error
			if text, err = binaryText(rel.Columns[i].DataType, col.Data); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", rel.RelationName, rel.Columns[i].Name, err)
			}
		default:
			return nil, fmt.Errorf("a column of the kind %q", col.DataType)
		}
		row.set(rel.Columns[i].Name, text)
	}
	return row.sorted(), nil
}

// The types whose binary form is understood.
const (
	oidBool  = 16
	oidBytea = 17
	oidInt8  = 20
	oidInt4  = 23
	oidText  = 25
)

func binaryText(oid uint32, b []byte) (string, error) {
	switch {
	case oid == oidBool && len(b) == 1:
		return strconv.FormatBool(b[0] != 0), nil
	case oid == oidBytea:
		return `\x` + hex.EncodeToString(b), nil
	case oid == oidInt8 && len(b) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10), nil
	case oid == oidInt4 && len(b) == 4:
		return strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10), nil
	case oid == oidText:
		return string(b), nil
	}
	return "", fmt.Errorf("%d bytes of type %d are not understood", len(b), oid)
}

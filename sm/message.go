package sm

import (
	"encoding/binary"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
)

// maxMessageHead bounds what appendMessage writes beside prefix and content.
const maxMessageHead = 2 + binary.MaxVarintLen64

// messageTransactional is set for a message that is part of its transaction.
const messageTransactional = 1 << 0

// EmitMessage puts a message for consumers at this place among the transaction's
// changes and returns its offset. One that is not transactional has no other way
// into the log than a transaction of its own: the caller sees to that. The offset
// is that of a transaction which commits next; a speculative one keeps no message.
func (t *Txn) EmitMessage(transactional bool, prefix string, content []byte) (log.Offset, error) {
	if err := t.spendBytes(len(prefix) + len(content)); err != nil {
		return 0, err
	}
	at := t.Start() + t.span
	b := appendMessage(t.arena.alloc(maxMessageHead + len(prefix) + len(content))[:0], transactional, prefix, content)
	if t.app == nil {
		t.span += log.Offset(len(b))
	} else {
		t.addChange(b)
	}
	return at, nil
}

// appendMessage appends the record of a message:
//
//	op · flags · uvarint length, prefix · content
func appendMessage(dst []byte, transactional bool, prefix string, content []byte) []byte {
	flags := byte(0)
	if transactional {
		flags = messageTransactional
	}
	dst = binary.AppendUvarint(append(dst, byte(OpMessage), flags), uint64(len(prefix)))
	return append(append(dst, prefix...), content...)
}

// decodeMessage reads what appendMessage wrote; Content refers to b.
func decodeMessage(b []byte, c *Change) error {
	if len(b) < 2 || b[1]&^messageTransactional != 0 {
		return fmt.Errorf("%w: message %x", errCorrupt, b[:min(len(b), 8)])
	}
	r := fieldReader{b: b[2:]}
	prefix := string(r.bytes())
	if r.bad {
		return fmt.Errorf("%w: message %x", errCorrupt, b[:min(len(b), 8)])
	}
	*c = Change{Offset: c.Offset, Op: OpMessage, Transactional: b[1] == messageTransactional, Prefix: prefix, Content: r.b}
	return nil
}

package sm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
)

// The flags that begin the value of a row version and of an index entry. A bit
// that is not known here is an error: guessing could make replicas differ.
const (
	flagDeleted = 1 << 0
	// flagProvisional marks a version of a large transaction that a later entry
	// commits or abandons; the transaction's number follows the flags. The
	// format has room for it, nothing writes it yet.
	flagProvisional = 1 << 1
	// flagKeyTail, in index entries: the primary key is the end of the entry's
	// own key, and the value has its length instead.
	flagKeyTail = 1 << 2
)

var errCorrupt = errors.New("sm: stored value is corrupt")

// rowHead is what precedes the row in a row version's value.
type rowHead struct {
	deleted bool
	created log.Offset
	row     []byte
}

// appendRowHead appends flags and created; created 0 means this very version.
func appendRowHead(dst []byte, deleted bool, created log.Offset) []byte {
	if deleted {
		return append(dst, flagDeleted)
	}
	return binary.AppendUvarint(append(dst, 0), uint64(created))
}

// decodeRowValue takes the value of the row version at v apart.
func decodeRowValue(b []byte, v log.Offset) (rowHead, error) {
	if len(b) > 1 && b[0] == 0 {
		created, n := binary.Uvarint(b[1:])
		if n <= 0 {
			return rowHead{}, errCorrupt
		}
		if created == 0 {
			created = uint64(v)
		}
		return rowHead{created: log.Offset(created), row: b[1+n:]}, nil
	}
	if len(b) == 1 && b[0] == flagDeleted {
		return rowHead{deleted: true}, nil
	}
	return rowHead{}, flagsError(b)
}

// flagsError says what is wrong with flags that could not be used.
func flagsError(b []byte) error {
	if len(b) > 0 && b[0]&flagProvisional != 0 {
		id, n := binary.Uvarint(b[1:])
		if n <= 0 {
			return errCorrupt
		}
		return fmt.Errorf("sm: version is provisional, of transaction %d: not supported", id)
	}
	return fmt.Errorf("%w: flags of %x", errCorrupt, b[:min(len(b), 8)])
}

// appendEntryValue appends the value of a live index entry.
func appendEntryValue(dst, pk []byte, tail bool) []byte {
	if tail {
		return binary.AppendUvarint(append(dst, flagKeyTail), uint64(len(pk)))
	}
	return append(append(dst, 0), pk...)
}

// entryPrimaryKey returns the primary key that an index entry leads to, given
// the entry's prefix; ok is false for a deleted entry.
func entryPrimaryKey(prefix, value []byte) (pk []byte, ok bool, err error) {
	if len(value) == 0 {
		return nil, false, errCorrupt
	}
	switch value[0] {
	case 0:
		return value[1:], true, nil
	case flagDeleted:
		return nil, false, nil
	case flagKeyTail:
		n, w := binary.Uvarint(value[1:])
		body := prefix[:len(prefix)-1]
		if w <= 0 || n > uint64(len(body)) {
			return nil, false, errCorrupt
		}
		return body[len(body)-int(n):], true, nil
	}
	return nil, false, flagsError(value)
}

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
	// flagProvisional marks a version that a load wrote, which a later entry
	// commits or abandons. The load's number follows the flags, then what an
	// ordinary version has after them, but for the offset of its creation: that is
	// the one at which the load was committed.
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

// decodeRowValue takes the value of a row version apart that was committed at v.
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
	if len(b) > 1 && b[0] == flagProvisional {
		_, row, err := loadOf(b)
		return rowHead{created: v, row: row}, err
	}
	return rowHead{}, flagsError(b)
}

// flagsError says what is wrong with flags that could not be used.
func flagsError(b []byte) error {
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
	flags, rest := value[0], value[1:]
	if flags&flagProvisional != 0 {
		if _, rest, err = loadOf(value); err != nil {
			return nil, false, err
		}
		flags &^= flagProvisional
	}
	switch flags {
	case 0:
		return rest, true, nil
	case flagDeleted:
		return nil, false, nil
	case flagKeyTail:
		n, w := binary.Uvarint(rest)
		body := prefix[:len(prefix)-1]
		if w <= 0 || n > uint64(len(body)) {
			return nil, false, errCorrupt
		}
		return body[len(body)-int(n):], true, nil
	}
	return nil, false, flagsError(value)
}

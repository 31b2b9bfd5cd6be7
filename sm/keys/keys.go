package keys

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
)

// Space is the first byte of a key.
type Space byte

// The key spaces. Numbers are stored.
const (
	Meta        Space = 0x01
	Descriptors Space = 0x02
	Rows        Space = 0x03
	Entries     Space = 0x04
	Changes     Space = 0x05
	Commands    Space = 0x06
	Sequences   Space = 0x07
	Staged      Space = 0x08
	Sums        Space = 0x09
	Outcomes    Space = 0x10
	Expiries    Space = 0x11
	// Loads has a record for each large transaction, LoadChanges the changes that
	// it stages: they stay there when it is committed.
	Loads       Space = 0x0a
	LoadChanges Space = 0x0b
	// Applied has the seeds of the entries that were applied last, in blocks.
	Applied Space = 0x12
	// Slots has a record for each slot.
	Slots Space = 0x13
)

// LoadID numbers the large transactions of a log, in the order of their first
// chunks. It is stored with each row version that one of them wrote.
type LoadID uint64

const (
	sentinel = 0x00
	// SuffixBytes is the length of a version suffix.
	SuffixBytes = 9
	// StorageBytes is the length of space and StorageID before a row's or an
	// index entry's own key.
	StorageBytes = 5
)

// MaxVersion is later than any commit offset: a key with it comes before every
// stored version.
const MaxVersion log.Offset = 1<<64 - 1

// ErrMalformed says that bytes are not a key of this store.
var ErrMalformed = errors.New("malformed key")

// AppendStorage appends the start of every key of a key space of rows or index
// entries.
func AppendStorage(dst []byte, s Space, id catalog.StorageID) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(s)), uint32(id))
}

// AppendID appends the prefix of a descriptor's, sequence's or storage sum's
// key.
func AppendID(dst []byte, s Space, id uint32) []byte {
	return append(binary.BigEndian.AppendUint32(append(dst, byte(s)), id), sentinel)
}

// AppendMeta appends the key of a meta record.
func AppendMeta(dst []byte, name string) []byte {
	return append(append(append(dst, byte(Meta)), name...), sentinel)
}

// AppendChange appends the key of the change at off.
func AppendChange(dst []byte, off log.Offset) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, byte(Changes)), uint64(off)), sentinel)
}

// AppendCommand appends the key of a command record.
func AppendCommand(dst []byte, off log.Offset, seq uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, byte(Commands)), uint64(off))
	return append(binary.BigEndian.AppendUint32(dst, seq), sentinel)
}

// AppendStaged appends the key of a staged chunk.
func AppendStaged(dst []byte, id log.StageID, chunk uint32) []byte {
	dst = append(append(dst, byte(Staged)), id[:]...)
	return append(binary.BigEndian.AppendUint32(dst, chunk), sentinel)
}

// AppendOutcome appends the key of what is remembered of a transaction under a
// name of some kind.
func AppendOutcome(dst []byte, kind byte, name string) []byte {
	return append(append(append(dst, byte(Outcomes), kind), name...), sentinel)
}

// AppendExpiry appends the key that says when the record at outcome is forgotten.
func AppendExpiry(dst []byte, at int64, outcome []byte) []byte {
	return append(append(binary.BigEndian.AppendUint64(append(dst, byte(Expiries)), uint64(at)), outcome...), sentinel)
}

// AppendLoad appends the key of a large transaction's record.
func AppendLoad(dst []byte, n LoadID) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, byte(Loads)), uint64(n)), sentinel)
}

// AppendLoadChange appends the key of the change that a large transaction stages
// at the place rel, counted from its first change.
func AppendLoadChange(dst []byte, n LoadID, rel log.Offset) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, byte(LoadChanges)), uint64(n))
	return append(binary.BigEndian.AppendUint64(dst, uint64(rel)), sentinel)
}

// AppendApplied appends the key of a block of seeds by the place of its first.
func AppendApplied(dst []byte, first log.Place) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, byte(Applied)), uint64(first)), sentinel)
}

// AppendSlot appends the key of a slot's record.
func AppendSlot(dst []byte, name string) []byte {
	return append(append(append(dst, byte(Slots)), name...), sentinel)
}

// AppendVersion makes a versioned key of a prefix.
func AppendVersion(prefix []byte, v log.Offset) []byte {
	return append(binary.BigEndian.AppendUint64(prefix, ^uint64(v)), SuffixBytes)
}

// Terminate makes a prefix of a space and a body, which dst ends with. A bound
// of a scan is made so too: it sorts before every key whose body begins with
// that body.
func Terminate(dst []byte) []byte { return append(dst, sentinel) }

// SpaceStart returns a bound before every key of s; that of s+1 is after every
// key of s.
func SpaceStart(s Space) []byte { return []byte{byte(s), sentinel} }

// Version returns the version of a versioned key.
func Version(key []byte) (log.Offset, error) {
	v, ok := version(key)
	if !ok {
		return 0, fmt.Errorf("%w: %x has no version", ErrMalformed, key)
	}
	return v, nil
}

func version(key []byte) (v log.Offset, ok bool) {
	n := len(key) - SuffixBytes
	if n < 0 || key[len(key)-1] != SuffixBytes {
		return 0, false
	}
	return log.Offset(^binary.BigEndian.Uint64(key[n:])), true
}

// Key is a decoded key. Fields that its space does not have are zero.
type Key struct {
	Space   Space
	ID      uint32            // descriptors, sequences
	Storage catalog.StorageID // rows, entries, sums
	Offset  log.Offset        // changes, commands, load changes
	Load    LoadID            // loads, load changes
	Place   log.Place         // applied
	Seq     uint32            // commands
	Stage   log.StageID       // staged
	Chunk   uint32            // staged
	Body    []byte            // rows, entries: the key within the storage; meta, slots: the name; outcomes: kind and name; expiries: the key that expires
	Time    int64             // expiries
	Version log.Offset        // versioned keys that have a suffix
	// Versioned says that the key has a version suffix.
	Versioned bool
}

// Decode takes a key apart. It accepts a prefix without version too.
func Decode(key []byte) (Key, error) {
	var k Key
	n := Split(key)
	if n < 2 || key[n-1] != sentinel {
		return k, fmt.Errorf("%w: %x", ErrMalformed, key)
	}
	k.Space = Space(key[0])
	body := key[1 : n-1]
	if k.Versioned = n < len(key); k.Versioned {
		v, err := Version(key)
		if err != nil {
			return k, err
		}
		k.Version = v
	}
	return k, k.decodeBody(key, body)
}

func (k *Key) decodeBody(key, body []byte) error {
	versioned, size := false, len(body)
	switch k.Space {
	case Meta, Outcomes, Slots:
		k.Body = body
	case Expiries:
		size = max(len(body), 8)
	case Descriptors, Sequences:
		versioned, size = true, 4
	case Sums:
		size = 4
	case Rows, Entries:
		versioned, size = true, max(len(body), 4)
	case Changes, Loads, Applied:
		size = 8
	case LoadChanges:
		size = 16
	case Commands:
		size = 12
	case Staged:
		size = 20
	default:
		return fmt.Errorf("%w: %x is in no key space", ErrMalformed, key)
	}
	if len(body) != size || k.Versioned && !versioned {
		return fmt.Errorf("%w: %x", ErrMalformed, key)
	}
	switch k.Space {
	case Descriptors, Sequences:
		k.ID = binary.BigEndian.Uint32(body)
	case Sums, Rows, Entries:
		k.Storage = catalog.StorageID(binary.BigEndian.Uint32(body))
		k.Body = body[4:]
	case Changes:
		k.Offset = log.Offset(binary.BigEndian.Uint64(body))
	case Commands:
		k.Offset = log.Offset(binary.BigEndian.Uint64(body))
		k.Seq = binary.BigEndian.Uint32(body[8:])
	case Expiries:
		k.Time, k.Body = int64(binary.BigEndian.Uint64(body)), body[8:]
	case Loads:
		k.Load = LoadID(binary.BigEndian.Uint64(body))
	case Applied:
		k.Place = log.Place(binary.BigEndian.Uint64(body))
	case LoadChanges:
		k.Load = LoadID(binary.BigEndian.Uint64(body))
		k.Offset = log.Offset(binary.BigEndian.Uint64(body[8:]))
	case Staged:
		copy(k.Stage[:], body)
		k.Chunk = binary.BigEndian.Uint32(body[16:])
	}
	return nil
}

// Append appends the key that Decode took apart.
func (k Key) Append(dst []byte) []byte {
	switch k.Space {
	case Meta:
		dst = AppendMeta(dst, string(k.Body))
	case Outcomes:
		dst = append(append(append(dst, byte(Outcomes)), k.Body...), sentinel)
	case Expiries:
		dst = AppendExpiry(dst, k.Time, k.Body)
	case Descriptors, Sequences:
		dst = AppendID(dst, k.Space, k.ID)
	case Sums:
		dst = AppendID(dst, k.Space, uint32(k.Storage))
	case Rows, Entries:
		dst = Terminate(append(AppendStorage(dst, k.Space, k.Storage), k.Body...))
	case Changes:
		dst = AppendChange(dst, k.Offset)
	case Commands:
		dst = AppendCommand(dst, k.Offset, k.Seq)
	case Staged:
		dst = AppendStaged(dst, k.Stage, k.Chunk)
	case Loads:
		dst = AppendLoad(dst, k.Load)
	case LoadChanges:
		dst = AppendLoadChange(dst, k.Load, k.Offset)
	case Applied:
		dst = AppendApplied(dst, k.Place)
	case Slots:
		dst = AppendSlot(dst, string(k.Body))
	}
	if k.Versioned {
		dst = AppendVersion(dst, k.Version)
	}
	return dst
}

// Validate reports whether key has the form that the comparer relies on. It
// does not look inside the body, because bounds of ranges are keys as well.
func Validate(key []byte) error {
	n := Split(key)
	if n < 1 || key[n-1] != sentinel || n < len(key) && len(key)-n != SuffixBytes {
		return fmt.Errorf("%w: %x", ErrMalformed, key)
	}
	return nil
}

// Describe prints a key for people.
func Describe(key []byte) string {
	k, err := Decode(key)
	if err != nil {
		return fmt.Sprintf("%x", key)
	}
	var s string
	switch k.Space {
	case Meta:
		s = fmt.Sprintf("meta/%q", k.Body)
	case Outcomes:
		s = fmt.Sprintf("outcome/%q", k.Body)
	case Expiries:
		s = fmt.Sprintf("expiry/%d/%q", k.Time, k.Body)
	case Descriptors:
		s = fmt.Sprintf("descriptor/%d", k.ID)
	case Sequences:
		s = fmt.Sprintf("sequence/%d", k.ID)
	case Sums:
		s = fmt.Sprintf("sum/%d", k.Storage)
	case Rows:
		s = fmt.Sprintf("row/%d/%x", k.Storage, k.Body)
	case Entries:
		s = fmt.Sprintf("entry/%d/%x", k.Storage, k.Body)
	case Changes:
		s = fmt.Sprintf("change/%s", k.Offset)
	case Commands:
		s = fmt.Sprintf("command/%s/%d", k.Offset, k.Seq)
	case Staged:
		s = fmt.Sprintf("staged/%x/%d", k.Stage, k.Chunk)
	case Loads:
		s = fmt.Sprintf("load/%d", k.Load)
	case LoadChanges:
		s = fmt.Sprintf("load/%d/change/%d", k.Load, k.Offset)
	case Applied:
		s = fmt.Sprintf("applied/%d", k.Place)
	case Slots:
		s = fmt.Sprintf("slot/%q", k.Body)
	}
	if k.Versioned {
		s += "@" + k.Version.String()
	}
	return s
}

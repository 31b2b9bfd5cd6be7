// Package keys owns the keys of the store: how each key space is laid out, the
// comparer that orders them, the version suffix, and the order-preserving form
// of index columns. It never reads or writes a store. sm calls it, and query
// for the bounds of index scans.
//
// A key is
//
//	space (1 byte) | body | 0x00 | version suffix
//
// The part up to and including the zero byte is the key's prefix; it is a valid
// key by itself, whose suffix is empty. A version suffix is nine bytes: the
// commit offset, big endian with all bits inverted so that the newest version
// comes first, and 0x09, the suffix's own length. So the last byte of every key
// says how long its suffix is: 0x00 for none. Spaces with unversioned keys have
// no suffix.
//
//	space  what            body                                  versioned  value
//	0x01   meta            a name                                no         see package sm
//	0x02   descriptors     ID, 4 bytes                           yes        kind and msgpack; empty when deleted
//	0x03   rows            StorageID, 4 bytes; primary key       yes        flags, created offset, stored row
//	0x04   index entries   StorageID, 4 bytes; index key         yes        flags, primary key or its length
//	0x05   changes         offset, 8 bytes                       no         one change
//	0x06   commands        offset, 8 bytes; sequence, 4 bytes    no         header, failure, entry
//	0x07   sequences       ID, 4 bytes                           yes        last value, called
//	0x08   staged chunks   StageID, 16 bytes; chunk, 4 bytes     no         rows
//	0x09   storage sums    StorageID, 4 bytes                    no         row count and checksum
//	0x13   slots           a name                                no         the slot
//
// Integers are big endian. A primary key and an index key are the columns'
// order-preserving forms one after the other (AppendColumn); the key of a
// non-unique index, or of a unique one in which NULLs are distinct and one
// column is NULL, ends with the row's primary key. The primary key of a table
// that has none is a hidden 64-bit row id.
//
// Layout and comparer are on disk: changing them needs a new comparer name and
// a conversion.
package keys

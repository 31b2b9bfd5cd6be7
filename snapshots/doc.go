// Package snapshots owns the stream that carries the whole state of a log from
// one node to another, or to a backup: a manifest, the files of a store's
// checkpoint in checksummed chunks, and a trailer. It writes the stream from a
// directory and restores it into an empty one, and verifies everything before
// it says that the directory is good. It never opens a store, knows what the
// files mean, or replaces a directory that is in use: package sm does.
//
// The stream:
//
//	magic "TIDESNAP" · format, 2 bytes
//	manifest: length, 4 bytes · msgpack · CRC-32C, 4 bytes
//	for each file of the manifest, its content in chunks:
//	    length, 4 bytes, never 0 · CRC-32C, 4 bytes · bytes
//	trailer: length 0 · xxhash64 of all content, 8 bytes · magic "PANSEDIT"
//
// Numbers are big endian. Nothing follows the trailer.
package snapshots

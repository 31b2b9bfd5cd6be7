// Package logical turns the change log into what consumers of logical replication
// read: it knows publications, the output plugins pgoutput and test_decoding, and
// the commands of the replication protocol. It reads a replica by itself and knows
// nothing of sockets, sessions or slots: package query runs streams, and pgwire
// sends them.
//
//	publication.go  Set: what some publications select; publication_filter.go: of which rows
//	reader.go       ChangeReader: committed transactions in order, from a position on
//	stream.go       Stream: a reader and a plugin
//	receipts.go     what a consumer's acknowledgement is good for
//	plugin.go       what all plugins have in common, and their options
//	pgoutput.go     PostgreSQL's own format; testdecoding.go is its text format
//	jsonlines.go    our own one, tidemark_json
//	feed.go         Feed: changes for plain drivers; changerow.go and changerows.go make their rows
//	table.go        decoding of stored rows
//	command.go      the commands of the replication protocol; lexer.go cuts them
package logical

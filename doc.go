// Package tidemark is a node of the database: an event-sourced SQL store in which
// every write is a line in a replicated log and every table is what the log says
// so far. The package owns the wiring of the parts (log, state machine, query
// engine, wire protocol, HTTP endpoints) and their start and end; it executes
// nothing itself. cmd/tidemark calls it, and so does any Go program that wants a
// node in its own process:
//
//	node, err := tidemark.Open(ctx, tidemark.Config{Dir: "data"})
//	…
//	defer node.Close(ctx)
//	fmt.Println("connect to", node.SQLAddr())
package tidemark

import "github.com/tidemark-db/tidemark/log"

// Offset is a position in a database's log.
type Offset = log.Offset

// Token says "at least this far in this log".
type Token = log.Token

// ParseOffset reads an offset as Offset.String prints it, such as "0/16B3748".
func ParseOffset(s string) (Offset, error) { return log.ParseOffset(s) }

// ParseToken reads a token as Token.String prints it.
func ParseToken(s string) (Token, error) { return log.ParseToken(s) }

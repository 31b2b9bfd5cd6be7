package logical

import (
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// The output plugins.
const (
	PluginPgoutput     = "pgoutput"
	PluginTestDecoding = "test_decoding"
)

// Sink takes the messages that a plugin makes. at is the position that the message
// carries, 0 for one that has none. The slice is valid during the call.
type Sink func(at log.Offset, message []byte) error

// plugin turns what a ChangeReader comes to into messages. Begin, the changes and
// commit come in their order.
type plugin interface {
	begin(r *ChangeReader) error
	change(r *ChangeReader) error
	// commit reports whether anything of the transaction was sent.
	commit(r *ChangeReader) (sent bool, err error)
	// binary reports whether the messages are no text.
	binary() bool
}

// newPlugin returns an output plugin that was asked for with some options.
func newPlugin(name string, options []Option, f *types.Format, sink Sink) (plugin, error) {
	switch name {
	case PluginPgoutput:
		return newPgoutput(options, f, sink)
	case PluginTestDecoding:
		return newTestDecoding(options, f, sink)
	case PluginJSON:
		return newJSONLines(options, f, sink)
	}
	return nil, sqlstate.New(sqlstate.UndefinedFile, "could not access file \"%s\": No such file or directory", name)
}

// optionOnce notes that an option was given, which may happen once.
func optionOnce(given map[string]bool, name string) error {
	if given[name] {
		return sqlstate.New(sqlstate.SyntaxError, "conflicting or redundant options")
	}
	given[name] = true
	return nil
}

// nameList splits a list of names as PostgreSQL does: separated by commas, in lower
// case unless quoted.
func nameList(list string) (names []string, ok bool) {
	l := &lexer{rest: list}
	for {
		t := l.next()
		if t.kind != tokenName {
			return nil, false
		}
		names = append(names, t.text)
		switch t = l.next(); {
		case t.kind == tokenEnd:
			return names, true
		case t.kind != tokenSymbol || t.text != ",":
			return nil, false
		}
	}
}

// PublicationNames reads the names of publications as the option publication_names
// has them.
func PublicationNames(list string) ([]string, error) {
	names, ok := nameList(list)
	if !ok {
		return nil, sqlstate.New(sqlstate.InvalidName, "invalid publication_names syntax")
	}
	return names, nil
}

// transactionID is the number that a transaction has in the messages: PostgreSQL's
// have 32 bits. No two transactions within 32 GiB of log have the same.
func transactionID(start log.Offset) uint32 {
	const first = 3 // smaller ones are special
	return max(first, uint32(start/log.Alignment))
}

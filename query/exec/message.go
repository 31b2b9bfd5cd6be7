package exec

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query/plan"
)

// DefinitionPrefix is that of the messages in which consumers hear of definitions.
const DefinitionPrefix = "tidemark.ddl"

// definition is the content of such a message.
type definition struct {
	Tag        string   `json:"tag"`
	SQL        string   `json:"sql"`
	SearchPath []string `json:"search_path"`
}

// announce tells consumers of a definition that has been executed, at its place
// among the changes of the transaction. A TRUNCATE is a change itself.
func announce(rt *Runtime, st *plan.Statement) error {
	if _, ok := st.DDL.(*plan.Truncate); ok || !rt.Announces {
		return nil
	}
	m := definition{Tag: st.Tag, SQL: rt.Text, SearchPath: append([]string{}, rt.SearchPath...)}
	if _, ok := st.DDL.(*plan.CreateTable); ok && m.Tag == "SELECT" {
		m.Tag = "CREATE TABLE AS"
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return fmt.Errorf("exec: message of a definition: %w", err)
	}
	_, err := rt.Txn.EmitMessage(true, DefinitionPrefix, bytes.TrimRight(b.Bytes(), "\n"))
	return err
}

// MessageDrawn stands in log.DrawnValue, where the number of a sequence is, for the
// offset that pg_logical_emit_message has told a client before COMMIT.
const MessageDrawn = 0

// entryMessages puts messages into the log in apply.
type entryMessages struct{ r *entryRun }

// Emit implements expr.Messages. What an interactive transaction has told the
// client is in its entry; a message of it that is not transactional has had an
// entry of its own.
func (m entryMessages) Emit(transactional bool, prefix string, content []byte) (uint64, error) {
	r := m.r
	interactive := r.entry.Kind == log.KindTransaction
	var at log.Offset
	if transactional || !interactive {
		var err error
		if at, err = r.txn.EmitMessage(transactional, prefix, content); err != nil {
			return 0, err
		}
	}
	if s := r.seqs; interactive && len(s.feed) > 0 && s.feed[0].Sequence == MessageDrawn {
		at = log.Offset(s.feed[0].Value)
		s.feed = s.feed[1:]
	}
	return uint64(at), nil
}

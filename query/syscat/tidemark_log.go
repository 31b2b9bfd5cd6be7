package syscat

import (
	"fmt"
	"strings"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/types"
)

// logColumns are those of tidemark.log: one row for each command, committed or
// failed, in the order of the log.
//
// lsn is the commit offset; a failed command has that of the last commit before
// it, and seq, which is 0 for a committed one, counts the failures there from 1.
//
// params has the parameters of the statements as an array of their values in
// text, NULLs as null: one array where the command is one statement, an array
// of such arrays where it is several. It is NULL when there are none.
//
// sqlstate and message are NULL when the command has committed, token is NULL
// when it has not.
var logColumns = []Column{
	{Name: "lsn", Type: types.LSNType},
	{Name: "seq", Type: types.Int4Type},
	{Name: "log_time", Type: types.TimestampTZType},
	{Name: "kind", Type: types.TextType},
	{Name: "role", Type: types.TextType},
	{Name: "application_name", Type: types.TextType},
	{Name: "client_addr", Type: types.TextType},
	{Name: "database", Type: types.TextType},
	{Name: "command", Type: types.TextType},
	{Name: "params", Type: types.JSONBType},
	{Name: "rows_changed", Type: types.Int8Type},
	{Name: "sqlstate", Type: types.TextType},
	{Name: "message", Type: types.TextType},
	{Name: "idempotency_key", Type: types.TextType},
	{Name: "token", Type: types.TextType},
}

func logRows(c *Context, r offsetRange, w *writer) error {
	status := c.Session.Status()
	it := c.View.Commands(r.after)
	defer it.Close()
	for it.Next() {
		cmd := it.Command()
		if cmd.Offset > r.last {
			return nil
		}
		if err := setCommand(w, c, &status, cmd); err != nil {
			return err
		}
		if !w.end() {
			return nil
		}
	}
	return it.Err()
}

func setCommand(w *writer, c *Context, status *Status, cmd *sm.Command) error {
	e := cmd.Entry
	params, err := commandParams(e.Statements)
	if err != nil {
		return fmt.Errorf("parameters of the command at %s: %w", cmd.Offset, err)
	}
	w.begin()
	w.set("lsn", lsn(cmd.Offset))
	w.set("seq", num(cmd.Seq))
	w.set("log_time", types.Timestamp(cmd.Header.Time))
	w.set("kind", str(entryKind(e.Kind)))
	w.set("role", strOrNull(e.Role))
	w.set("application_name", str(e.Application))
	w.set("client_addr", strOrNull(e.ClientAddr))
	w.set("database", str(c.database()))
	w.set("command", strOrNull(commandText(e.Statements)))
	w.set("params", params)
	w.set("rows_changed", num(cmd.Rows))
	w.set("idempotency_key", strOrNull(e.IdempotencyKey))
	if cmd.Failure != nil {
		w.set("sqlstate", str(cmd.Failure.Code))
		w.set("message", strOrNull(cmd.Failure.Fields[messageField]))
		return nil
	}
	w.set("token", str(log.Token{Log: status.LogID, Epoch: status.Position.Epoch, Offset: cmd.Offset}.String()))
	return nil
}

// messageField is the letter of the message among a failure's fields.
const messageField = "M"

var entryKinds = map[log.Kind]string{
	log.KindCommand: "command", log.KindTransaction: "transaction", log.KindStage: "stage", log.KindUnstage: "unstage",
	log.KindReserve: "reserve", log.KindFence: "fence", log.KindCheck: "check", log.KindVote: "vote",
	log.KindTruncate: "truncate",
}

func entryKind(k log.Kind) string {
	if name, ok := entryKinds[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", k)
}

// commandText joins the statements of a command.
func commandText(list []log.Statement) string {
	if len(list) == 1 {
		return statementText(&list[0])
	}
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = statementText(&list[i])
	}
	return strings.Join(texts, ";\n")
}

func statementText(s *log.Statement) string {
	switch s.Action {
	case log.ActionSavepoint:
		return "SAVEPOINT " + quoteIdent(s.Text)
	case log.ActionRelease:
		return "RELEASE SAVEPOINT " + quoteIdent(s.Text)
	case log.ActionRollbackTo:
		return "ROLLBACK TO SAVEPOINT " + quoteIdent(s.Text)
	}
	return s.Text
}

// commandParams makes the params column.
func commandParams(list []log.Statement) (types.Datum, error) {
	some := false
	arrays := make([]*types.JSON, len(list))
	for i := range list {
		values, err := paramTexts(list[i].Params)
		if err != nil {
			return types.NullDatum, err
		}
		some = some || len(values) > 0
		arrays[i] = &types.JSON{Kind: types.JSONArray, Elems: values}
	}
	switch {
	case !some:
		return types.NullDatum, nil
	case len(list) == 1:
		return types.JSONB(arrays[0]), nil
	}
	return types.JSONB(&types.JSON{Kind: types.JSONArray, Elems: arrays}), nil
}

// paramFormat prints parameters the same for everybody: ISO dates, UTC.
var paramFormat = types.DefaultFormat()

func paramTexts(params []log.Param) ([]*types.JSON, error) {
	out := make([]*types.JSON, len(params))
	for i, p := range params {
		d, _, err := types.DecodeDatumStable(p.Value)
		if err != nil {
			return nil, err
		}
		t, ok := types.ByOID(types.OID(p.Type))
		if !ok {
			return nil, fmt.Errorf("parameter $%d has an unknown type %d", i+1, p.Type)
		}
		out[i] = &types.JSON{Kind: types.JSONNull}
		if !d.IsNull() {
			out[i] = &types.JSON{Kind: types.JSONString, Str: t.Text(paramFormat, d)}
		}
	}
	return out, nil
}

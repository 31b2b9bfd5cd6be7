package plan

import (
	"strings"

	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
	"github.com/tidemark-db/tidemark/sm/types"
)

// BindCopyFrom plans COPY … FROM: an Insert without a source, whose rows come
// from the client with one value for each of Targets.
func BindCopyFrom(env Env, c *CopySpec) (*Statement, error) {
	b := &binder{env: env, columns: make([]Column, 1), reads: map[catalog.ID]bool{}}
	t, cols, err := b.copyTarget(c)
	if err != nil {
		return nil, err
	}
	ins := &Insert{Table: t, Source: &Values{}}
	st := &Statement{Insert: ins, Tag: "COPY"}
	for _, col := range cols {
		if col.Identity == 'a' && len(c.Columns) > 0 {
			return nil, identityAlways(col)
		}
		typ, _ := types.ByOID(col.Type)
		ins.Targets = append(ins.Targets, col.Num)
		st.Cols = append(st.Cols, ResultColumn{Name: col.Name, Type: typ, Typmod: col.Typmod, Table: t.ID, Num: col.Num})
	}
	if err := b.insertDefaults(ins); err != nil {
		return nil, err
	}
	_, ins.Row = b.rowRelation(t, t.Name)
	if ins.Checks, err = b.checks(t, ins.Row); err != nil {
		return nil, err
	}
	b.read(t.ID)
	if st.Guards, err = b.insertGuards(ins); err != nil {
		return nil, err
	}
	st.Columns, st.Reads, st.Writer, st.Volatile = b.columns, b.readOrder, b.writer, b.volatile
	return st, nil
}

// copyTarget resolves COPY's table and columns.
func (b *binder) copyTarget(c *CopySpec) (*catalog.Table, []*catalog.Column, error) {
	t, v, err := b.lookup(c.Table)
	if err != nil {
		return nil, nil, err
	}
	if v != nil {
		if c.From {
			return nil, nil, sqlstate.New(sqlstate.InsufficientPrivilege, "permission denied: \"%s\" is a system catalog", v.Name)
		}
		return nil, nil, sqlstate.New(sqlstate.WrongObjectType, "cannot copy from view \"%s\"", v.Name).
			WithHint("Try the COPY (SELECT ...) TO variant.")
	}
	if len(c.Columns) == 0 {
		return t, live(t), nil
	}
	var cols []*catalog.Column
	seen := map[string]bool{}
	for _, name := range c.Columns {
		col, err := columnOf(t, name)
		if err != nil {
			return nil, nil, err
		}
		if seen[name] {
			return nil, nil, sqlstate.New(sqlstate.DuplicateColumn, "column \"%s\" specified more than once", name)
		}
		seen[name] = true
		cols = append(cols, col)
	}
	return t, cols, nil
}

// CopyToQuery is the query whose rows COPY table TO sends.
func CopyToQuery(env Env, c *CopySpec) (*Query, error) {
	if c.Query != nil {
		return c.Query, nil
	}
	b := &binder{env: env}
	t, cols, err := b.copyTarget(c)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, col := range cols {
		list = append(list, quoteIdent(col.Name))
	}
	return ParseQuery("SELECT " + strings.Join(list, ", ") + " FROM " + quoteIdent(b.schemaName(t.Schema)) + "." + quoteIdent(t.Name))
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

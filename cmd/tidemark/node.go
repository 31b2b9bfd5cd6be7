package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tidemark-db/tidemark"
)

// nodeColumns are what "node list" shows of tidemark.nodes.
const nodeColumns = "id, sql_addr, state, CASE WHEN live THEN 'yes' ELSE 'no' END AS live, leads, hosts, coalesce(version, '') AS version"

// nodeCalls are the actions on one node, by their SQL functions.
var nodeCalls = map[string]string{
	"drain":   "SELECT tidemark.drain_node($1)",
	"undrain": "SELECT tidemark.undrain_node($1)",
	"remove":  "SELECT tidemark.remove_node($1)",
	"replace": "SELECT tidemark.replace_node($1)",
}

func (p *program) node(ctx context.Context, args []string) error {
	f := p.flags("node", "list | drain NODE | undrain NODE | remove NODE | replace NODE [FLAGS]")
	target := targetFlags(f, "tidemark node")
	var words []string
	for { // flags may come before, between and after the words
		if err := parseSome(f, args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			break
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch {
	case len(words) == 1 && words[0] == "list":
		return p.query(ctx, target, "SELECT "+nodeColumns+" FROM tidemark.nodes ORDER BY sql_addr")
	case len(words) == 2 && nodeCalls[words[0]] != "":
		if err := p.query(ctx, target, nodeCalls[words[0]], words[1]); err != nil {
			return err
		}
		return p.query(ctx, target, "SELECT "+nodeColumns+" FROM tidemark.nodes ORDER BY sql_addr")
	}
	return usage(f, "want list, or drain, undrain, remove or replace with the id or an address of a node")
}

// check has every replica of a database look at all it stores.
func (p *program) check(ctx context.Context, args []string) error {
	f := p.flags("check", "[FLAGS]")
	target := targetFlags(f, "tidemark check")
	if err := parse(f, args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bad, err := p.table(ctx, target, "SELECT node, replica, lsn, checksum, rows, coalesce(problem, '') AS problem FROM tidemark.check()")
	if err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d replicas have a problem", bad)
	}
	return nil
}

// query runs one statement and prints its rows as a table.
func (p *program) query(ctx context.Context, t *target, sql string, params ...string) error {
	_, err := p.table(ctx, t, sql, params...)
	return err
}

// table is query, and counts the rows whose last column says something.
func (p *program) table(ctx context.Context, t *target, sql string, params ...string) (flagged int, err error) {
	cfg, err := t.config()
	if err != nil {
		return 0, err
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	values := make([][]byte, len(params))
	for i, v := range params {
		values[i] = []byte(v)
	}
	r := conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	if r.Err != nil {
		return 0, r.Err
	}
	if len(r.FieldDescriptions) < 2 {
		return 0, nil // a call, which says nothing
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, c := range r.FieldDescriptions {
		fmt.Fprintf(w, "%s\t", c.Name)
	}
	fmt.Fprintln(w)
	for _, row := range r.Rows {
		for _, v := range row {
			fmt.Fprintf(w, "%s\t", v)
		}
		fmt.Fprintln(w)
		if len(row[len(row)-1]) > 0 {
			flagged++
		}
	}
	return flagged, w.Flush()
}

// defaultAddress is where a node is looked for when nothing else is said.
const defaultAddress = tidemark.DefaultSQLAddr

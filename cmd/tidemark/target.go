package main

import (
	"flag"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// target is the server that a command talks to, as its flags say.
type target struct {
	flags                                  *flag.FlagSet
	host, port, user, database, url, named string
}

// targetFlags adds the flags that name a server. The command is shown as the
// connection's application_name.
func targetFlags(f *flag.FlagSet, command string) *target {
	t := &target{flags: f, named: command}
	host, port, _ := net.SplitHostPort(defaultAddress) // a constant
	f.StringVar(&t.host, "host", host, "`host` of the server")
	f.StringVar(&t.port, "port", port, "`port` of the server")
	f.StringVar(&t.user, "user", "tidemark", "`name` to connect as")
	f.StringVar(&t.database, "database", "postgres", "`name` of the database")
	f.StringVar(&t.url, "url", "", "connection `URL`, instead of the four flags above: postgres://user@host:port/database")
	return t
}

// config is how to connect.
func (t *target) config() (*pgconn.Config, error) {
	dsn := t.url
	if dsn == "" {
		dsn = fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable application_name=%s",
			quote(t.host), quote(t.port), quote(t.user), quote(t.database), quote(t.named))
	}
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, usage(t.flags, "%v", err)
	}
	return cfg, nil
}

// quote makes a value of a connection string.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

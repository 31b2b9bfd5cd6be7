// Command tidemark runs a node and its tools. It owns flags, signals and what is
// printed; everything else is package tidemark's. Each subcommand has a file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// errUsage says that the command line was wrong, which has been printed already.
var errUsage = errors.New("usage")

// program is the surroundings of a run, so that a test can be one.
type program struct {
	stdout, stderr io.Writer
}

// command is one subcommand.
type command struct {
	name    string
	summary string
	run     func(p *program, ctx context.Context, args []string) error
}

// commands returns the subcommands in the order in which help shows them.
func commands() []command {
	return []command{
		{"start", "run a node", (*program).start},
		{"demo", "run a cluster of three nodes to try things on", (*program).demo},
		{"node", "list the nodes of a cluster, drain, remove or replace one", (*program).node},
		{"check", "have every replica of a database look at all it stores", (*program).check},
		{"tail", "print the changes of the tables as JSON lines", (*program).tail},
		{"version", "print the version", (*program).version},
		{"help", "explain the commands", (*program).help},
	}
}

func main() {
	p := &program{stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.main(context.Background(), os.Args[1:]))
}

// main runs one command line and returns the exit code.
func (p *program) main(ctx context.Context, args []string) int {
	name := "help"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if slices.Contains([]string{"-h", "-help", "--help"}, name) {
		name = "help"
	}
	if slices.Contains([]string{"-v", "-version", "--version"}, name) {
		name = "version"
	}
	for _, c := range commands() {
		if c.name != name {
			continue
		}
		err := c.run(p, ctx, args)
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		}
		fmt.Fprintf(p.stderr, "tidemark %s: %v\n", name, err)
		return exitFailure
	}
	fmt.Fprintf(p.stderr, "tidemark: there is no command %q; \"tidemark help\" lists them\n", name)
	return exitUsage
}

// flags makes a subcommand's flag set, whose mistakes end in errUsage.
func (p *program) flags(name, synopsis string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(p.stderr)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: tidemark %s\n", strings.TrimSpace(name+" "+synopsis))
		has := false
		f.VisitAll(func(*flag.Flag) { has = true })
		if has {
			fmt.Fprintln(f.Output(), "\nFlags:")
			f.PrintDefaults()
		}
	}
	return f
}

// parse parses args, of which none may be left over.
func parse(f *flag.FlagSet, args []string) error {
	if err := parseSome(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return usage(f, "unexpected argument %q", f.Arg(0))
	}
	return nil
}

// parseSome reads flags up to the first argument that is none.
func parseSome(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return errUsage // printed by the flag set, with the usage
	}
	return err
}

// usage reports a mistake in the command line.
func usage(f *flag.FlagSet, format string, args ...any) error {
	fmt.Fprintf(f.Output(), format+"\n", args...)
	f.Usage()
	return errUsage
}

package main

import (
	"context"
	"fmt"
)

func (p *program) help(ctx context.Context, args []string) error {
	f := p.flags("help", "[COMMAND]")
	if err := f.Parse(args); err != nil {
		return errUsage
	}
	if f.NArg() > 0 {
		for _, c := range commands() {
			if c.name == f.Arg(0) && c.name != "help" {
				sub := &program{stdout: p.stdout, stderr: p.stdout}
				return c.run(sub, ctx, []string{"-h"})
			}
		}
		return usage(f, "there is no command %q", f.Arg(0))
	}
	fmt.Fprint(p.stdout, "Tidemark is a SQL database that is a fold over its log.\n\nUsage: tidemark COMMAND [FLAGS]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(p.stdout, "  %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprint(p.stdout, "\n\"tidemark help COMMAND\" shows the flags of a command.\n")
	return nil
}

package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/tidemark-db/tidemark"
)

func (p *program) version(_ context.Context, args []string) error {
	f := p.flags("version", "")
	if err := parse(f, args); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "tidemark %s %s/%s\n", tidemark.Build(), runtime.GOOS, runtime.GOARCH)
	return nil
}

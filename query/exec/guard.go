package exec

import (
	"runtime"
	"strings"

	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// guard runs a statement of an entry and makes a panic in an expression or an
// operator the failure of that statement. Such a panic is a mistake of ours that
// depends on nothing but the entry and the state, so every replica has it; left
// alone it would halt the log, and let one client's statement stop everybody's.
//
// A panic in storage is another matter: what is on this replica's disk cannot be
// trusted to be what is on the others', so it goes on and halts the log here.
func guard(run func() (int64, error)) (n int64, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if inStorage() {
			panic(p)
		}
		e := sqlstate.New(sqlstate.InternalError, "internal error in the execution of a statement")
		switch p := p.(type) {
		case error:
			e = e.WithDetail("%s", p.Error())
		case string:
			e = e.WithDetail("%s", p)
		}
		n, err = 0, e
	}()
	return run()
}

// maxPanicFrames is how far up the stack the origin of a panic is looked for.
const maxPanicFrames = 256

// inStorage reports whether the panic being recovered began in package sm or
// below it: whether their code stands between its origin and this package's.
func inStorage() bool {
	pcs := make([]uintptr, maxPanicFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		f, more := frames.Next()
		switch {
		case strings.Contains(f.Function, "tidemark/sm.") || strings.Contains(f.Function, "tidemark/sm/keys.") ||
			strings.Contains(f.Function, "cockroachdb/pebble"):
			return true
		case strings.HasSuffix(f.Function, "tidemark/query/exec.guard"):
			return false
		}
		if !more {
			return false
		}
	}
}

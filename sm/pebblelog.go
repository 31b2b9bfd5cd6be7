package sm

import (
	"fmt"
	"log/slog"

	"github.com/tidemark-db/tidemark/log/diskspace"
)

// pebbleLogger hands Pebble's messages on.
type pebbleLogger struct {
	log   *slog.Logger
	space *diskspace.Writer
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble cannot go on. While the replica is being closed
// on a full disk that is no news: Pebble hands the error on, and what its files
// lack the log will bring again.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	msg := "pebble: " + fmt.Sprintf(format, args...)
	l.log.Error(msg)
	if l.space.Refused() {
		return
	}
	panic(msg)
}

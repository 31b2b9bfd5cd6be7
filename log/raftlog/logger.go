package raftlog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/logger"
)

// Dragonboat has one logger factory for the whole process, which may be set only
// once. Its messages go to the logger of the host that was opened last.
var (
	setFactory sync.Once
	current    atomic.Pointer[slog.Logger]
)

// useLogger sends Dragonboat's messages to l from now on.
func useLogger(l *slog.Logger) {
	current.Store(l)
	setFactory.Do(func() {
		logger.SetLoggerFactory(func(pkg string) logger.ILogger { return &bridge{pkg: pkg} })
	})
}

// expected are parts of warnings about what is so on purpose: Raft listens on
// loopback only, and a group of one does not wait long for a leader, which also
// makes the engine warn of each 100 ms that the process had to wait for a processor.
var expected = []string{"mutual TLS disabled", "ElectionRTT is not a magnitude larger", "LocalTick msgs in one batch"}

// quiet is the package whose warnings are the protocol's normal course, such as
// an election.
const quiet = "raft"

// bridge hands the messages of one of Dragonboat's packages to slog. Its notes
// on normal work are debug messages here: they tell users nothing.
type bridge struct{ pkg string }

func (b *bridge) SetLevel(logger.LogLevel) {} // slog's level decides

func (b *bridge) Debugf(format string, args ...any) { b.log(slog.LevelDebug-4, format, args) }
func (b *bridge) Infof(format string, args ...any)  { b.log(slog.LevelDebug, format, args) }
func (b *bridge) Errorf(format string, args ...any) { b.log(slog.LevelError, format, args) }

func (b *bridge) Warningf(format string, args ...any) {
	level := slog.LevelWarn
	if b.pkg == quiet {
		level = slog.LevelDebug
	}
	for _, e := range expected {
		if strings.Contains(format, e) {
			level = slog.LevelDebug
		}
	}
	b.log(level, format, args)
}

// Panicf must not return: Dragonboat uses it where going on would damage data.
// While a host is starting, the panic becomes the error of OpenHost; later
// nothing may swallow it.
func (b *bridge) Panicf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if starting.Load() > 0 {
		panic(message)
	}
	die(message)
}

// starting is how many hosts are being opened.
var starting atomic.Int32

// die ends the process with a panic that nobody can recover from. What was
// acknowledged is in the log, and comes back at the next start.
func die(message string) {
	current.Load().Error("the raft engine cannot go on", "reason", message)
	go panic("raftlog: " + message)
	select {}
}

func (b *bridge) log(level slog.Level, format string, args []any) {
	l := current.Load()
	if !l.Enabled(context.Background(), level) {
		return
	}
	l.Log(context.Background(), level, fmt.Sprintf(format, args...), "component", "raft/"+b.pkg)
}

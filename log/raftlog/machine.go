package raftlog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"

	dragonboat "github.com/lni/dragonboat/v4/statemachine"

	"github.com/tidemark-db/tidemark/log"
)

// valueApplied is the Value of every result: an empty one would count as a
// refusal.
const valueApplied = 1

// machine makes a log.StateMachine one of Dragonboat's. Errors that it returns
// end the process, so halting is not one.
type machine struct {
	state  log.StateMachine
	batch  []log.Committed // reused between updates
	closed chan struct{}   // Dragonboat has let go of the state machine
	logger *slog.Logger
}

var _ dragonboat.IOnDiskStateMachine = (*machine)(nil)

// Open implements dragonboat.IOnDiskStateMachine. The state machine is open
// already; its index was compared with the snapshots before the start.
func (m *machine) Open(<-chan struct{}) (uint64, error) { return uint64(m.state.Applied()), nil }

// Update applies committed entries. Once halted, the state machine refuses every
// entry: Dragonboat goes on counting, the state machine does not, and since no
// snapshot is recorded either, the entries come again after a restart.
func (m *machine) Update(entries []dragonboat.Entry) ([]dragonboat.Entry, error) {
	m.batch = m.batch[:0]
	for i := range entries {
		m.batch = append(m.batch, log.Committed{Index: log.Index(entries[i].Index), Data: entries[i].Cmd})
	}
	answers, err := m.state.Apply(m.batch)
	clear(m.batch) // do not hold on to the entries
	if err != nil {
		return nil, err
	}
	if len(answers) != len(entries) {
		return nil, fmt.Errorf("state machine gave %d answers to %d entries", len(answers), len(entries))
	}
	for i, answer := range answers {
		entries[i].Result = dragonboat.Result{Value: valueApplied, Data: answer}
	}
	return entries, nil
}

// Sync is called in front of every recorded snapshot, and from time to time. A
// halted state machine syncs what it has, but a snapshot must not be recorded:
// its index would be past entries that were never applied.
func (m *machine) Sync() error {
	err := m.state.Sync()
	if err != nil && !errors.Is(err, log.ErrHalted) {
		return err
	}
	if err != nil && !calledPeriodically() {
		return errNoSnapshot{}
	}
	return nil
}

// PrepareSnapshot implements dragonboat.IOnDiskStateMachine.
func (m *machine) PrepareSnapshot() (any, error) {
	image, err := m.state.Prepare()
	if errors.Is(err, log.ErrHalted) {
		return nil, errNoSnapshot{}
	}
	return image, err
}

// SaveSnapshot implements dragonboat.IOnDiskStateMachine.
func (m *machine) SaveSnapshot(image any, w io.Writer, stop <-chan struct{}) error {
	return m.state.Save(image, w, stop)
}

// RecoverFromSnapshot implements dragonboat.IOnDiskStateMachine.
func (m *machine) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) error {
	if err := m.state.Restore(r, stop); err != nil {
		return err
	}
	// Who looks for what a replica has read of the log itself must know of this.
	m.logger.Info("the replica was restored from a snapshot", "index", m.state.Applied())
	return nil
}

// Lookup implements dragonboat.IOnDiskStateMachine. Reads never come this way.
func (m *machine) Lookup(any) (any, error) { return nil, dragonboat.ErrNotImplemented }

// Close implements dragonboat.IOnDiskStateMachine. The state machine stays open.
func (m *machine) Close() error {
	close(m.closed)
	return nil
}

// errNoSnapshot refuses a snapshot in the one way that Dragonboat takes without
// ending the process and without recording anything. Saving one locally it
// tolerates "out of date", an error of an internal package that can only be
// named by its text; ErrSnapshotAborted it would tolerate too, but then it
// cleans up a directory that it has not made yet, and dies of that. Streaming
// one to another replica, it tolerates ErrSnapshotStreaming.
type errNoSnapshot struct{}

func (errNoSnapshot) Error() string { return "no snapshot: the state machine is halted" }

// Is implements the comparison of errors.Is.
func (errNoSnapshot) Is(target error) bool {
	return target == dragonboat.ErrSnapshotStreaming || target.Error() == "snapshot out of date"
}

// periodicCaller is the function that calls Sync when no snapshot is at stake.
const periodicCaller = "rsm.(*StateMachine).Handle"

// calledPeriodically tells the two callers of Sync apart, which Dragonboat does
// not: an error ends the process in one and prevents a snapshot in the other. It
// looks at the stack, only when the state machine is halted. Should Dragonboat's
// functions be renamed, no snapshot is recorded wrongly: at worst the process
// ends, as with any other error of a state machine.
func calledPeriodically() bool {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, periodicCaller) {
			return true
		}
		if !more {
			return false
		}
	}
}

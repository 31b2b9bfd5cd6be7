package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Buffer is where a process may write to while others read.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Process is a server that runs, or has run.
type Process struct {
	Cmd *exec.Cmd
	// Addr is the SQL address, host:port, once AwaitAddr has returned.
	Addr   string
	Output *Buffer

	ended chan struct{} // closed when the process is gone; err is set before
	err   error
}

// Launch starts the program with arguments. It does not wait for anything.
func Launch(args ...string) (*Process, error) {
	path, err := Binary()
	if err != nil {
		return nil, fmt.Errorf("build the program: %w", err)
	}
	p := &Process{Cmd: exec.Command(path, args...), Output: &Buffer{}, ended: make(chan struct{})}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Output, p.Output
	if err := p.Cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.Cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

var connectLine = regexp.MustCompile(`psql -h (\S+) -p (\S+) postgres`)

// Pauses of those who wait for a process.
const pollPause = 5 * time.Millisecond

// AwaitAddr waits until the server says how to connect.
func (p *Process) AwaitAddr(patience time.Duration) error {
	for until := time.Now().Add(patience); ; {
		if m := connectLine.FindStringSubmatch(p.Output.String()); m != nil {
			p.Addr = net.JoinHostPort(m[1], m[2])
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("the server did not start within %s: %s", patience, p.Output)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended (%v): %s", p.err, p.Output)
		case <-time.After(pollPause):
		}
	}
}

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the server as a crash would, and waits until it is gone. It may have
// ended before.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // fails only when it is gone
	<-p.ended
}

// errStuck says that a server does not stop.
var errStuck = errors.New("the server did not stop in time")

// Stop ends the server as an operator would, and waits until it is gone. The
// error says that it did not end well, or not in time: then it is killed.
func (p *Process) Stop(patience time.Duration) error {
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%w: %s", errStuck, p.Output)
	}
	if p.err != nil {
		return fmt.Errorf("the server ended with %w: %s", p.err, p.Output)
	}
	return nil
}

// Pause stops the process where it stands, as a machine that hangs, and returns
// when all its threads stand: the signal alone lets some of them run on for a while
// where processors are scarce.
func (p *Process) Pause() error {
	if err := p.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus // zero while there is nothing to report
		if _, err := unix.Wait4(p.Cmd.Process.Pid, &status, unix.WUNTRACED|unix.WNOHANG, nil); err != nil {
			return fmt.Errorf("wait until the server stands: %w", err)
		}
		if status.Stopped() {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the server ended (%v): %s", p.err, p.Output)
		case <-time.After(pollPause):
		}
	}
}

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.Cmd.Process.Signal(syscall.SIGCONT) }

//go:build !linux

package pgwire

import (
	"syscall"
	"time"
)

// giveUpAfter does nothing where there is no such option; keep-alive has to do.
func giveUpAfter(syscall.RawConn, time.Duration) error { return nil }

package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/diskspace"
)

// probeFile is written and synced to see whether the disk works. It has one byte,
// and keeps it: there is room for it on a full disk.
const probeFile = "probe"

// Watching the disk. A node whose disk hangs or fails leaves within five seconds:
// one until the next probe, the rest for that.
const (
	probeEvery    = time.Second
	probePatience = 3500 * time.Millisecond
)

// Between two probes a fast writer could fill a small disk: after so large a share
// of the reserve has been written, the space is looked at again.
const lookAgainShare = 16

// space is what is known about the space on the disk.
type space struct {
	of func(dir string) (diskspace.Space, error)

	looking sync.Mutex
	full    atomic.Pointer[error] // why appends are refused
	free    atomic.Uint64         // bytes, when it was looked at last
	next    atomic.Uint64         // how much may be written in all before the next look
}

// DiskFull returns nil, or log.ErrDiskFull with the figures while nothing can be
// appended on this node for lack of space.
func (h *Host) DiskFull() error {
	if h.fs.written.Load() >= h.space.next.Load() && h.space.looking.TryLock() {
		err := h.look()
		h.space.looking.Unlock()
		if err != nil {
			return fmt.Errorf("%w: %w", log.ErrDiskFull, err)
		}
	}
	if err := h.space.full.Load(); err != nil {
		return *err
	}
	if n := h.fs.space.Waiting(); n > 0 {
		return fmt.Errorf("%w: %d writes wait for space", log.ErrDiskFull, n)
	}
	return nil
}

// DiskFree returns how many bytes were free when that was looked at last.
func (h *Host) DiskFree() uint64 { return h.space.free.Load() }

// watchDisk looks at the space that is left and, where others can take over,
// whether the disk works at all.
func (h *Host) watchDisk() {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		done := make(chan error, 1)
		go func() { done <- h.probeDisk() }() // it may hang for ever
		err, ok := waitSteps(h, done, h.diskPatience)
		switch {
		case h.life.Err() != nil:
			return
		case !ok:
			die(fmt.Sprintf("the disk has not answered for %s", probePatience))
		case err != nil && !diskspace.IsFull(err) && h.hasOthers():
			die(fmt.Sprintf("the disk fails: %v", err))
		case err != nil:
			h.cfg.Logger.Error("the disk fails", "error", err)
		}
		select {
		case <-ticker.C:
		case <-h.life.Done():
			return
		}
	}
}

// diskPatience is for how long the disk may do nothing; a node that nobody else
// can stand in for waits.
func (h *Host) diskPatience() (time.Duration, bool) { return probePatience, h.hasOthers() }

// probeDisk notes how much space there is, and writes and syncs one byte.
func (h *Host) probeDisk() error {
	if err := h.noteSpace(); err != nil {
		return err
	}
	if !h.hasOthers() {
		return nil
	}
	if err := h.fs.broken(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(h.fs.root, probeFile), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{'.'}, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// noteSpace decides whether appends are refused.
func (h *Host) noteSpace() error {
	h.space.looking.Lock()
	defer h.space.looking.Unlock()
	return h.look()
}

// look is noteSpace with the lock held.
func (h *Host) look() error {
	space, err := h.space.of(h.cfg.Dir)
	if err != nil {
		return fmt.Errorf("space of %s: %w", h.cfg.Dir, err)
	}
	h.space.free.Store(space.Free)
	h.space.next.Store(h.fs.written.Load() + space.Reserve()/lookAgainShare)
	was := h.space.full.Load() != nil
	is := space.Full(was)
	switch {
	case is && !was:
		h.cfg.Logger.Error("the disk is full: writes are refused until there is space", "space", space.String())
	case was && !is:
		h.cfg.Logger.Info("there is space on the disk again", "space", space.String())
	}
	if !is {
		h.space.full.Store(nil)
		return nil
	}
	full := fmt.Errorf("%w: %s", log.ErrDiskFull, space)
	h.space.full.Store(&full)
	return nil
}

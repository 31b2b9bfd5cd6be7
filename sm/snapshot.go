package sm

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/snapshots"
)

// image is a point-in-time copy of the store, made of links to its files.
type image struct {
	dir      string
	manifest snapshots.Manifest
}

// Prepare implements log.StateMachine: it fixes an image by a checkpoint, which
// costs a flush and hard links. Save removes the image.
func (r *Replica) Prepare() (any, error) {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if r.closing {
		return nil, log.ErrClosed
	}
	if err := r.Halted(); err != nil {
		return nil, err
	}
	p := r.published.Load()
	if err := p.store.db.Flush(); err != nil {
		return nil, fmt.Errorf("sm: image: %w", err)
	}
	r.images++
	dir := r.fs.PathJoin(r.opt.Dir, imagePrefix+strconv.Itoa(r.images))
	if err := p.store.db.Checkpoint(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("sm: image: %w", err), r.fs.RemoveAll(dir))
	}
	pos := p.position
	return &image{dir: dir, manifest: snapshots.Manifest{
		Log: r.opt.Log, Epoch: pos.Epoch, Offset: pos.Offset, End: pos.End, Index: pos.Index, Checksum: pos.Checksum,
	}}, nil
}

// Save implements log.StateMachine. It returns log.ErrStopped when stop
// was closed before the end.
func (r *Replica) Save(x any, w io.Writer, stop <-chan struct{}) error {
	img, ok := x.(*image)
	if !ok {
		return fmt.Errorf("sm: %T is not an image", x)
	}
	err := snapshots.Write(w, r.fs, img.dir, img.manifest, stop)
	return errors.Join(err, r.fs.RemoveAll(img.dir))
}

// Restore implements log.StateMachine. The stream is built and verified in a
// directory of its own; what is there now stays in use, and stays what a crash
// leaves, until the pointer has moved. It ends a halt: the image is from a
// replica that got past the entry. A fenced replica is good again, and what was
// wrong with it is kept.
func (r *Replica) Restore(in io.Reader, stop <-chan struct{}) error {
	r.applyMu.Lock()
	defer r.applyMu.Unlock()
	if r.closing {
		return log.ErrClosed
	}
	old := r.published.Load().store
	n, err := storeNumber(path.Base(old.dir))
	if err != nil {
		return fmt.Errorf("sm: restore: store %s: %w", old.dir, err)
	}
	name := storePrefix + strconv.Itoa(n+1)
	dir := r.fs.PathJoin(r.opt.Dir, name)
	s, c, err := r.build(in, dir, stop)
	if err != nil {
		return errors.Join(fmt.Errorf("sm: restore: %w", err), r.fs.RemoveAll(dir))
	}
	remove := func() error { return r.fs.RemoveAll(old.dir) }
	if r.Fenced() != nil {
		if remove, err = r.keepFenced(old.dir); err != nil {
			return errors.Join(err, s.db.Close(), r.fs.RemoveAll(dir))
		}
	}
	if err := r.writePointer(name); err != nil {
		// Which store a crash would leave is not known now. Going on with the
		// old one could lose what it applies from here.
		return errors.Join(err, s.db.Close())
	}
	r.halted.Store(nil)
	r.fenced.Store(nil)
	r.waiters.resume()
	r.install(s, c)
	old.remove.Store(&remove)
	old.release()
	return nil
}

// build restores a stream into dir, opens the store there and reads what is kept
// of it in memory: nothing is left that could fail once the pointer has moved.
func (r *Replica) build(in io.Reader, dir string, stop <-chan struct{}) (*store, contents, error) {
	if err := r.fs.RemoveAll(dir); err != nil {
		return nil, contents{}, err
	}
	if err := r.fs.MkdirAll(dir, 0o755); err != nil {
		return nil, contents{}, err
	}
	m, err := snapshots.Read(in, r.fs, dir, stop)
	if err != nil {
		return nil, contents{}, err
	}
	if m.Log != r.opt.Log {
		return nil, contents{}, fmt.Errorf("snapshot is of log %d, this is log %d", m.Log, r.opt.Log)
	}
	s, err := openStore(&r.opt, r.fs, r.cache, dir)
	if err != nil {
		return nil, contents{}, err
	}
	c, err := readContents(s)
	if err == nil {
		err = verify(c.state.position(), m)
	}
	if err != nil {
		return nil, contents{}, errors.Join(err, s.db.Close())
	}
	return s, c, nil
}

// verify compares what a store says of itself with its manifest.
func verify(p Position, m *snapshots.Manifest) error {
	if p.Offset != m.Offset || p.End != m.End || p.Index != m.Index || p.Epoch != m.Epoch || p.Checksum != m.Checksum {
		return fmt.Errorf("%w: the store is at %s, the manifest at %s", snapshots.ErrCorrupt, p.Offset, m.Offset)
	}
	return nil
}

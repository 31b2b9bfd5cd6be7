package tidemark

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/sm"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// databases are the logs that this node has a replica of.
type databases struct {
	node *Node

	// changing lets one database be opened or closed at a time.
	changing sync.Mutex

	mu     sync.Mutex
	open   map[log.ID]*database
	closed bool
}

func newDatabases(n *Node) *databases { return &databases{node: n, open: map[log.ID]*database{}} }

// get returns the open database of a log, or nil.
func (d *databases) get(id log.ID) *database {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[id]
}

// all returns the open databases by their logs.
func (d *databases) all() map[log.ID]*database {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.open)
}

// start opens this node's replica of a log under a database's name.
func (d *databases) start(r localReplica, name string) (*database, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if db := d.get(r.Log); db != nil {
		return db, nil
	}
	db, err := openDatabase(d.node, r, name)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		db.quiesce()
		return nil, errors.Join(log.ErrClosed, db.shard.Close(), db.close())
	}
	d.open[r.Log] = db
	return db, nil
}

// stop closes one database: its sessions end with the reason, then its log, then
// its tables.
func (d *databases) stop(id log.ID, reason *sqlstate.Error) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	d.mu.Lock()
	db := d.open[id]
	delete(d.open, id)
	d.mu.Unlock()
	if db == nil {
		return nil
	}
	db.engine.Stop(reason)
	db.quiesce()
	return errors.Join(db.shard.Close(), db.close())
}

// remove removes the files of a replica that its group does without. It may be
// repeated after a crash. The tables of one that was fenced are evidence and stay,
// beside where they were.
func (d *databases) remove(ctx context.Context, r localReplica) error {
	if err := d.stop(r.Log, errReplicaMoved()); err != nil {
		return err
	}
	r.Removing = true
	if err := d.node.local.put(r); err != nil {
		return err
	}
	if err := d.node.host.RemoveData(ctx, r.Log, r.Replica); err != nil {
		return err
	}
	kept, err := sm.Discard(nil, replicaDir(d.node.cfg.Dir, r))
	if err != nil {
		return err
	}
	if kept != "" {
		d.node.cfg.Logger.Warn("the tables of a fenced replica were set aside", "log", r.Log, "replica", r.Replica, "at", kept)
	}
	return d.node.local.drop(r.Log)
}

// errReplicaMoved ends the sessions of a database that this node gives up.
func errReplicaMoved() *sqlstate.Error {
	return sqlstate.New(sqlstate.AdminShutdown, "terminating connection because the database is no longer on this node").
		WithHint("Connect again.")
}

// replicaDir is where the tables of a replica are.
func replicaDir(dir string, r localReplica) string {
	return filepath.Join(dir, databasesDir, fmt.Sprint(r.Log), fmt.Sprint(cmp.Or(r.Replica, 1)))
}

// quiesce ends what the databases do on their own. None is opened afterwards.
func (d *databases) quiesce() {
	d.changing.Lock()
	defer d.changing.Unlock()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	for _, db := range d.all() {
		db.quiesce()
	}
}

// close closes the tables. The logs have been closed before.
func (d *databases) close() error {
	var errs []error
	for _, db := range d.all() {
		errs = append(errs, db.close())
	}
	return errors.Join(errs...)
}

// shardOptions are how a replica's group is started.
func (r *localReplica) shardOptions() raftlog.ShardOptions {
	return raftlog.ShardOptions{Replica: r.Replica, Members: r.Members, Join: r.Join}
}

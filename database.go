package tidemark

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/log/raftlog"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm"
)

// databasesDir is the folder of the data directory with one folder for each log.
const databasesDir = "databases"

// flushEvery is how often what is only in memory is written to the tables' files
// in the background. It bounds what is replayed after a crash.
const flushEvery = 15 * time.Second

// database is one log, the tables it makes, and the engine that reads them.
type database struct {
	log     log.ID
	named   atomic.Pointer[string]
	replica *sm.Replica
	shard   *raftlog.Shard
	engine  *query.Engine
	logger  *slog.Logger
	// waiting: the node was started, and this database still needs other nodes to
	// know what its log says.
	waiting atomic.Bool

	stop    context.CancelFunc
	running sync.WaitGroup
}

// openDatabase opens the tables, then the log over them, then the engine.
func openDatabase(n *Node, r localReplica, name string) (*database, error) {
	executor := query.NewExecutor(name)
	executor.BeforeExecute = n.cfg.FailPoint
	replica, err := sm.Open(sm.Options{
		Dir:      replicaDir(n.cfg.Dir, r),
		Cache:    n.cache,
		Log:      r.Log,
		Replica:  r.Replica,
		Executor: executor,
		Logger:   n.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	shard, err := n.host.OpenShard(r.Log, replica, r.shardOptions())
	if err != nil {
		return nil, errors.Join(err, replica.Close())
	}
	db := &database{log: r.Log, replica: replica, shard: shard, logger: n.cfg.Logger.With("database", name)}
	db.named.Store(&name)
	var cluster query.Cluster
	if r.Log != metaLog { // where the cluster's state is, it is not asked for
		cluster = n
	}
	db.engine = query.NewEngine(query.EngineConfig{
		Database: name,
		Node:     nodeNumber(n.self()),
		LogID:    r.Log,
		System:   n.cluster(),
		Replica:  replica,
		Log:      shard,
		Executor: executor,
		Logger:   n.cfg.Logger,
		Cluster:  cluster,
		Leads:    db.leads,
		Now:      n.cfg.Now,

		CheckEvery: n.cfg.CheckEvery,
		Voters:     db.voters,
	})
	life, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.running.Go(func() { db.flush(life) })
	db.running.Go(func() { db.collect(life) })
	db.running.Go(func() {
		if db.shard.Ready(life) == nil {
			db.engine.Maintain(life)
		}
	})
	return db, nil
}

// nodeNumber is a node's identity as a number.
func nodeNumber(id log.NodeID) uint64 { return xxhash.Sum64String(string(id)) }

// name is what the database is called now.
func (db *database) name() string { return *db.named.Load() }

// rename gives the database another name.
func (db *database) rename(name string) {
	db.named.Store(&name)
	db.engine.Rename(name)
}

// leads says whether this node's replica leads its group, as far as it knows.
func (db *database) leads() bool {
	leader, _, ok := db.shard.Leader()
	return ok && leader == db.shard.Replica()
}

// voters are the replicas whose states are compared.
func (db *database) voters(ctx context.Context) ([]log.ReplicaID, error) {
	m, err := db.shard.Members(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(m.Voters)), nil
}

// status is what other nodes are told of the database.
func (db *database) status() replicaStatus {
	pos := db.replica.Position()
	s := replicaStatus{
		Log: db.log, Replica: db.shard.Replica(),
		Index: pos.Index, Offset: pos.Offset, End: pos.End, LogTime: pos.Time,
		Sessions: db.engine.Sessions(), Process: db.engine.Process(),
	}
	if leader, term, ok := db.shard.Leader(); ok {
		s.Leader, s.Term = leader, term
	}
	if err := db.replica.Halted(); err != nil {
		s.Halted = err.Error()
	}
	s.Fenced = db.replica.Fenced() != nil
	return s
}

// flush writes new state to files from time to time, until ctx ends.
func (db *database) flush(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	flushed := log.Index(0)
	idle := false // starting is a load, too: what was in the Raft log has been read
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		applied := db.replica.Applied()
		if applied == flushed {
			if !idle {
				// The load is over: what it needed goes back to the system now
				// rather than whenever the next collection would have been.
				if err := db.replica.Trim(); err != nil {
					db.logger.Error("trimming the tables' memory failed", "error", err)
				}
				debug.FreeOSMemory()
				idle = true
			}
			continue
		}
		idle = false
		if err := db.replica.Flush(); err != nil {
			db.logger.Error("flush of the tables failed", "error", err)
			continue
		}
		flushed = applied
	}
}

// collectEvery is how often it is looked whether there is garbage in the tables.
const collectEvery = time.Second

// collect removes what is no longer retained until ctx ends. Nothing is done while
// the floor stays where it is.
func (db *database) collect(ctx context.Context) {
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := db.replica.Collect(ctx, sm.CollectOptions{}); err != nil && ctx.Err() == nil {
			db.logger.Error("removing old history failed", "error", err)
		}
	}
}

// quiesce ends what the database does on its own.
func (db *database) quiesce() {
	db.stop()
	db.running.Wait()
}

// close closes the tables. The log has been closed before.
func (db *database) close() error { return db.replica.Close() }

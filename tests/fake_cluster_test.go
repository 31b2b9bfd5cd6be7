package tests

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/tidemark-db/tidemark/compaction"
	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/query"
	"github.com/tidemark-db/tidemark/sm/sqlstate"
)

// fakeCluster is a query.Cluster that keeps books and does nothing else.
type fakeCluster struct {
	mu        sync.Mutex
	databases []query.DatabaseInfo
	inUse     map[string]int // sessions by database
	nodes     []query.NodeInfo
	replicas  []query.ReplicaInfo
	calls     []string
	block     bool // calls wait for their context
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{
		databases: []query.DatabaseInfo{{Name: "postgres", Log: memLog, OID: query.DatabaseOID(memLog), Owner: "postgres", Replicas: 3, Bytes: 4096}},
		inUse:     map[string]int{},
	}
}

func (f *fakeCluster) find(name string) int {
	return slices.IndexFunc(f.databases, func(d query.DatabaseInfo) bool { return d.Name == name })
}

// HolderAlive implements query.Cluster.
func (f *fakeCluster) HolderAlive(context.Context, log.Owner) bool { return true }

func noSuchDatabase(name string) error {
	return sqlstate.New(sqlstate.InvalidCatalogName, "database \"%s\" does not exist", name)
}

// change notes a call and runs it.
func (f *fakeCluster) change(ctx context.Context, call string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	if f.block {
		<-ctx.Done()
		return ctx.Err()
	}
	return do()
}

// CreateDatabase implements query.Cluster.
func (f *fakeCluster) CreateDatabase(ctx context.Context, o query.CreateDatabase) error {
	return f.change(ctx, "create "+o.Name+" of "+o.Owner, func() error {
		if f.find(o.Name) >= 0 {
			return sqlstate.New(sqlstate.DuplicateDatabase, "database \"%s\" already exists", o.Name)
		}
		id := log.ID(len(f.calls) + 2)
		replicas := o.Replicas
		if replicas == 0 {
			replicas = 3
		}
		f.databases = append(f.databases, query.DatabaseInfo{Name: o.Name, Log: id, OID: query.DatabaseOID(id), Owner: o.Owner,
			Replicas: replicas, NoConnections: o.NoConnections})
		return nil
	})
}

// DropDatabase implements query.Cluster.
func (f *fakeCluster) DropDatabase(ctx context.Context, name string, force bool) error {
	return f.change(ctx, "drop "+name, func() error {
		i := f.find(name)
		if i < 0 {
			return noSuchDatabase(name)
		}
		if f.inUse[name] > 0 && !force {
			return sqlstate.New(sqlstate.ObjectInUse, "database \"%s\" is being accessed by other users", name)
		}
		f.databases = slices.Delete(f.databases, i, i+1)
		return nil
	})
}

// RenameDatabase implements query.Cluster.
func (f *fakeCluster) RenameDatabase(ctx context.Context, name, to string) error {
	return f.change(ctx, "rename "+name+" to "+to, func() error {
		i := f.find(name)
		if i < 0 {
			return noSuchDatabase(name)
		}
		f.databases[i].Name = to
		return nil
	})
}

// SetRetention implements query.Cluster.
func (f *fakeCluster) SetRetention(ctx context.Context, database string, change func(*compaction.Policy)) error {
	return f.change(ctx, "retention "+database, func() error {
		i := f.find(database)
		if i < 0 {
			return noSuchDatabase(database)
		}
		change(&f.databases[i].Retention)
		return nil
	})
}

// SetReplicas implements query.Cluster.
func (f *fakeCluster) SetReplicas(ctx context.Context, database string, n int) error {
	return f.change(ctx, "replicas "+database, func() error {
		i := f.find(database)
		if i < 0 {
			return noSuchDatabase(database)
		}
		f.databases[i].Replicas = n
		return nil
	})
}

// Databases implements query.Cluster.
func (f *fakeCluster) Databases() []query.DatabaseInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.databases)
}

// Nodes implements query.Cluster.
func (f *fakeCluster) Nodes() []query.NodeInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.nodes)
}

// Replicas implements query.Cluster.
func (f *fakeCluster) Replicas() []query.ReplicaInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.replicas)
}

// JoinNode implements query.Cluster.
func (f *fakeCluster) JoinNode(ctx context.Context, j query.JoinNode) (answer []byte, err error) {
	err = f.change(ctx, "join "+string(j.Node)+" at "+j.RaftAddr, func() error {
		f.nodes = append(f.nodes, query.NodeInfo{ID: j.Node, SQLAddr: j.SQLAddr, RaftAddr: j.RaftAddr, State: query.NodeActive, Live: true,
			LastSeen: time.Unix(1_700_000_000, 0), DiskFree: -1})
		answer, err = json.Marshal(map[string]int{"nodes": len(f.nodes)})
		return err
	})
	return answer, err
}

func (f *fakeCluster) move(ctx context.Context, call, node string) error {
	return f.change(ctx, call+" "+node, func() error {
		if !slices.ContainsFunc(f.nodes, func(n query.NodeInfo) bool { return string(n.ID) == node }) {
			return sqlstate.New(sqlstate.UndefinedObject, "node \"%s\" does not exist", node)
		}
		return nil
	})
}

// DrainNode implements query.Cluster, as do its relatives below.
func (f *fakeCluster) DrainNode(ctx context.Context, node string) error {
	return f.move(ctx, "drain", node)
}

// UndrainNode is described at DrainNode.
func (f *fakeCluster) UndrainNode(ctx context.Context, node string) error {
	return f.move(ctx, "undrain", node)
}

// RemoveNode is described at DrainNode.
func (f *fakeCluster) RemoveNode(ctx context.Context, node string) error {
	return f.move(ctx, "remove", node)
}

// ReplaceNode is described at DrainNode.
func (f *fakeCluster) ReplaceNode(ctx context.Context, node string) error {
	return f.move(ctx, "replace", node)
}

// CheckDatabase implements query.Cluster.
func (f *fakeCluster) CheckDatabase(ctx context.Context, database string) (out []query.CheckReport, err error) {
	err = f.change(ctx, "check "+database, func() error {
		for i, r := range f.replicas {
			out = append(out, query.CheckReport{Node: r.Node, Replica: r.Replica, Offset: r.Applied, Checksum: "00ff", Rows: int64(i),
				Problem: map[bool]string{true: "an index entry without a row"}[i == 1]})
		}
		return nil
	})
	return out, err
}

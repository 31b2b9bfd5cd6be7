package raftlog

import (
	"github.com/lni/dragonboat/v4/config"
)

// Timing of Raft. A tick is the unit of the others, and each costs something for
// each replica, whether it has anything to do or not.
const (
	tickMs            = 50
	heartbeatTicks    = 2
	electionTicks     = 10 // least patience with a silent leader; the most is twice that
	heartbeatTicksOne = 1  // the same two where there is nobody to be patient with
	electionTicksOne  = 3
)

// shardConfig configures one replica's engine. quick is for a group of one.
func (h *Host) shardConfig(s *Shard, joined, quick bool) config.Config {
	c := config.Config{
		ShardID:             uint64(s.id),
		ReplicaID:           uint64(s.replica),
		CheckQuorum:         true,
		PreVote:             true,
		ElectionRTT:         electionTicks,
		HeartbeatRTT:        heartbeatTicks,
		OrderedConfigChange: true,
		WaitReady:           true,
		SnapshotEntries:     snapshotEntries,
		CompactionOverhead:  compactionOverhead,
		MaxInMemLogSize:     maxInMemLogBytes,
		// A replica that joined begins as a learner each time: its log makes it a
		// voter again when it has become one. The other way round would not do.
		IsNonVoting: joined,
	}
	if quick {
		c.ElectionRTT, c.HeartbeatRTT = electionTicksOne, heartbeatTicksOne
	}
	if n := h.cfg.SnapshotEntries; n > 0 {
		c.SnapshotEntries, c.CompactionOverhead = n, n/5
	}
	return c
}

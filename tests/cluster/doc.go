// Package cluster runs real servers for tests: processes of the program with
// data directories of their own, that can be killed, paused, started again and
// wiped, and a network between them that can be cut.
//
// Nodes are numbered from 1. A node dials another one only through a proxy that
// belongs to this pair and this direction, which the node is told by the flag
// --via; so cutting one direction is a partition in that direction alone. The
// tests' own clients connect to the nodes directly: a node that is cut off from
// the others still has clients, and must not tell them what is not so.
package cluster

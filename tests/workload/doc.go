// Package workload has clients that do something to a database while servers may
// be killed, restarted or cut off, and that know afterwards what must be there.
//
// A Workload is one table or two, what a client does to them, and what must hold:
// Bank (a sum), Unique (never two), Children (never an orphan), Counter (nothing
// counted is lost), Set (nothing acknowledged is lost, nothing is there that was
// not sent), Lists (a history for the judges of package check). Run lets clients
// of several of them loose on Servers, which is addresses and a way to disturb:
// one process or a cluster of three is all the same here.
//
// A transaction whose connection is lost while it commits has an unknown outcome:
// it may have happened, once.
package workload

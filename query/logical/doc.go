// Package logical turns the change log into what consumers of logical replication
// get: the changes that publications select, in the form that a consumer asks
// for.
package logical

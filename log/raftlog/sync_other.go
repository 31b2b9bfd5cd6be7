//go:build !linux

package raftlog

func (f *diskFile) syncData() error { return f.File.Sync() }

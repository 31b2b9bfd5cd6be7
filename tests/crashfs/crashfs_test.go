package crashfs

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestCopiesAmongLinks copies while others link, lock and reuse files: Pebble's own
// file system stands still for ever soon after.
func TestCopiesAmongLinks(t *testing.T) {
	const rounds = 20_000
	fs := New()
	f, err := fs.Create("a", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range rounds {
			name := fmt.Sprint("b", i%2)
			if err := fs.Link("a", name); err != nil {
				t.Error(err)
				return
			}
			if f, err = fs.ReuseForWrite(name, "c", vfs.WriteCategoryUnspecified); err != nil {
				t.Error(err)
				return
			}
			lock, err := fs.Lock("lock")
			if err != nil {
				t.Error(err)
				return
			}
			if err := lock.Close(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for range rounds {
			fs.CrashClone(vfs.CrashCloneCfg{})
		}
	})
	wg.Wait()
}

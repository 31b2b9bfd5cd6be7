package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// program is what the binary is built from.
const program = "github.com/tidemark-db/tidemark/cmd/tidemark"

// binaryDir is where the program was built, if a test needed it.
var binaryDir string

// Binary builds the program once for all tests of a run, and returns its path.
var Binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tidemark-test-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "tidemark")
	cmd := exec.Command("go", "build", "-o", path, program)
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// RemoveBinary removes what Binary has built. A test's main calls it in the end.
func RemoveBinary() error {
	if binaryDir == "" {
		return nil
	}
	return os.RemoveAll(binaryDir)
}

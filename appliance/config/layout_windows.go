package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

func defaultDataDir() string {
	base := os.Getenv("ProgramData")
	if base == "" {
		base = `C:\ProgramData`
	}
	return filepath.Join(base, "emrvault")
}

// Socket is the named pipe where verbs speak to the running appliance. Pipes
// share one name space on a machine, so the name carries a hash of the data
// folder.
func (l Layout) Socket() string {
	sum := sha256.Sum256([]byte(strings.ToLower(filepath.Clean(l.Data))))
	return `\\.\pipe\emrvault-` + hex.EncodeToString(sum[:8])
}

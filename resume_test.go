package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledFirstBackupGoesOn kills a first backup with SIGKILL after it has
// left a checkpoint. The next one, without any cache and although a prune ran
// in between, stores nothing again that the checkpoint holds, and ends with one
// whole point and no checkpoint.
func TestKilledFirstBackupGoesOn(t *testing.T) {
	t.Parallel()
	const files, size = 1600, 64 << 10
	source, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	rng := rand.New(rand.NewPCG(5, 6))
	data := make([]byte, size)
	for i := range files {
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		path := filepath.Join(source, fmt.Sprintf("病区%d", i%8), fmt.Sprintf("%d.dcm", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, t.TempDir(), "repo", "init", "-r", repo)
	cmd := program(t, t.TempDir(), nil, "repo", "backup", "--no-cache", "-r", repo, "--checkpoint", "1ms", source)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for len(points(t, repo)) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Fatal("the backup ended before it could be killed")
	}
	if listed := must(t, t.TempDir(), "repo", "points", "-r", repo, "--json"); strings.TrimSpace(listed) != "" {
		t.Errorf("a checkpoint is listed as a point: %s", listed)
	}
	must(t, t.TempDir(), "repo", "prune", "-r", repo, "--confirm")
	var again struct {
		Added int64 `json:"data_added"`
		Files int64 `json:"total_files_processed"`
	}
	text := must(t, t.TempDir(), "repo", "backup", "--no-cache", "-r", repo, "--json", source)
	if err := json.Unmarshal([]byte(text), &again); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if again.Files != files || again.Added > files*size-12<<20 {
		t.Errorf("got %d files and %d bytes stored again, want %d files and at least 12 MiB less than all %d bytes",
			again.Files, again.Added, files, files*size)
	}
	if left := points(t, repo); len(left) != 1 {
		t.Errorf("got %d snapshots, want the point alone", len(left))
	}
	must(t, t.TempDir(), "repo", "check", "-r", repo, "--read-data")
}

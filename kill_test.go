package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killRounds is how often a backup is killed: 20 for a merge, more by
// EMRVAULT_KILL_ROUNDS (./build.sh campaign asks for 1,000).
func killRounds(t *testing.T) int {
	t.Helper()
	if testing.Short() {
		return 3
	}
	text := os.Getenv("EMRVAULT_KILL_ROUNDS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("EMRVAULT_KILL_ROUNDS: got %q, want a number of rounds", text)
	}
	return n
}

// tree is a source that grows from round to round, so that each backup has
// packs, an index and a snapshot to write.
type tree struct {
	dir   string
	rng   *rand.Rand
	files map[string][]byte
}

func newTree(t *testing.T, seed uint64) *tree {
	t.Helper()
	w := &tree{dir: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 1)), files: map[string][]byte{}}
	for range 60 {
		w.put(t, 200_000)
	}
	return w
}

// put writes one more document of up to max bytes, half of it compressible.
func (w *tree) put(t *testing.T, max int) {
	t.Helper()
	name := fmt.Sprintf("患者%03d/病程-%d.xml", w.rng.IntN(40), len(w.files))
	data := make([]byte, 1+w.rng.IntN(max))
	for i := range data[:len(data)/2] {
		data[i] = byte(w.rng.Uint32())
	}
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	w.files[name] = data
}

// copyFiles remembers the tree as it is now.
func (w *tree) copyFiles() map[string][]byte {
	out := make(map[string][]byte, len(w.files))
	for k, v := range w.files {
		out[k] = v
	}
	return out
}

// snapshotIDs are the acknowledged recovery points of a repository.
func snapshotIDs(t *testing.T, repo string) []string {
	t.Helper()
	var ids []string
	for _, line := range strings.Split(must(t, t.TempDir(), "repo", "points", "-r", repo, "--json"), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var point struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &point); err != nil {
			t.Fatalf("repo points --json: %v in %q", err, line)
		}
		ids = append(ids, point.ID)
	}
	return ids
}

// wantTree restores a point and compares every file.
func wantTree(t *testing.T, repo, point, source string, files map[string][]byte) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "back")
	must(t, t.TempDir(), "repo", "restore", "-r", repo, point, "--target", target)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, source, name))
		if err != nil {
			t.Fatalf("point %s: %v", point, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("point %s: %s differs after the restore", point, name)
		}
	}
}

// TestKill kills a backup with SIGKILL at a random moment, again and again.
// After every round the repository must be sound, every acknowledged point
// restorable, and the next backup must succeed by itself: no human, no unlock.
func TestKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newTree(t, seed)
	repo := filepath.Join(t.TempDir(), "repo")
	must(t, t.TempDir(), "repo", "init", "-r", repo)

	began := time.Now()
	must(t, t.TempDir(), "repo", "backup", "-r", repo, w.dir)
	span := time.Since(began)

	known := map[string]map[string][]byte{}
	known[snapshotIDs(t, repo)[0]] = w.copyFiles()
	killed := 0
	for round := range killRounds(t) {
		for range 30 {
			w.put(t, 300_000)
		}
		if killBackup(t, repo, w.dir, time.Duration(w.rng.Int64N(int64(span)+1))) {
			killed++
		}
		afterKill(t, repo, w, known, round)
	}
	t.Logf("%d of %d backups were killed before their end", killed, killRounds(t))
	if killed == 0 {
		t.Error("no backup was killed in time; the test proved nothing")
	}
	restic(t, repo, "check", "--read-data")
	for id, files := range known {
		wantTree(t, repo, id, w.dir, files)
	}
}

// killBackup starts a backup and kills it after a while; it tells whether the
// backup was still running.
func killBackup(t *testing.T, repo, source string, after time.Duration) bool {
	t.Helper()
	cmd := program(t, t.TempDir(), nil, "repo", "backup", "-r", repo, source)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the backup: %v", err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil && !strings.Contains(err.Error(), "already finished") {
		t.Fatalf("kill the backup: %v", err)
	}
	err := cmd.Wait()
	return err != nil
}

// afterKill looks at the repository as the next night finds it.
func afterKill(t *testing.T, repo string, w *tree, known map[string]map[string][]byte, round int) {
	t.Helper()
	must(t, t.TempDir(), "repo", "check", "-r", repo, "--read-data")
	present := snapshotIDs(t, repo)
	for id := range known {
		if !strings.Contains(strings.Join(present, " "), id) {
			t.Fatalf("round %d: point %s was acknowledged and is gone", round, id)
		}
	}
	wantTree(t, repo, "latest", w.dir, nil)
	must(t, t.TempDir(), "repo", "backup", "-r", repo, w.dir)
	ids := snapshotIDs(t, repo)
	if len(ids) <= len(present) {
		t.Fatalf("round %d: the backup after the kill left no point", round)
	}
	newest := ids[len(ids)-1]
	wantTree(t, repo, newest, w.dir, w.files)
	if len(known) < 5 { // enough to see that old points stay whole
		known[newest] = w.copyFiles()
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
		return 2
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

// tree is a source that changes from round to round, so that each backup has
// packs, an index and a snapshot to write.
type tree struct {
	dir   string
	rng   *rand.Rand
	count int
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

// put writes one more document of up to most bytes, half of it compressible.
func (w *tree) put(t *testing.T, most int) {
	t.Helper()
	w.count++
	name := fmt.Sprintf("患者%03d/病程-%d.xml", w.rng.IntN(40), w.count)
	data := make([]byte, 1+w.rng.IntN(most))
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

// change lets a day go by: some documents go, others come, one of them so large
// that it fills packs of its own.
func (w *tree) change(t *testing.T, large bool) {
	t.Helper()
	gone := 0
	for name, data := range w.files {
		if gone++; gone > 20 && len(data) < 1_000_000 {
			continue
		}
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
		delete(w.files, name)
	}
	for range 20 {
		w.put(t, 200_000)
	}
	if large {
		w.put(t, 60_000_000)
	}
}

// content is what the files of a repository are called, below each folder.
// Half-written ones count: they tell how far a backup has come.
func content(t *testing.T, repo, folder string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(repo, folder), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			names[d.Name()] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// points are the recovery points of a repository: the names of its snapshots.
func points(t *testing.T, repo string) map[string]bool {
	t.Helper()
	names := content(t, repo, "snapshots")
	for name := range names {
		if len(name) != 64 { // half written
			delete(names, name)
		}
	}
	return names
}

// added are the names that are in after and not in before.
func added(before, after map[string]bool) (names []string) {
	for name := range after {
		if !before[name] {
			names = append(names, name)
		}
	}
	return names
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

// stages are what a backup is doing when it is killed: one of its first files
// below that folder has just appeared, or any moment of all.
var stages = []string{"locks", "data", "index", "snapshots", "any moment"}

// killing is a repository whose backups are killed.
type killing struct {
	*tree
	repo  string
	span  time.Duration                // of a whole backup
	known map[string]map[string][]byte // acknowledged points and what is in them
	hit   map[string]int               // how far the killed backups had come
}

// TestKill kills a backup with SIGKILL, again and again: at any moment, and
// whenever it begins to write its lock, packs, index and snapshot. After every
// round the repository must be sound, every acknowledged point restorable, and
// the next backup must succeed by itself: no human, no unlock.
func TestKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killing{
		tree: newTree(t, seed), repo: filepath.Join(t.TempDir(), "repo"),
		known: map[string]map[string][]byte{}, hit: map[string]int{},
	}
	must(t, t.TempDir(), "repo", "init", "-r", k.repo)
	k.backup(t)
	for round := range killRounds(t) {
		stage := stages[round%len(stages)]
		k.change(t, stage == "data")
		before := points(t, k.repo)
		k.kill(t, stage)
		k.aftermath(t, round, before)
		k.backup(t)
	}
	t.Logf("killed %v", k.hit)
	if rounds := killRounds(t); rounds >= 20 && (len(k.hit) < 4 || k.hit["too late"] > rounds/2) {
		t.Errorf("got backups killed at %v, want most of them before their end, at different stages", k.hit)
	}
	k.final(t)
}

// backup makes a point that is acknowledged.
func (k *killing) backup(t *testing.T) {
	t.Helper()
	before, began := points(t, k.repo), time.Now()
	must(t, t.TempDir(), "repo", "backup", "-r", k.repo, k.dir)
	k.span = time.Since(began)
	news := added(before, points(t, k.repo))
	if len(news) != 1 {
		t.Fatalf("a backup added the points %v, want one", news)
	}
	k.known[news[0]] = maps.Clone(k.files)
}

// kill starts a backup and kills it at a stage.
func (k *killing) kill(t *testing.T, stage string) {
	t.Helper()
	before := map[string]map[string]bool{}
	for _, folder := range stages[:4] {
		before[folder] = content(t, k.repo, folder)
	}
	cmd := program(t, t.TempDir(), nil, "repo", "backup", "-r", k.repo, k.dir)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the backup: %v", err)
	}
	later := time.Millisecond
	switch stage {
	case "any moment":
		later = k.span
	case "locks": // a backup waits for others who lock at the same moment, then writes
		later = k.span / 2
		fallthrough
	default:
		deadline := time.Now().Add(time.Minute)
		for len(added(before[stage], content(t, k.repo, stage))) == 0 && time.Now().Before(deadline) {
			time.Sleep(50 * time.Microsecond)
		}
	}
	time.Sleep(time.Duration(k.rng.Int64N(int64(later))))
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("kill the backup: %v", err)
	}
	if cmd.Wait() == nil {
		k.hit["too late"]++
		return
	}
	reached := "before it wrote"
	for _, folder := range stages[:4] {
		if len(added(before[folder], content(t, k.repo, folder))) > 0 {
			reached = "at " + folder
		}
	}
	k.hit[reached]++
}

// aftermath looks at the repository as the next night finds it.
func (k *killing) aftermath(t *testing.T, round int, before map[string]bool) {
	t.Helper()
	must(t, t.TempDir(), "repo", "check", "-r", k.repo, "--read-data")
	now := points(t, k.repo)
	for id := range k.known {
		if !now[id] {
			t.Fatalf("round %d: point %s was acknowledged and is gone", round, id)
		}
	}
	// A point that nobody acknowledged may be there; then it is whole.
	for _, id := range added(before, now) {
		wantTree(t, k.repo, id, k.dir, k.files)
		return
	}
	id := k.someKnown()
	wantTree(t, k.repo, id, k.dir, k.known[id])
}

// someKnown picks an acknowledged point.
func (k *killing) someKnown() string {
	ids := slices.Sorted(maps.Keys(k.known))
	return ids[k.rng.IntN(len(ids))]
}

// final lets the peer look, and restores points of the whole campaign.
func (k *killing) final(t *testing.T) {
	t.Helper()
	for range 5 {
		id := k.someKnown()
		wantTree(t, k.repo, id, k.dir, k.known[id])
	}
	listed := strings.Count(must(t, t.TempDir(), "repo", "points", "-r", k.repo, "--json"), "\n")
	if listed != len(points(t, k.repo)) {
		t.Errorf("repo points lists %d points, want %d", listed, len(points(t, k.repo)))
	}
	restic(t, k.repo, "check", "--read-data")
}

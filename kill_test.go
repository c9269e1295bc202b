package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rounds is how often something is tried: so many times for a merge, more by
// the variable that ./build.sh campaign sets, and few with -short.
func rounds(t *testing.T, variable string, usual int) int {
	t.Helper()
	if testing.Short() {
		return min(usual, 2)
	}
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: got %q, want a number of rounds", variable, text)
	}
	return n
}

// killRounds is how often each verb is killed.
func killRounds(t *testing.T) int {
	t.Helper()
	return rounds(t, "EMRVAULT_KILL_ROUNDS", 20)
}

// figures logs a line that ./build.sh campaign prints at its end.
func figures(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figures: "+format, args...)
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

// stage is what a verb is doing when it is killed.
type stage struct {
	name  string
	watch func(t *testing.T) (reached func() bool) // begins to look; nil: at any moment
	later time.Duration                            // up to so long after it was reached; 0: a millisecond
}

// came is reached when so many files more lie below a folder.
func came(dir string, least int) func(*testing.T) func() bool {
	return func(t *testing.T) func() bool {
		before := content(t, dir, ".")
		return func() bool { return len(added(before, content(t, dir, "."))) >= least }
	}
}

// went is reached when a file that lay there has gone.
func went(dir string) func(*testing.T) func() bool {
	return func(t *testing.T) func() bool {
		before := content(t, dir, ".")
		return func() bool { return len(added(content(t, dir, "."), before)) > 0 }
	}
}

// passed is reached when a file has come and gone again.
func passed(dir, name string) func(*testing.T) func() bool {
	return func(*testing.T) func() bool {
		seen := false
		return func() bool {
			_, err := os.Lstat(filepath.Join(dir, name))
			seen = seen || err == nil
			return seen && err != nil
		}
	}
}

// killing is a repository whose user is killed, again and again.
type killing struct {
	*tree
	repo   string
	stages []stage       // in the order in which the verb comes to them
	span   time.Duration // the verb when nobody kills it

	known map[string]map[string][]byte // acknowledged points and what is in them
	hit   map[string]int               // how far those that were killed had come
	died  int
	wait  time.Duration // the longest that a next run took to begin
}

// newKilling makes a repository with one point.
func newKilling(t *testing.T, stages func(repo string) []stage) *killing {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killing{
		tree: newTree(t, seed), repo: filepath.Join(t.TempDir(), "repo"), span: time.Second,
		known: map[string]map[string][]byte{}, hit: map[string]int{},
	}
	k.stages = stages(k.repo)
	must(t, t.TempDir(), "repo", "init", "-r", k.repo)
	k.backup(t)
	return k
}

// stage is where the verb is killed in a round: at each in turn, and after that
// at any moment.
func (k *killing) stage(round int) stage {
	if i := round % (len(k.stages) + 1); i < len(k.stages) {
		return k.stages[i]
	}
	return stage{}
}

// watch begins to look for all stages.
func (k *killing) watch(t *testing.T) (reached []func() bool) {
	t.Helper()
	for _, s := range k.stages {
		reached = append(reached, s.watch(t))
	}
	return reached
}

// child is the program at work.
type child struct {
	*exec.Cmd
	said bytes.Buffer
	done chan struct{}
	err  error // when it is done
}

func startProgram(t *testing.T, args ...string) *child {
	t.Helper()
	c := &child{Cmd: program(t, t.TempDir(), nil, args...), done: make(chan struct{})}
	c.Stdout, c.Stderr = &c.said, &c.said
	if err := c.Start(); err != nil {
		t.Fatalf("start %v: %v", args, err)
	}
	go func() {
		defer close(c.done)
		c.err = c.Wait()
	}()
	return c
}

// until waits for a moment, or for the end of the program.
func (c *child) until(pause time.Duration, reached func() bool) {
	for !reached() {
		select {
		case <-c.done:
			return
		case <-time.After(pause):
		}
	}
}

// kill runs a verb and kills it at a stage.
func (k *killing) kill(t *testing.T, at stage, args ...string) {
	t.Helper()
	all, here, later := k.watch(t), func() bool { return true }, k.span
	if at.watch != nil {
		here, later = at.watch(t), max(at.later, time.Millisecond)
	}
	c := startProgram(t, args...)
	c.until(50*time.Microsecond, here)
	time.Sleep(time.Duration(k.rng.Int64N(int64(later))))
	if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("kill %v: %v", args, err)
	}
	if <-c.done; c.err == nil {
		k.hit["too late"]++
		return
	}
	k.died++
	reached := "before it wrote"
	for i, s := range k.stages {
		if all[i]() {
			reached = "at " + s.name
		}
	}
	k.hit[reached]++
}

// again runs the verb once more, as the next night does: nobody has helped, it
// begins to work within five seconds, and it succeeds.
func (k *killing) again(t *testing.T, args ...string) string {
	t.Helper()
	all, began := k.watch(t), time.Now()
	c := startProgram(t, args...)
	c.until(time.Millisecond, func() bool {
		return slices.ContainsFunc(all, func(reached func() bool) bool { return reached() })
	})
	begun := time.Since(began)
	if <-c.done; c.err != nil {
		t.Fatalf("after a kill emrvault %v: %v\n%s", args, c.err, c.said.String())
	}
	k.span, k.wait = time.Since(began), max(k.wait, begun)
	if begun > 5*time.Second && !starved() {
		t.Errorf("emrvault %v took %s to begin, want less than 5 s", args, begun)
	}
	return c.said.String()
}

// starved tells whether programs wait for this machine's processors more often
// than not; then seconds say nothing about ours.
func starved() bool {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return false
	}
	var share float64
	_, err = fmt.Sscanf(string(text), "some avg10=%f", &share)
	return err == nil && share > 50
}

// backup makes a point that is acknowledged.
func (k *killing) backup(t *testing.T) {
	t.Helper()
	before := points(t, k.repo)
	k.again(t, "repo", "backup", "-r", k.repo, k.dir)
	news := added(before, points(t, k.repo))
	if len(news) != 1 {
		t.Fatalf("a backup added the points %v, want one", news)
	}
	k.known[news[0]] = maps.Clone(k.files)
}

// aftermath looks at the repository as the next night finds it: every byte
// passes the check, every acknowledged point is there, and one is restored.
func (k *killing) aftermath(t *testing.T, before map[string]bool) {
	t.Helper()
	must(t, t.TempDir(), "repo", "check", "-r", k.repo, "--read-data")
	now := points(t, k.repo)
	for id := range k.known {
		if !now[id] {
			t.Fatalf("point %s was acknowledged and is gone", id)
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

// forget keeps the newest points and lets the others go; with prune their data, too.
func (k *killing) forget(t *testing.T, keep int, more ...string) {
	t.Helper()
	must(t, t.TempDir(), append([]string{"repo", "forget", "-r", k.repo, "--keep-last", strconv.Itoa(keep), "--confirm"}, more...)...)
	left := points(t, k.repo)
	maps.DeleteFunc(k.known, func(id string, _ map[string][]byte) bool { return !left[id] })
	if len(left) != keep || len(k.known) == 0 {
		t.Fatalf("forget left %d points, %d of them acknowledged, want %d", len(left), len(k.known), keep)
	}
}

// tidy keeps a long campaign from growing without end.
func (k *killing) tidy(t *testing.T, round int) {
	t.Helper()
	if round%20 == 19 {
		k.backup(t) // an acknowledged one is among those that stay
		k.forget(t, 5, "--prune")
	}
}

// final lets the peer look, and restores points of the whole campaign.
func (k *killing) final(t *testing.T) {
	t.Helper()
	for range 3 {
		id := k.someKnown()
		wantTree(t, k.repo, id, k.dir, k.known[id])
	}
	listed := strings.Count(must(t, t.TempDir(), "repo", "points", "-r", k.repo, "--json"), "\n")
	if listed != len(points(t, k.repo)) {
		t.Errorf("repo points lists %d points, want %d", listed, len(points(t, k.repo)))
	}
	restic(t, k.repo, "check", "--read-data")
	k.tell(t)
}

// tell gives the figures, and wants the kills to have met the verb at work.
func (k *killing) tell(t *testing.T) {
	t.Helper()
	all := killRounds(t)
	figures(t, "%s: %d rounds of kill -9, dead %d times, %v; the slowest next run began after %d ms",
		t.Name(), all, k.died, k.hit, k.wait.Milliseconds())
	if all >= 20 && (len(k.hit) < 4 || k.hit["too late"] > all/2) {
		t.Errorf("killed %v, want most of them before their end, at different stages", k.hit)
	}
}

// TestKill kills a backup with SIGKILL, again and again: at any moment, and
// whenever it begins to write its lock, packs, index and snapshot. After every
// round the repository must be sound, every acknowledged point restorable, and
// the next backup must succeed by itself: no human, no unlock.
func TestKill(t *testing.T) {
	t.Parallel()
	k := newKilling(t, func(repo string) (list []stage) {
		// A backup waits for others who lock at the same moment, then writes.
		later := map[string]time.Duration{"locks": 300 * time.Millisecond}
		for _, name := range []string{"locks", "data", "index", "snapshots"} {
			list = append(list, stage{name, came(filepath.Join(repo, name), 1), later[name]})
		}
		return list
	})
	for round := range killRounds(t) {
		at := k.stage(round)
		k.change(t, at.name == "data")
		before := points(t, k.repo)
		k.kill(t, at, "repo", "backup", "-r", k.repo, k.dir)
		k.aftermath(t, before)
		k.backup(t)
		k.tidy(t, round)
	}
	k.final(t)
}

// TestKillPrune kills a prune: at its locks, while it copies, while it writes
// the new index and removes the old one, and while packs go. Nothing that a
// point needs is gone, and the next prune ends what was begun.
func TestKillPrune(t *testing.T) {
	t.Parallel()
	k := newKilling(t, func(repo string) []stage {
		locks, data, index := filepath.Join(repo, "locks"), filepath.Join(repo, "data"), filepath.Join(repo, "index")
		return []stage{
			{"locks", came(locks, 1), 300 * time.Millisecond}, {"copied packs", came(data, 1), 0}, {"new index", came(index, 1), 0},
			{"old index gone", went(index), 250 * time.Millisecond}, {"packs gone", went(data), 0},
		}
	})
	prune := []string{"repo", "prune", "-r", k.repo, "--confirm", "--json"}
	for round := range killRounds(t) {
		k.change(t, round%5 == 1)
		k.backup(t)
		if len(k.known) > 3 {
			k.forget(t, 3)
		}
		k.kill(t, k.stage(round), prune...)
		k.aftermath(t, points(t, k.repo))
		if text := k.again(t, prune...); !strings.Contains(text, `"packs_left":0`) {
			t.Errorf("round %d: a prune in peace has left something: %s", round, text)
		}
	}
	must(t, t.TempDir(), "repo", "check", "-r", k.repo, "--read-data")
	k.final(t)
}

// TestKillCopy kills a copy to a second repository. What was acknowledged in
// either stays, and the next copy goes on by itself.
func TestKillCopy(t *testing.T) {
	t.Parallel()
	two := filepath.Join(t.TempDir(), "two")
	k := newKilling(t, func(repo string) (list []stage) {
		later := map[string]time.Duration{"locks": 200 * time.Millisecond, "data": 20 * time.Millisecond}
		list = append(list, stage{"locks of the first", came(filepath.Join(repo, "locks"), 1), 0})
		for _, name := range []string{"locks", "data", "index", "snapshots"} {
			list = append(list, stage{name, came(filepath.Join(two, name), 1), later[name]})
		}
		return list
	})
	must(t, t.TempDir(), "repo", "init", "-r", two)
	words := []string{"repo", "copy", "-r", two, "--from", k.repo}
	copied := map[string]map[string][]byte{} // acknowledged in the second repository
	for round := range killRounds(t) {
		k.change(t, round%6 == 2)
		k.backup(t)
		k.kill(t, k.stage(round), words...)
		k.aftermath(t, points(t, k.repo))
		must(t, t.TempDir(), "repo", "check", "-r", two, "--read-data")
		k.again(t, words...)
		k.secondHas(t, two, copied)
		if round%20 == 19 {
			k.forget(t, 5, "--prune")
			other := *k
			other.repo, other.known = two, copied
			other.forget(t, 5, "--prune")
		}
	}
	restic(t, two, "check", "--read-data")
	k.final(t)
}

// secondHas wants every point of the first repository in the second, and all
// that was there before; the newest is restored from there.
func (k *killing) secondHas(t *testing.T, two string, copied map[string]map[string][]byte) {
	t.Helper()
	found, newest := map[string]string{}, ""
	for line := range strings.Lines(must(t, t.TempDir(), "repo", "points", "-r", two, "--json")) {
		var p struct{ ID, Original string }
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		found[p.Original], newest = p.ID, p.ID
		if files, ok := k.known[p.Original]; ok {
			copied[p.ID] = files
		}
	}
	there := points(t, two)
	for id := range copied {
		if !there[id] {
			t.Fatalf("point %s was acknowledged in the second repository and is gone", id)
		}
	}
	for id := range k.known {
		if found[id] == "" {
			t.Fatalf("point %s was not copied", id)
		}
	}
	wantTree(t, two, newest, k.dir, copied[newest])
}

// TestKillRestore kills a restore. The next one goes on with it and ends with
// every file as it was; the repository has not noticed.
func TestKillRestore(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "back")
	k := newKilling(t, func(repo string) []stage {
		return []stage{
			{"locks", came(filepath.Join(repo, "locks"), 1), 0}, {"the first files", came(target, 2), 0},
			{"half of the files", came(target, 40), 0}, {"all files", came(target, 60), 20 * time.Millisecond},
			{"the end", passed(target, ".emrvault-restore-unfinished"), 0},
		}
	})
	for round := range killRounds(t) {
		k.change(t, round%3 == 1)
		k.backup(t)
		words := []string{"repo", "restore", "-r", k.repo, "latest", "--target", target, "--resume"}
		if round%2 == 0 {
			words = append(words, "--verify")
		}
		k.kill(t, k.stage(round), words...)
		must(t, t.TempDir(), "repo", "check", "-r", k.repo, "--read-data")
		k.again(t, words...)
		k.wantFiles(t, filepath.Join(target, k.dir))
		if round%4 != 3 { // else the next one restores over what is there
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
		}
		k.tidy(t, round)
	}
	k.final(t)
}

// wantFiles compares a restored folder with the source as it is now.
func (k *killing) wantFiles(t *testing.T, dir string) {
	t.Helper()
	for name, want := range k.files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s after the restore went on: got %d bytes, %v, want %d equal ones", name, len(got), err, len(want))
		}
	}
}

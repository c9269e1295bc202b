package backupcmd

import (
	"bytes"
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
)

// clinic is a repository with three points, and a second copy of it with
// another password.
type clinic struct {
	*console
	one, two, src string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{console: newConsole(t)}
	c.one, c.two, c.src = c.path("one"), c.path("two"), c.path("src")
	random := rand.NewChaCha8([32]byte{7})
	for i := range 6 {
		data := make([]byte, 40_000*(i+1))
		_, _ = random.Read(data)
		c.file(fmt.Sprintf("src/folder %d/病历.bin", i%3), string(data))
		c.file(fmt.Sprintf("src/folder %d/%d.txt", i%3, i), strings.Repeat("a note\n", 50*i))
	}
	big := make([]byte, 5<<20)
	_, _ = random.Read(big)
	c.file("src/big.db", string(big))
	c.env["EMRVAULT_FROM_PASSWORD"] = "other"
	c.want(0, "repo", "init", "-r", c.one)
	for i := range 3 {
		c.file("src/today.txt", fmt.Sprint("day ", i))
		c.want(0, "repo", "backup", "-r", c.one, c.src)
	}
	c.swapped(func() {
		c.want(0, "repo", "init", "-r", c.two)
		c.want(0, "repo", "copy", "-r", c.two, "--from", c.one)
	})
	return c
}

// fresh gives the same clinic with repositories of its own.
func (c *clinic) fresh(t *testing.T) *clinic {
	t.Helper()
	own := *c.console
	own.t, own.dir, own.env = t, t.TempDir(), maps.Clone(c.env)
	twin := &clinic{console: &own, one: own.path("one"), two: c.two, src: c.src}
	if err := os.CopyFS(twin.one, os.DirFS(c.one)); err != nil {
		t.Fatal(err)
	}
	return twin
}

// swapped runs fn with the passwords of the two repositories changed over.
func (c *clinic) swapped(fn func()) {
	turn := func() {
		c.env["EMRVAULT_PASSWORD"], c.env["EMRVAULT_FROM_PASSWORD"] = c.env["EMRVAULT_FROM_PASSWORD"], c.env["EMRVAULT_PASSWORD"]
	}
	turn()
	defer turn()
	fn()
}

// files lists what lies below a folder of a repository, the largest first.
func (c *clinic) files(repo, below string) (list []string) {
	c.t.Helper()
	sizes := map[string]int64{}
	err := filepath.WalkDir(filepath.Join(repo, below), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			sizes[name] = info.Size()
			list = append(list, name)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b string) int { return int(sizes[b] - sizes[a]) })
	return list
}

// hurt changes a file of a repository; nil bytes remove it.
func (c *clinic) hurt(name string, fn func([]byte) []byte) {
	c.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		c.t.Fatal(err)
	}
	if data = fn(data); data == nil {
		return
	}
	if err := os.WriteFile(name, data, 0o400); err != nil {
		c.t.Fatal(err)
	}
}

func flipped(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 4; return b }
}

func lost([]byte) []byte { return nil }

func halved(b []byte) []byte { return b[:len(b)/2] }

// stock asks restic for its opinion.
func (c *clinic) stock(password, repo string) {
	c.t.Helper()
	binary := os.Getenv("RESTIC_BIN")
	if binary == "" {
		binary = "restic"
	}
	path, err := exec.LookPath(binary)
	if err != nil {
		c.t.Log("restic is not installed, its opinion is not asked: `apt-get install restic`, or name a binary in RESTIC_BIN")
		return
	}
	cmd := exec.CommandContext(c.t.Context(), path, "-r", repo, "--no-cache", "check", "--read-data")
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Errorf("restic check: %v\n%s", err, out)
	}
}

// back restores the newest point and compares it with the source.
func (c *clinic) back() {
	c.t.Helper()
	target := c.path("back")
	if err := os.RemoveAll(target); err != nil {
		c.t.Fatal(err)
	}
	c.want(0, "repo", "restore", "-r", c.one, "latest", "--target", target, "--verify")
	for _, name := range c.files(c.src, "") {
		want, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(target, c.src, strings.TrimPrefix(name, c.src)))
		if err != nil || !bytes.Equal(got, want) {
			c.t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
}

// wounds are what happens to repositories.
var wounds = []struct {
	name   string
	hurt   func(c *clinic)
	points bool // points lose something when there is no second copy
}{
	{"index file flipped", func(c *clinic) { c.hurt(c.files(c.one, "index")[0], flipped(60)) }, false},
	{"index file cut", func(c *clinic) { c.hurt(c.files(c.one, "index")[0], halved) }, false},
	{"all index files lost", func(c *clinic) {
		for _, name := range c.files(c.one, "index") {
			c.hurt(name, lost)
		}
	}, false},
	{"pack flipped at its begin", func(c *clinic) { c.hurt(c.files(c.one, "data")[0], flipped(5)) }, true},
	{"pack flipped in its header", func(c *clinic) { c.hurt(c.files(c.one, "data")[0], flipped(-60)) }, false},
	{"pack cut", func(c *clinic) { c.hurt(c.files(c.one, "data")[0], halved) }, true},
	{"pack lost", func(c *clinic) { c.hurt(c.files(c.one, "data")[0], lost) }, true},
	{"pack of trees lost", func(c *clinic) { c.hurt(c.files(c.one, "data")[1], lost) }, true},
	{"pack and index flipped", func(c *clinic) {
		c.hurt(c.files(c.one, "data")[0], flipped(1<<20))
		c.hurt(c.files(c.one, "index")[0], flipped(33))
	}, true},
	{"every pack flipped", func(c *clinic) {
		for i, name := range c.files(c.one, "data") {
			c.hurt(name, flipped(100*i))
		}
	}, true},
}

func TestEveryWoundHealsWithASecondCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("every damage and every repair: run without -short")
	}
	origin := newClinic(t)
	for _, w := range wounds {
		t.Run(w.name, func(t *testing.T) {
			c := origin.fresh(t)
			w.hurt(c)
			c.want(0, "repo", "repair", "packs", "-r", c.one, "--from", c.two, "--confirm")
			c.want(0, "repo", "check", "-r", c.one, "--read-data")
			c.stock("geheim", c.one)
			c.back()
		})
	}
}

func TestEveryWoundClosesWithoutASecondCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("every damage and every repair: run without -short")
	}
	origin := newClinic(t)
	for _, w := range wounds {
		t.Run(w.name, func(t *testing.T) {
			c := origin.fresh(t)
			w.hurt(c)
			if out := c.want(1, "repo", "check", "-r", c.one, "--read-data"); w.points && !strings.Contains(out, "lost") {
				t.Errorf("check does not say what is lost:\n%s", out)
			}
			c.want(0, "repo", "repair", "index", "-r", c.one)
			code, again := 0, 0
			if w.points {
				code, again = 3, 2
			}
			c.want(code, "repo", "repair", "packs", "-r", c.one, "--confirm")
			c.want(again, "repo", "repair", "snapshots", "-r", c.one)
			c.want(0, "repo", "repair", "snapshots", "-r", c.one, "--confirm")
			c.want(0, "repo", "check", "-r", c.one, "--read-data")
			c.stock("geheim", c.one)
			c.want(0, "repo", "backup", "-r", c.one, c.src)
			c.stock("geheim", c.one)
			c.back()
		})
	}
}

func TestRepairShowsFirst(t *testing.T) {
	c := newClinic(t)
	pack := c.files(c.one, "data")[0]
	c.hurt(pack, flipped(3<<20))
	before := c.files(c.one, "")
	out := c.want(2, "repo", "repair", "packs", "-r", c.one)
	if !strings.Contains(out, "lost in part: ") || !strings.Contains(out, "3 points from ") {
		t.Errorf("got\n%s", out)
	}
	if after := c.files(c.one, ""); !slices.Equal(before, after) {
		t.Error("something was changed")
	}
	c.want(2, "repo", "repair", "packs", "-r", c.one, "no-pack")
	c.want(2, "repo", "repair", "packs", "-r", c.one, filepath.Base(pack))
	c.want(12, "repo", "repair", "packs", "-r", c.one, "--from", c.one)
	c.want(10, "repo", "repair", "packs", "-r", c.one, "--from", c.path("nowhere"))
}

// A point that was written anew says what it lost and gives the rest.
func TestRepairedPointTellsTheTruth(t *testing.T) {
	c := newClinic(t)
	c.hurt(c.files(c.one, "data")[0], flipped(3<<20))
	c.want(3, "repo", "repair", "packs", "-r", c.one, "--confirm")
	c.want(0, "repo", "repair", "snapshots", "-r", c.one, "--confirm")
	list := c.want(0, "repo", "ls", "-r", c.one, "latest")
	damaged := ""
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, ".damaged") {
			damaged = line
		}
	}
	whole := strings.TrimSuffix(damaged, ".damaged")
	if damaged == "" || strings.Contains(list, whole+"\n") || !strings.Contains(list, "/LOST-FILES.txt") {
		t.Fatalf("got\n%s", list)
	}
	if record := c.want(0, "repo", "dump", "-r", c.one, "latest", "LOST-FILES.txt"); !strings.Contains(record, strings.TrimPrefix(whole, "/")) {
		t.Errorf("%s is not in the record:\n%s", whole, record)
	}
	got, want := c.want(0, "repo", "dump", "-r", c.one, "latest", damaged), ""
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if want = string(data); len(got) != len(want) || got == want {
		t.Errorf("got %d bytes, want %d, some of them zeros", len(got), len(want))
	}
	same := 0
	for i := range min(len(got), len(want)) {
		if got[i] == want[i] {
			same++
		}
	}
	if len(want) > 1<<20 && same < len(want)/2 {
		t.Errorf("only %d of %d bytes are in their place", same, len(want))
	}
	if points := c.want(0, "repo", "points", "-r", c.one, "--tag", "repaired", "--json"); strings.Count(points, "\n") != 3 {
		t.Errorf("got\n%s", points)
	}
	if out := c.want(0, "repo", "repair", "snapshots", "-r", c.one); !strings.Contains(out, "No point") {
		t.Errorf("got\n%s", out)
	}
}

// A repair takes what the last check found instead of reading everything anew.
func TestRepairQuickTakesWhatTheCheckFound(t *testing.T) {
	c := newClinic(t)
	c.env["EMRVAULT_CACHE_DIR"] = c.path("cache")
	c.hurt(c.files(c.one, "data")[0], flipped(3<<20))
	c.want(0, "repo", "repair", "packs", "-r", c.one, "--quick")
	c.want(1, "repo", "check", "-r", c.one, "--read-data")
	c.want(2, "repo", "repair", "packs", "-r", c.one, "--quick")
	c.want(0, "repo", "repair", "packs", "-r", c.one, "--quick", "--from", c.two, "--confirm")
	c.want(0, "repo", "check", "-r", c.one, "--read-data")
	c.want(0, "repo", "repair", "packs", "-r", c.one, "--quick")
}

// TestRandomFlipsHeal flips bits of packs and index files at random; with a
// second copy every file comes back byte for byte, and restic agrees.
func TestRandomFlipsHeal(t *testing.T) {
	rounds := 6
	if testing.Short() {
		t.Skip("repairs the real files: run without -short")
	}
	if n, err := strconv.Atoi(os.Getenv("EMRVAULT_FLIP_ROUNDS")); err == nil {
		rounds = n
	}
	origin := newClinic(t)
	random := rand.New(rand.NewPCG(2026, 11))
	for round := range rounds {
		c := origin.fresh(t)
		files := append(c.files(c.one, "data"), c.files(c.one, "index")...)
		for range 1 + random.IntN(6) {
			c.hurt(files[random.IntN(len(files))], flipped(random.IntN(8<<20)))
		}
		c.want(0, "repo", "repair", "packs", "-r", c.one, "--from", c.two, "--confirm")
		c.want(0, "repo", "check", "-r", c.one, "--read-data")
		c.stock("geheim", c.one)
		c.back()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

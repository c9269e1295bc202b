package backupcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage/local"
)

// Our forget and restic's keep the same points of the same repository.
func TestForgetKeepsWhatResticKeeps(t *testing.T) {
	t.Parallel()
	bin := os.Getenv("RESTIC_BIN")
	if bin == "" {
		var err error
		if bin, err = exec.LookPath("restic"); err != nil {
			t.Skip("SKIPPED: no restic binary; install Debian's package restic or set RESTIC_BIN")
		}
	}
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	agePoints(t, repo)
	for _, policy := range [][]string{
		{"--keep-last", "3"}, {"--keep-daily", "5"}, {"--keep-weekly", "3"}, {"--keep-monthly", "6"}, {"--keep-yearly", "4"},
		{"--keep-hourly", "4", "--keep-daily", "3"}, {"--keep-within", "20d", "--keep-yearly", "1"},
		{"--keep-last", "2", "--keep-daily", "7", "--keep-weekly", "4", "--keep-monthly", "12", "--keep-yearly", "3"},
		{"--keep-within-hourly", "2d", "--keep-within-daily", "10d"}, {"--keep-within-weekly", "2m", "--keep-within-monthly", "1y"},
		{"--keep-within-yearly", "2y6m"}, {"--keep-tag", "drill", "--keep-tag", "month,audit"},
		{"-l", "1", "-H", "2", "-d", "3", "-w", "2", "-m", "3", "-y", "2", "-g", "host"},
		{"--keep-daily", "2", "--group-by", "host,tags"}, {"--keep-monthly", "2", "--group-by", ""},
		{"--keep-daily", "3", "--keep-within-yearly", "1y", "--keep-tag", "drill", "--group-by", "paths,tags"},
	} {
		t.Run(strings.Join(policy, " "), func(t *testing.T) {
			if ours, theirs := c.kept(repo, policy), resticKept(t, bin, repo, policy); !slices.Equal(ours, theirs) {
				t.Errorf("kept: got %q, want restic's %q", ours, theirs)
			}
		})
	}
}

// agePoints makes snapshots of some years, all of the same empty place.
func agePoints(t *testing.T, dir string) {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, "geheim")
	if err != nil {
		t.Fatal(err)
	}
	newest := time.Date(2026, 11, 22, 1, 30, 0, 0, time.Local)
	first, err := archive.Run(t.Context(), repo, archive.Options{Host: "h", Time: newest}, func(ctx context.Context, sink source.Sink) error {
		return sink.Put(ctx, source.Entry{Path: "/f", Size: 1}, strings.NewReader("x"))
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []int{0, 1, 1, 2, 5, 6, 7, 20, 30, 31, 60, 62, 180, 200, 366, 400, 800} {
		sn := *first.Snapshot
		sn.Time = newest.AddDate(0, 0, -step).Add(-time.Duration(i+1) * 40 * time.Minute)
		sn.Tags = [][]string{nil, {"drill"}, {"month"}, {"audit", "month"}}[i%4]
		if err := snapshot.Save(t.Context(), repo, &sn); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *console) kept(repo string, policy []string) []string {
	c.t.Helper()
	out := c.want(0, append([]string{"repo", "forget", "-r", repo, "--dry-run", "--json"}, policy...)...)
	var ids []string
	for line := range strings.Lines(out) {
		var d decisionJSON
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			c.t.Fatalf("%v in %q", err, line)
		}
		if d.Keep {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func resticKept(t *testing.T, bin, repo string, policy []string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, append([]string{"--no-cache", "-r", repo, "forget", "--dry-run", "--json"}, policy...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=geheim")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("restic: %v", err)
	}
	start := strings.IndexByte(string(out), '[')
	var groups []struct{ Keep []struct{ ID string } }
	if start < 0 || json.NewDecoder(strings.NewReader(string(out[start:]))).Decode(&groups) != nil {
		t.Fatalf("restic said %q", fmt.Sprint(string(out)))
	}
	var ids []string
	for _, g := range groups {
		for _, s := range g.Keep {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

package run_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/source"
)

// A repository whose packs vanish behind its back gets a whole new point, and
// a ticket.
func TestLostPacksAreTold(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 9})
	b.Backup("docs")
	packs, err := filepath.Glob(b.Path("repository", "data", "*", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("got packs %v, %v", packs, err)
	}
	for _, pack := range packs {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	b.Clock.Move(time.Hour)
	if job := b.Backup("docs"); job.State != jobs.Partial {
		t.Errorf("got %s (%v), want partial", job.State, job.Failure)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.lost") {
		t.Errorf("tickets: got %v, want one of the loss", told)
	}
	if job, v := b.Drill("docs"); job.State != jobs.Succeeded {
		t.Errorf("drill of the new point: got %s, %+v", job.State, v.Failure)
	}
}

// A share that is not mounted looks like an empty folder. The run says so, and
// the points that hold something stay, however long it lasts.
func TestEmptiedSourceIsToldAndExpiresNothing(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	b.Backup("docs")
	if err := os.RemoveAll(b.Path("emr")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.Path("emr"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.Clock.Move(24 * time.Hour)
		if job := b.Backup("docs"); job.State != jobs.Partial {
			t.Errorf("got %s (%v), want partial", job.State, job.Failure)
		}
	}
	points := b.Points("docs")
	if last := points[len(points)-1]; len(points) != 4 || last.Files == 0 {
		t.Errorf("got %d points, the oldest with %d files; want all four", len(points), last.Files)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.empty") {
		t.Errorf("tickets: got %v, want one of the empty source", told)
	}
	s, err := b.Book.Standing(t.Context(), "docs")
	if err != nil || s.State != plan.StandDamaged || s.Last == nil || s.Last.Files == 0 {
		t.Errorf("standing: got %s, last good %+v, %v; want damaged and the full point", s.State, s.Last, err)
	}
}

// The first backup stores everything, and the next ones little. What is free
// need not hold everything once more.
func TestRoomIsAskedForWhatBackupsAddOfLate(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 9})
	b.Backup("docs")
	pretend(t, b, 1<<60)
	b.Clock.Move(time.Hour)
	if job := b.Backup("docs"); job.State != jobs.Succeeded {
		t.Fatalf("after a large first backup: got %s (%v)", job.State, job.Failure)
	}
	pretend(t, b, 1<<60)
	// What a broken run has left is given back before anybody gives up.
	orphan := b.Write("half a run", "repository", "data", "ab", "ab"+strings.Repeat("0", 62))
	b.Clock.Move(time.Hour)
	job := b.Backup("docs")
	if job.State != jobs.Failed || !strings.Contains(job.Failure.Tell(locale.English), "left") {
		t.Errorf("after two large ones: got %s (%v), want failed for want of room", job.State, job.Failure)
	}
	if _, err := os.Stat(orphan); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pack nobody needs is still there: %v", err)
	}
}

// pretend makes all points of the book look large.
func pretend(t *testing.T, b *drilltest.Box, added int64) {
	t.Helper()
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE point SET added = ?`, added)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A crash between a snapshot and its row must not make whole what was not, and
// a snapshot that cannot be read must not keep backups away.
func TestAdoptedPointsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	b.Write("入院记录", "emr", "a.xml")
	spec := source.Spec{Kind: "files", Settings: map[string]any{"paths": []any{b.Path("emr"), b.Path("vanished")}}}
	b.Plan(plan.Plan{Name: "docs", Source: spec})
	b.Backup("docs")
	forget := func() {
		t.Helper()
		err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM point`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	forget()
	b.Clock.Move(time.Hour)
	b.Backup("docs")
	points := b.Points("docs")
	if len(points) != 2 || points[1].Problems == 0 {
		t.Fatalf("got %+v, want the older point to know that it is incomplete", points)
	}
	forget()
	packs, err := filepath.Glob(b.Path("repository", "data", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	b.Clock.Move(time.Hour)
	if job := b.Backup("docs"); job.State != jobs.Partial || len(b.Points("docs")) != 1 {
		t.Errorf("got %s (%v) and %d points, want a new point", job.State, job.Failure, len(b.Points("docs")))
	}
}

// Two plans of one repository are due at the same moment, and one prunes: the
// other waits, and nobody has to be told in the morning.
func TestWhoFindsTheRepositoryLockedWaits(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	p := docs(b, plan.Keep{Last: 9})
	repo, err := b.Runner.Repositories().Fresh(t.Context(), p.RepositoryID)
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	lock, err := repo.Lock(t.Context(), repository.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.Runner.Backup(t.Context(), "docs", "test")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if job, err := b.Jobs.Get(t.Context(), id); err != nil || job.State != jobs.Running {
		t.Errorf("while it is locked: got %s, %v; want a job that waits", job.State, err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if job := b.Wait(id); job.State != jobs.Succeeded {
		t.Errorf("afterwards: got %s (%v), want succeeded", job.State, job.Failure)
	}
}

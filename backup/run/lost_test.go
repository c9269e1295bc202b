package run_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
)

// A plan moves to the place of its second copies, perhaps because the disk of
// the first is dying. The copies there stay copies of their points.
func TestPlanMovesToItsSecondPlace(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 1})
	old := backedUp(t, b)
	p, err := b.Book.Plan(t.Context(), "docs")
	if err != nil {
		t.Fatal(err)
	}
	p.Repository, p.Second = "second", ""
	if _, err := b.Book.Edit(t.Context(), "docs", p); err != nil {
		t.Fatal(err)
	}
	b.Clock.Move(time.Hour)
	backedUp(t, b)
	list := b.Points("docs")
	if len(list) != 2 || list[1].ID != old.ID || list[1].Copies != "second" {
		t.Fatalf("points: got %+v, want the new one, and the old one with its copy", list)
	}
	if _, err := os.Stat(b.Path("second", "snapshots")); err != nil {
		t.Fatal(err)
	}
	if there, err := os.ReadDir(b.Path("second", "snapshots")); err != nil || len(there) != 2 {
		t.Errorf("snapshots in the second place: got %d, %v; want 2", len(there), err)
	}
}

// An index file that is gone leaves no trace but packs that nobody knows.
func TestCareNoticesAMissingIndex(t *testing.T) {
	t.Parallel()
	b := twice(t, false, plan.Keep{Last: 10})
	backedUp(t, b)
	files, err := filepath.Glob(b.Path("repository", "index", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("index files: got %v, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	job, got := care(t, b, "main")
	if job.State != jobs.Succeeded || got.Damaged != 0 || len(got.Lost) != 0 {
		t.Errorf("care: got %s (%v), %+v; want the index made anew", job.State, job.Failure, got)
	}
	if job, result := deepCheck(t, b, "main"); job.State != jobs.Succeeded || result.Errors != 0 {
		t.Errorf("check: got %s (%v), %+v; want it put right", job.State, job.Failure, result)
	}
}

// What a check found is red until it is put right, and no longer.
func TestCareEndsWhatACheckFound(t *testing.T) {
	t.Parallel()
	b := twice(t, false, plan.Keep{Last: 10})
	backedUp(t, b)
	spoilPacks(t, b.Path("repository"), 200_000)
	deepCheck(t, b, "main")
	if job, _ := care(t, b, "main"); job.State != jobs.Failed || placeNamed(t, b, "main").CheckState != "damaged" {
		t.Fatalf("care: got %s, %q; want the damage told", job.State, placeNamed(t, b, "main").CheckState)
	}
	b.Clock.Move(time.Hour)
	backedUp(t, b) // stores again what the source still has
	if job, _ := care(t, b, "main"); job.State != jobs.Succeeded {
		t.Fatalf("care: got %s (%v)", job.State, job.Failure)
	}
	if place := placeNamed(t, b, "main"); place.CheckState != "good" || place.Findings != 0 {
		t.Errorf("check: got %q with %d findings, want good", place.CheckState, place.Findings)
	}
}

// A damaged document of a copy is written anew from the point itself.
func TestCareBringsACopyBack(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	backedUp(t, b)
	if stored := placeNamed(t, b, "second").Stored; stored < 300_000 {
		t.Errorf("stored in the second place: got %d bytes, want what was copied", stored)
	}
	list, err := filepath.Glob(b.Path("second", "snapshots", "*"))
	if err != nil || len(list) != 1 {
		t.Fatalf("copies: got %v, %v", list, err)
	}
	if err := os.Chmod(list[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(list[0], 100); err != nil {
		t.Fatal(err)
	}
	if job, got := care(t, b, "second"); job.State != jobs.Succeeded || len(got.Lost) != 0 {
		t.Errorf("care: got %s (%v), %+v; want the copy back", job.State, job.Failure, got)
	}
	if job, result := deepCheck(t, b, "second"); job.State != jobs.Succeeded || result.Errors != 0 {
		t.Errorf("check: got %s (%v), %+v", job.State, job.Failure, result)
	}
	stock(t, b, "second")
}

package run_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// twice makes a plan of a folder whose points are copied to a second
// repository; all of both is verified within a day. big lies in a pack of its
// own folder, so that damage can be done to it.
func twice(t *testing.T, second bool, keep plan.Keep) *drilltest.Box {
	t.Helper()
	b := drilltest.Open(t)
	noise := make([]byte, 300_000)
	_, _ = rand.Read(noise)
	b.Write(string(noise), "emr", "影像", "胸片.dcm")
	b.Write("入院记录", "emr", "入院记录.xml")
	spec := plan.Plan{Name: "docs", Source: b.Files("emr"), Keep: keep}
	if second {
		makePlace(t, b, plan.Place{Name: "second", Location: b.Path("second")})
		spec.Second = "second"
	}
	b.Plan(spec)
	for _, name := range []string{"main", "second"} {
		if place, err := b.Book.Repository(t.Context(), name); err == nil {
			if _, err := b.Runner.Repositories().Change(t.Context(), place.ID, plan.StorageSettings{VerifyDays: 1}, secret.Text{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func makePlace(t *testing.T, b *drilltest.Box, p plan.Place) plan.Repository {
	t.Helper()
	place, err := b.Runner.Repositories().Create(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func placeNamed(t *testing.T, b *drilltest.Box, name string) plan.Repository {
	t.Helper()
	place, err := b.Book.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// backedUp runs the plan and wants all of it, the copy too, to go well.
func backedUp(t *testing.T, b *drilltest.Box) plan.Point {
	t.Helper()
	if job := b.Backup("docs"); job.State != jobs.Succeeded {
		t.Fatalf("backup: got %s (%v)", job.State, job.Failure)
	}
	return b.Points("docs")[0]
}

func care(t *testing.T, b *drilltest.Box, name string) (jobs.Job, plan.Care) {
	t.Helper()
	id, err := b.Runner.Care(t.Context(), placeNamed(t, b, name).ID, "test")
	if err != nil {
		t.Fatal(err)
	}
	job := b.Wait(id)
	b.WaitAll()
	return job, placeNamed(t, b, name).Care
}

func deepCheck(t *testing.T, b *drilltest.Box, name string) (jobs.Job, run.CheckResult) {
	t.Helper()
	id, err := b.Runner.Check(t.Context(), run.CheckRequest{Repository: placeNamed(t, b, name).ID, ReadData: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	job := b.Wait(id)
	b.WaitAll()
	var result run.CheckResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		t.Fatal(err)
	}
	return job, result
}

// spoilPacks changes a byte in the middle of every pack larger than size.
func spoilPacks(t *testing.T, dir string, size int) (n int) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < size {
			continue
		}
		data[len(data)/2] ^= 1
		if err := os.Chmod(pack, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pack, data, 0o600); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// stock lets the restic of the distribution prove every byte.
func stock(t *testing.T, b *drilltest.Box, name string) {
	t.Helper()
	binary := os.Getenv("RESTIC_BIN")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("restic"); err != nil {
			t.Log("restic is not installed, so it was not asked: ./build.sh test --install brings it, or name a binary in RESTIC_BIN")
			return
		}
	}
	place := placeNamed(t, b, name)
	sheet, err := b.Runner.Repositories().AddSheet(t.Context(), place.ID)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-r", place.Location, "--no-cache", "check", "--read-data")
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+sheet.Password().Reveal())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("restic check of %s: %v\n%s", name, err, out)
	}
}

func TestCareHealsFromTheSecondCopy(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	if p := backedUp(t, b); p.Copies != "second" {
		t.Fatalf("copies: got %q, want second", p.Copies)
	}
	if n := spoilPacks(t, b.Path("repository"), 200_000); n != 1 {
		t.Fatalf("%d packs were spoiled, want 1", n)
	}
	job, got := care(t, b, "main")
	if job.State != jobs.Succeeded || got.Healed != 1 || got.Damaged != 0 || len(got.Lost) != 0 {
		t.Errorf("care: got %s (%v), %+v; want one pack healed", job.State, job.Failure, got)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.healed") || slices.Contains(told, "run.ticket.check") {
		t.Errorf("tickets: got %v, want only that it was healed", told)
	}
	if job, result := deepCheck(t, b, "main"); job.State != jobs.Succeeded || result.Errors != 0 {
		t.Errorf("deep check: got %s, %+v", job.State, result)
	}
	stock(t, b, "main")
	if _, again := care(t, b, "main"); again.Healed != 0 || again.Percent != 100 || again.Overdue != 0 || again.Oldest.IsZero() {
		t.Errorf("the night after: got %+v, want everything verified and nothing to heal", again)
	}
}

func TestCheckHealsFromTheSecondCopy(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	backedUp(t, b)
	spoilPacks(t, b.Path("second"), 0)
	job, result := deepCheck(t, b, "second")
	if job.State != jobs.Succeeded || result.Healed < 2 || result.Errors != 0 {
		t.Errorf("got %s (%v), %+v; want all packs of the second copy healed from the first", job.State, job.Failure, result)
	}
	if place := placeNamed(t, b, "second"); place.CheckState != "good" {
		t.Errorf("state: got %q, want good", place.CheckState)
	}
	stock(t, b, "second")
}

// Without a second copy, what is lost is named; the next backup stores what the
// source still has, and then nothing is lost any more.
func TestCareNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	b := twice(t, false, plan.Keep{Last: 10})
	point := backedUp(t, b)
	spoilPacks(t, b.Path("repository"), 200_000)
	job, got := care(t, b, "main")
	if job.State != jobs.Failed || got.Damaged != 1 || len(got.Lost) != 1 {
		t.Fatalf("care: got %s (%v), %+v; want one pack damaged and one file lost", job.State, job.Failure, got)
	}
	day := point.AsOf.In(b.Book.Site()).Format(time.DateOnly)
	for _, lang := range locale.Languages() {
		if text := got.Lost[0].In(lang); !strings.Contains(text, "影像/胸片.dcm") || !strings.Contains(text, day) {
			t.Errorf("%s: got %q, want the file and the day %s", lang, text, day)
		}
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.check") {
		t.Errorf("tickets: got %v, want one of the damage", told)
	}
	if o, err := b.Book.Overview(t.Context()); err != nil || o.Safe != plan.SafeNotSure || o.Main.State != plan.StandUnsound {
		t.Errorf("overview: got %s and %s, %v; want it not sure", o.Safe, o.Main.State, err)
	}
	b.Clock.Move(time.Hour)
	backedUp(t, b)
	if job, got = care(t, b, "main"); job.State != jobs.Succeeded || got.Damaged != 0 || len(got.Lost) != 0 {
		t.Errorf("after the next backup: got %s (%v), %+v; want nothing lost any more", job.State, job.Failure, got)
	}
	if o, err := b.Book.Overview(t.Context()); err != nil || o.Safe != plan.SafeYes {
		t.Errorf("overview after the next backup: got %s, %v; want it safe", o.Safe, err)
	}
	stock(t, b, "main")
}

// A damaged snapshot document comes back from the copy, and the point with it.
func TestCareBringsASnapshotBack(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	point := backedUp(t, b)
	path := b.Path("repository", "snapshots", point.Snapshot)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, got := care(t, b, "main"); len(got.Lost) != 0 || got.Damaged != 0 {
		t.Errorf("care: got %+v", got)
	}
	after := b.Points("docs")
	if len(after) != 1 || after[0].ID != point.ID || after[0].Snapshot == point.Snapshot {
		t.Errorf("points: got %+v, want the same one with a new snapshot", after)
	}
	if job, result := deepCheck(t, b, "main"); job.State != jobs.Succeeded {
		t.Errorf("deep check: got %s, %+v", job.State, result)
	}
	b.Clock.Move(time.Hour)
	backedUp(t, b)
	if n := len(b.Points("docs")); n != 2 {
		t.Errorf("%d points after the next backup, want 2", n)
	}
}

func TestCopyFollowsThePolicy(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 1})
	for range 3 {
		b.Write(b.Clock.Now().String(), "emr", "change.xml")
		backedUp(t, b)
		b.Clock.Move(time.Hour)
	}
	for _, dir := range []string{"repository", "second"} {
		if list, err := os.ReadDir(b.Path(dir, "snapshots")); err != nil || len(list) != 1 {
			t.Errorf("%s holds %d points, %v; want 1", dir, len(list), err)
		}
	}
	stock(t, b, "second")
}

// The first place is lost: everything is read from the copy.
func TestRestoreFromTheCopy(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	point := backedUp(t, b)
	want, err := os.ReadFile(b.Path("emr", "影像", "胸片.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, loss := range []struct {
		name string
		do   func()
	}{
		{"damaged", func() { spoilPacks(t, b.Path("repository"), 200_000) }},
		{"gone", func() {
			if err := os.Rename(b.Path("repository"), b.Path("away")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		loss.do()
		target := b.Path("restored-" + loss.name)
		id, err := b.Runner.Restore(t.Context(), run.RestoreRequest{Point: point.ID, Target: target, Verify: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		job := b.Wait(id)
		var result run.RestoreResult
		if err := json.Unmarshal(job.Result, &result); err != nil {
			t.Fatal(err)
		}
		if job.State != jobs.Succeeded || result.From != "second" || !result.Verified {
			t.Errorf("%s: got %s (%v), %+v; want it restored from the second copy", loss.name, job.State, job.Failure, result)
		}
		got, err := os.ReadFile(filepath.Join(target, b.Path("emr", "影像", "胸片.dcm")))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v; want what was backed up", loss.name, len(got), err)
		}
	}
	if f, err := b.Runner.Folder(t.Context(), point.ID, b.Path("emr"), run.Page{}); err != nil || f.Total != 2 {
		t.Errorf("looking into the point: got %d entries, %v; want 2", f.Total, err)
	}
}

func TestDrillOfTheCopy(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	point := backedUp(t, b)
	id, err := b.Drills.SubmitSecond(t.Context(), "docs", point.ID, "test")
	if err != nil {
		t.Fatal(err)
	}
	b.Wait(id)
	v, err := b.Drills.OfJob(t.Context(), id)
	if err != nil || v.State != drill.Passed || v.Point.Place != "second" || v.Point.Snapshot == point.Snapshot {
		t.Errorf("got %s of %q, %v; want it passed on the second copy", v.State, v.Point.Place, err)
	}
}

// A copy that fails is told at the desk, and the care of the night makes up for
// it.
func TestCopyIsMadeUpFor(t *testing.T) {
	t.Parallel()
	b := twice(t, true, plan.Keep{Last: 10})
	if err := os.Rename(b.Path("second"), b.Path("away")); err != nil {
		t.Fatal(err)
	}
	if p := backedUp(t, b); p.Copies != "" {
		t.Fatalf("copies: got %q, want none", p.Copies)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.copy") {
		t.Errorf("tickets: got %v, want one of the copy", told)
	}
	if err := os.Rename(b.Path("away"), b.Path("second")); err != nil {
		t.Fatal(err)
	}
	care(t, b, "main")
	if p := b.Points("docs")[0]; p.Copies != "second" {
		t.Errorf("copies after the night: got %q, want second", p.Copies)
	}
}

func TestSchedulerLooksAfterRepositories(t *testing.T) {
	t.Parallel()
	b, _ := scheduled(t, shanghai(t, "2026-11-16 12:00:00"))
	schedule(t, b, 0)
	place := placeNamed(t, b, "main")
	if at := place.NextCare.In(b.Book.Site()); at.Day() != 17 || at.Hour() < 2 || at.Hour() > 3 {
		t.Fatalf("next care: got %s, want after two the night after", at)
	}
	b.Clock.Set(shanghai(t, "2026-11-20 12:00:00")) // three nights without power
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run.NewScheduler(b.Runner).Run(ctx) }()
	for range 500 {
		if placeNamed(t, b, "main").NextCare.After(b.Clock.Now()) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.WaitAll()
	list, total, err := b.Jobs.List(t.Context(), jobs.Filter{Kinds: []string{run.KindCare}})
	if err != nil || total != 1 || list[0].State != jobs.Succeeded || list[0].Trigger != jobs.CatchUp {
		t.Errorf("care jobs: got %+v, %v; want one that made up for the nights", list, err)
	}
	if at := placeNamed(t, b, "main").NextCare.In(b.Book.Site()); at.Day() != 21 {
		t.Errorf("next care: got %s, want the night after", at)
	}
}

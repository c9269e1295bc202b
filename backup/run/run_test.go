package run_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/run"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	storages "emrvault/backup/storage/all"
)

// docs makes a plan of a small folder.
func docs(b *drilltest.Box, keep plan.Keep) plan.Plan {
	b.Write("入院记录", "emr", "2026", "入院记录.xml")
	b.Write("体温单", "emr", "2026", "体温单.xml")
	return b.Plan(plan.Plan{Name: "docs", Source: b.Files("emr"), Keep: keep})
}

func TestDamagedSourceStopsExpiry(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	path := b.Database("emr.db", 2000, b.Clock.Now())
	b.Plan(plan.Plan{Name: "emr", Source: b.SQLite(path), Keep: plan.Keep{Last: 1}})
	if job := b.Backup("emr"); job.State != jobs.Succeeded {
		t.Fatalf("sound source: got %s (%v)", job.State, job.Failure)
	}
	spoil(t, path)
	for range 2 {
		b.Clock.Move(time.Hour)
		if job := b.Backup("emr"); job.State != jobs.Partial {
			t.Fatalf("damaged source: got %s (%v), want partial", job.State, job.Failure)
		}
	}
	points := b.Points("emr")
	if len(points) != 3 || !points[0].Damaged || points[2].Damaged {
		t.Errorf("points: got %+v, want all three, the newer two damaged", points)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.damaged") {
		t.Errorf("tickets: got %v, want one of the damage", told)
	}
	s, err := b.Book.Standing(t.Context(), "emr")
	if err != nil || s.State != plan.StandDamaged || s.Last == nil || s.Last.Damaged {
		t.Errorf("standing: got %s with last good %+v, %v; want damaged with the sound one", s.State, s.Last, err)
	}
}

// spoil overwrites pages in the middle of a database.
func spoil(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 8192; i < len(data) && i < 60000; i++ {
		data[i] = 0xA5
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableIsPartial(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	b.Write("入院记录", "emr", "a.xml")
	spec := source.Spec{Kind: "files", Settings: map[string]any{"paths": []any{b.Path("emr"), b.Path("vanished")}}}
	b.Plan(plan.Plan{Name: "docs", Source: spec})
	job := b.Backup("docs")
	record, err := b.Book.RunOfJob(t.Context(), job.ID)
	if err != nil || job.State != jobs.Partial || record.State != "partial" || record.Point == nil || record.Point.Problems != 1 {
		t.Fatalf("got job %s, record %+v, %v; want a partial run with a point of one problem", job.State, record, err)
	}
	if text := record.Note.In("zh"); !strings.Contains(text, "vanished") {
		t.Errorf("note: got %q, want the name in it", text)
	}
	if err := os.RemoveAll(b.Path("emr")); err != nil {
		t.Fatal(err)
	}
	job = b.Backup("docs")
	if job.State != jobs.Failed || len(b.Points("docs")) != 1 {
		t.Errorf("everything vanished: got %s and %d points, want failed and the one before", job.State, len(b.Points("docs")))
	}
	if told := b.Desk.Told(); !slices.Equal(told, []string{"run.ticket.failed"}) {
		t.Errorf("tickets: got %v, want one of the failure alone", told)
	}
}

func TestLockOfDeadProcessIsRemoved(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	b.Backup("docs")
	withRepository(t, b, leaveLock)
	if job := b.Backup("docs"); job.State != jobs.Succeeded {
		t.Errorf("backup over the lock of a dead process: got %s (%v), want succeeded", job.State, job.Failure)
	}
}

// withRepository opens the repository of the box.
func withRepository(t *testing.T, b *drilltest.Box, fn func(context.Context, *repository.Repository) error) {
	t.Helper()
	place, err := b.Book.Repository(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := b.Runner.Repositories().Fresh(t.Context(), place.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fn(t.Context(), repo), repo.Close()); err != nil {
		t.Fatal(err)
	}
}

// A process dies in the middle of a backup: its job, its record and its lock
// are left. The next start puts all three in order and does the work.
func TestCrashIsMadeUpFor(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	p := docs(b, plan.Keep{Last: 5})
	b.Backup("docs")
	withRepository(t, b, leaveLock)
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		id, err := tx.Insert(`
			INSERT INTO jobs (kind, key, params, trigger, state, owner, created, started)
			VALUES ('backup', ?, json_object('plan', ?), 'schedule', 'running', 'dead', ?, ?)`,
			run.BackupKey(p.ID), p.ID, store.Stamp(tx.Now), store.Stamp(tx.Now))
		if err != nil {
			return err
		}
		return plan.BeginRun(tx, plan.Run{Job: id, Plan: p.ID, Trigger: "schedule"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()

	b = drilltest.Reopen(t, b.Dir, b.Clock)
	b.WaitAll()
	list, _, err := b.Book.Runs(t.Context(), plan.RunFilter{Plan: "docs"})
	if err != nil || len(list) != 3 || list[0].Trigger != "after-crash" || list[0].State != "succeeded" || list[1].State != "interrupted" {
		t.Fatalf("runs: got %+v, %v; want the interrupted one made up for", list, err)
	}
	if told := b.Desk.Told(); len(told) != 0 {
		t.Errorf("tickets: got %v, want none: nobody is needed", told)
	}
}

// leaveLock leaves the exclusive lock of a process that has died.
func leaveLock(ctx context.Context, repo *repository.Repository) error {
	dead := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = repo.SaveUnpacked(ctx, storage.Lock, map[string]any{
		"time": time.Now(), "exclusive": true, "hostname": host, "username": "root", "pid": dead.Process.Pid,
	})
	return err
}

func TestNoOverlap(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	first, err := b.Runner.Backup(t.Context(), "docs", "test")
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Runner.Backup(t.Context(), "docs", "test")
	if errs.KindOf(err) != errs.Busy || second != first {
		t.Errorf("second run of a plan at work: got job %d, %v; want busy with job %d", second, err, first)
	}
	b.WaitAll()
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 10})
	b.Backup("docs")
	b.Backup("docs")
	all := b.Points("docs")
	// A crash between snapshot and row, and a snapshot removed by another program.
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM point WHERE id = ?`, all[0].ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	withRepository(t, b, func(ctx context.Context, repo *repository.Repository) error {
		return repo.Storage().Remove(ctx, storage.Name{Kind: storage.Snapshot, ID: all[1].Snapshot})
	})
	b.Backup("docs")
	var ids []string
	for _, p := range b.Points("docs") {
		ids = append(ids, p.Snapshot)
	}
	if len(ids) != 2 || !slices.Contains(ids, all[0].Snapshot) || slices.Contains(ids, all[1].Snapshot) {
		t.Errorf("points: got %v, want the orphan %s adopted and %s struck", ids, all[0].Snapshot, all[1].Snapshot)
	}
}

func TestRecoverySheet(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	ctx, places := t.Context(), b.Runner.Repositories()
	place, err := b.Book.Repository(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	if err := places.ConfirmSheet(ctx, place.ID, "a", "b"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("confirm without a sheet: got %v, want conflict", err)
	}
	void, err := places.AddSheet(ctx, place.ID)
	if err != nil {
		t.Fatal(err)
	}
	sheet, err := places.AddSheet(ctx, place.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := opens(ctx, place.Location, void.Password().Reveal()); !errors.Is(err, backup.ErrWrongPassword) {
		t.Errorf("the sheet before still opens: %v", err)
	}
	if err := opens(ctx, place.Location, sheet.Password().Reveal()); err != nil {
		t.Errorf("the sheet does not open: %v", err)
	}
	first, second, err := places.AskFor(place.ID)
	if err != nil {
		t.Fatal(err)
	}
	groups := sheet.Groups()
	if err := places.ConfirmSheet(ctx, place.ID, groups[first-1], "2222"); errs.KindOf(err) != errs.Invalid {
		t.Errorf("wrong group: got %v, want invalid", err)
	}
	if err := places.ConfirmSheet(ctx, place.ID, strings.ToLower(groups[first-1]), " "+groups[second-1]); err != nil {
		t.Errorf("right groups: %v", err)
	}
	if place, err = b.Book.Repository(ctx, "main"); err != nil || place.Sheet != plan.SheetConfirmed {
		t.Errorf("sheet state: got %s, %v; want confirmed", place.Sheet, err)
	}
	replaceSheet(t, places, place, sheet)
	if paper := groups[first-1]; storeHolds(t, b, paper) {
		t.Errorf("the store holds group %q of the sheet", paper)
	}
}

// replaceSheet makes a new sheet for one that was lost: the old one opens the
// repository until the new one has been typed back.
func replaceSheet(t *testing.T, places *run.Repositories, place plan.Repository, old secret.Sheet) {
	t.Helper()
	ctx := t.Context()
	sheet, err := places.AddSheet(ctx, place.ID)
	if err != nil {
		t.Fatalf("a confirmed sheet made anew: %v", err)
	}
	if err := opens(ctx, place.Location, old.Password().Reveal()); err != nil {
		t.Errorf("the confirmed sheet, before the new one is: %v", err)
	}
	first, second, err := places.AskFor(place.ID)
	if err != nil {
		t.Fatal(err)
	}
	groups := sheet.Groups()
	if err := places.ConfirmSheet(ctx, place.ID, groups[first-1], groups[second-1]); err != nil {
		t.Fatalf("confirm the new sheet: %v", err)
	}
	if err := opens(ctx, place.Location, old.Password().Reveal()); !errors.Is(err, backup.ErrWrongPassword) {
		t.Errorf("the lost sheet still opens: %v", err)
	}
	if err := opens(ctx, place.Location, sheet.Password().Reveal()); err != nil {
		t.Errorf("the new sheet does not open: %v", err)
	}
}

// storeHolds looks for a word in every file of the data folder.
func storeHolds(t *testing.T, b *drilltest.Box, word string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(b.Path("data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(word+"-")) || bytes.Contains(data, []byte("-"+word))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func opens(ctx context.Context, location, word string) error {
	st, err := storages.Open(ctx, location)
	if err != nil {
		return err
	}
	repo, err := repository.Open(ctx, st, word)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	return repo.Close()
}

func TestSheetExpires(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	places := b.Runner.Repositories()
	place, err := b.Book.Repository(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := places.AddSheet(t.Context(), place.ID); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := places.ConfirmSheet(t.Context(), place.ID, "2222", "2222"); err == nil {
			t.Fatal("wrong groups confirmed the sheet")
		}
	}
	if _, _, err := places.AskFor(place.ID); errs.KindOf(err) != errs.Conflict {
		t.Errorf("after five wrong tries: got %v, want the sheet gone", err)
	}
	if _, err := places.AddSheet(t.Context(), place.ID); err != nil {
		t.Fatal(err)
	}
	b.Clock.Move(time.Hour)
	if _, _, err := places.AskFor(place.ID); errs.KindOf(err) != errs.Conflict {
		t.Errorf("after an hour: got %v, want the sheet gone", err)
	}
}

func TestCreateGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM plan`); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM repository`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Runner.Repositories().Create(t.Context(), plan.Place{Name: "main", Location: b.Path("repository")}); err != nil {
		t.Errorf("repository made, row lost: got %v, want it found again", err)
	}
	if _, err := b.Runner.Repositories().Create(t.Context(), plan.Place{Name: "other", Location: b.Path("repository")}); errs.KindOf(err) != errs.Conflict {
		t.Errorf("a place taken: got %v, want conflict", err)
	}
	if _, err := b.Runner.Repositories().Create(t.Context(), plan.Place{Name: "other", Location: "relative"}); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a relative place: got %v, want invalid", err)
	}
}

func TestBrowse(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 5})
	b.Backup("docs")
	b.Write("体温单，改", "emr", "2026", "体温单.xml")
	b.Write("新", "emr", "2026", "新.xml")
	b.Backup("docs")
	p := b.Points("docs")[0]
	folder, err := b.Runner.Folder(t.Context(), p.ID, b.Path("emr", "2026"), run.Page{})
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{}
	for _, e := range folder.Entries {
		changes[e.Name] = e.Change
	}
	want := map[string]string{"入院记录.xml": run.ChangeNone, "体温单.xml": run.ChangeMod, "新.xml": run.ChangeNew}
	for name, change := range want {
		if changes[name] != change {
			t.Errorf("%s: got %q, want %q", name, changes[name], change)
		}
	}
	above, err := b.Runner.Folder(t.Context(), p.ID, b.Path("emr"), run.Page{Search: "20"})
	if err != nil || len(above.Entries) != 1 || above.Entries[0].Items != 3 || above.Entries[0].Change != run.ChangeMod {
		t.Errorf("folder above: got %+v, %v; want one changed folder of three", above.Entries, err)
	}
	f, err := b.Runner.OpenFile(t.Context(), p.ID, b.Path("emr", "2026", "体温单.xml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil || string(text) != "体温单，改" {
		t.Errorf("file: got %q, %v", text, err)
	}
	var packed bytes.Buffer
	if err := b.Runner.Zip(t.Context(), p.ID, b.Path("emr"), &packed); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil || len(z.File) < 3 {
		t.Errorf("zip: got %v files, %v; want the folder's", z, err)
	}
	if _, err := b.Runner.Folder(t.Context(), p.ID, "/nowhere", run.Page{}); errs.KindOf(err) != errs.NotFound {
		t.Errorf("a folder that is not there: got %v, want not found", err)
	}
}

// A prune in another process moves what a shared repository has opened.
func TestReadingAfterAForeignPrune(t *testing.T) {
	t.Parallel()
	reads := map[string]func(b *drilltest.Box, point int64) error{
		"folder": func(b *drilltest.Box, point int64) error {
			_, err := b.Runner.Folder(t.Context(), point, b.Path("emr", "2025"), run.Page{})
			return err
		},
		"file": func(b *drilltest.Box, point int64) error {
			f, err := b.Runner.OpenFile(t.Context(), point, b.Path("emr", "2026", "入院记录.xml"))
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, f)
			return errors.Join(err, f.Close())
		},
		"zip": func(b *drilltest.Box, point int64) error {
			return b.Runner.Zip(t.Context(), point, b.Path("emr"), io.Discard)
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			b := drilltest.Open(t)
			docs(b, plan.Keep{Last: 5})
			b.Write("去年", "emr", "2025", "病历.xml")
			b.Backup("docs")
			b.Clock.Move(time.Hour)
			b.Write("体温单，改", "emr", "2026", "体温单.xml")
			b.Backup("docs")
			points := b.Points("docs")
			if err := read(b, points[0].ID); err != nil {
				t.Fatalf("before: %v", err)
			}
			withRepository(t, b, func(ctx context.Context, repo *repository.Repository) error {
				return pruneWithout(ctx, repo, points[1].Snapshot)
			})
			if err := read(b, points[0].ID); err != nil {
				t.Errorf("after a prune: %v", err)
			}
		})
	}
}

// pruneWithout removes a snapshot and every byte that only it needs.
func pruneWithout(ctx context.Context, repo *repository.Repository, id string) error {
	if err := snapshot.Remove(ctx, repo, id); err != nil {
		return err
	}
	report, err := snapshot.Prune(ctx, repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
	if err == nil && report.PacksRepacked == 0 {
		err = errors.New("nothing was moved: the scene is too poor")
	}
	return err
}

func TestCheckJob(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 5})
	b.Backup("docs")
	place, err := b.Book.Repository(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	check := func() (jobs.Job, plan.Repository) {
		id, err := b.Runner.Check(t.Context(), run.CheckRequest{Repository: place.ID, ReadData: true}, "test")
		if err != nil {
			t.Fatal(err)
		}
		job := b.Wait(id)
		b.WaitAll()
		after, err := b.Book.Repository(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		return job, after
	}
	if job, after := check(); job.State != jobs.Succeeded || after.CheckState != "good" || !after.CheckDeep {
		t.Errorf("sound: got %s (%v), %s; want succeeded, good", job.State, job.Failure, after.CheckState)
	}
	err = filepath.WalkDir(b.Path("repository", "data"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 10))
	})
	if err != nil {
		t.Fatal(err)
	}
	if job, after := check(); job.State != jobs.Failed || after.CheckState != "damaged" || after.Findings == 0 {
		t.Errorf("truncated packs: got %s, %s with %d findings; want failed, damaged", job.State, after.CheckState, after.Findings)
	}
	if told := b.Desk.Told(); !slices.Contains(told, "run.ticket.check") {
		t.Errorf("tickets: got %v, want one of the check", told)
	}
}

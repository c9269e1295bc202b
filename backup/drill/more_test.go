package drill_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/backup/source"
)

func TestNothingToDrill(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	emr(b, false)
	// By hand it is a slip: told, and no record.
	_, err := b.Drills.Submit(t.Context(), "emr", 0, "test")
	if errs.KindOf(err) != errs.Conflict {
		t.Errorf("by hand: got %v, want conflict", err)
	}
	if _, n, err := b.Drills.List(t.Context(), drill.Filter{}); err != nil || n != 0 {
		t.Errorf("by hand: %d records, %v; want none", n, err)
	}
	// By schedule it is a promise that was not kept.
	p, err := b.Book.Plan(t.Context(), "emr")
	if err != nil {
		t.Fatal(err)
	}
	handed, err := b.Jobs.Submit(t.Context(), jobs.Request{
		Kind: run.KindDrill, Key: run.DrillKey(p.ID), Trigger: jobs.Schedule, Params: run.DrillRequest{Plan: p.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	job := b.Wait(handed.ID)
	v, err := b.Drills.OfJob(t.Context(), handed.ID)
	if err != nil {
		t.Fatal(err)
	}
	if job.State != jobs.Failed || v.State != drill.Failed || v.Fault != drill.FaultBox || v.Failure.Key != "drill.fail.nopoint" {
		t.Errorf("got job %s, verdict %+v; want failed for want of a point", job.State, v)
	}
	if v.Number != "YL-"+time.Now().Format("2006")+"-001" {
		t.Errorf("number: got %s, want the first of the year", v.Number)
	}
}

func TestUnreadableFilesArePartlyProven(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	b.Write("入院记录", "emr", "a.xml")
	spec := source.Spec{Kind: "files", Settings: map[string]any{"paths": []any{b.Path("emr"), b.Path("vanished")}}}
	b.Plan(plan.Plan{Name: "docs", Source: spec})
	b.Backup("docs")
	job, v := b.Drill("docs")
	p := b.Points("docs")[0]
	if job.State != jobs.Partial || v.State != drill.Partial || p.Proof != backup.PartlyProven || p.Percent != 50 || p.Failed {
		t.Errorf("got job %s, verdict %s, point %s %d%%; want partly proven by half", job.State, v.State, p.Proof, p.Percent)
	}
}

func TestDamagedDatabaseFails(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	path := emr(b, false)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[5000:], make([]byte, 3000))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Backup("emr")
	_, v := b.Drill("emr")
	if v.State != drill.Failed || v.Fault != drill.FaultPoint {
		t.Errorf("got %s by %q (%v), want failed by the point", v.State, v.Fault, v.Failure)
	}
}

func TestScratchIsCleanedAfterACrash(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	emr(b, true)
	b.Backup("emr")
	number := b.Points("emr")[0].Drill
	// As a killed process leaves it: a record at work, restored data that
	// forbids its owner to write, a link that leads outside.
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE drill SET state = 'running', verdict = json_set(verdict, '$.state', 'running', '$.steps[1].state', 'running')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	outside := b.Write("stays", "outside", "file.txt")
	left := b.Path("data", "scratch", "drill-x", "closed")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	b.Write("patient", "data", "scratch", "drill-x", "closed", "a.xml")
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(left, "out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(left, 0o500); err != nil {
		t.Fatal(err)
	}
	b.Close()

	b = drilltest.Reopen(t, b.Dir, b.Clock)
	if left, err := os.ReadDir(b.Path("data", "scratch")); err != nil || len(left) != 0 {
		t.Errorf("scratch: got %v, %v; want nothing", left, err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	v, err := b.Drills.Get(t.Context(), number)
	if err != nil || v.State != drill.Interrupted || v.Steps[1].State != drill.StepSkipped {
		t.Errorf("record: got %s, %v; want interrupted", v.State, err)
	}
}

func TestCancelledDrill(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	emr(b, false)
	b.Backup("emr")
	id, err := b.Drills.Submit(t.Context(), "emr", 0, "test")
	if err != nil {
		t.Fatal(err)
	}
	events, stop := b.Jobs.Subscribe(id)
	defer stop()
	wait(t, events)
	if err := b.Jobs.Cancel(context.Background(), id, "李工"); err != nil {
		t.Skipf("the drill was faster than the person: %v", err)
	}
	job := b.Wait(id)
	b.WaitAll()
	v, err := b.Drills.OfJob(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if job.State == jobs.Cancelled && v.State != drill.Cancelled {
		t.Errorf("verdict of a cancelled drill: got %s", v.State)
	}
	if left, _ := filepath.Glob(b.Path("data", "scratch", "*")); len(left) != 0 {
		t.Errorf("scratch: %v is left", left)
	}
	if p := b.Points("emr")[0]; job.State == jobs.Cancelled && p.Failed {
		t.Error("a cancelled drill says nothing about the point")
	}
}

// wait returns when the job has begun a stage.
func wait(t *testing.T, events <-chan jobs.Event) {
	t.Helper()
	for e := range events {
		if e.Type == jobs.StageBegan {
			return
		}
	}
}

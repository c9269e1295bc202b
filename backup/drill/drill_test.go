package drill_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/backup"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
)

// emr makes a database plan whose drill asks three questions.
func emr(b *drilltest.Box, after bool) string {
	path := b.Database("emr.db", 50, b.Clock.Now())
	b.Plan(plan.Plan{
		Name: "emr", Title: "电子病历主库", Source: b.SQLite(path), Keep: plan.Keep{Last: 2},
		Drill: plan.DrillRule{AfterBackup: after, Assertions: []plan.Assertion{
			{Kind: plan.AssertSQL, Name: "文书数", Query: "SELECT count(*) FROM documents", Compare: ">=", Expect: "50"},
			{Kind: plan.AssertCount, Path: "*.db", Min: 1, Max: 1},
			{Kind: plan.AssertNewest, Query: "SELECT max(saved_at) FROM documents", Within: plan.Duration(time.Hour)},
		}},
	})
	return path
}

func TestPlanToProof(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	emr(b, true)
	if job := b.Backup("emr"); job.State != jobs.Succeeded {
		t.Fatalf("first backup: got %s (%v), want succeeded", job.State, job.Failure)
	}
	points := b.Points("emr")
	if len(points) != 1 || points[0].Proof != backup.Proven || points[0].Percent != 100 {
		t.Fatalf("points after the first backup: got %+v, want one proven", points)
	}
	v, err := b.Drills.Get(t.Context(), points[0].Drill)
	if err != nil {
		t.Fatal(err)
	}
	if v.State != drill.Passed || v.Figures.RTO <= 0 || v.Figures.RPO <= 0 || v.Figures.Databases != 1 || len(v.NotProven) == 0 {
		t.Errorf("verdict: got %+v, want a pass with figures", v)
	}
	for _, s := range v.Steps {
		if s.State != drill.StepPassed {
			t.Errorf("step %s: got %s, want passed", s.Note.Key, s.State)
		}
	}
	if left, err := filepath.Glob(b.Path("data", "scratch", "*")); err != nil || len(left) != 0 || !v.Scratch.Removed {
		t.Errorf("scratch after the drill: %v, %v, removed %v; want nothing left", left, err, v.Scratch.Removed)
	}
	b.Clock.Move(24 * time.Hour)
	b.Database("emr.db", 5, b.Clock.Now())
	for range 2 {
		b.Clock.Move(time.Minute)
		if job := b.Backup("emr"); job.State != jobs.Succeeded {
			t.Fatalf("later backup: got %s (%v), want succeeded", job.State, job.Failure)
		}
	}
	points = b.Points("emr")
	if len(points) != 2 || len(points[0].Kept) == 0 {
		t.Errorf("points after three backups with keep last 2: got %d (%+v), want 2 with reasons", len(points), points)
	}
	o, err := b.Book.Overview(t.Context())
	if err != nil || o.Safe != plan.SafeYes || o.Plans[0].RTO == 0 {
		t.Errorf("overview: got %+v, %v; want safe with an RTO", o, err)
	}
	if told := b.Desk.Told(); len(told) != 0 {
		t.Errorf("tickets: got %v, want none", told)
	}
}

func TestDrillFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, b *drilltest.Box)
		fault string
	}{
		{"a flipped byte in a pack", flipPacks, drill.FaultPoint},
		{"a missing pack", removePacks, drill.FaultPoint},
		{"a missing snapshot", removeSnapshots, drill.FaultPoint},
		{"a failing assertion", expectMore, drill.FaultPoint},
		{"a repository that is away", hideRepository, drill.FaultBox},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := drilltest.Open(t)
			emr(b, false)
			b.Backup("emr")
			c.spoil(t, b)
			job, v := b.Drill("emr")
			b.WaitAll()
			if job.State != jobs.Failed || v.State != drill.Failed || v.Fault != c.fault || v.Failure == nil {
				t.Fatalf("got job %s, verdict %s, fault %q (%v); want failed by %s", job.State, v.State, v.Fault, v.Failure, c.fault)
			}
			p := b.Points("emr")[0]
			if p.Failed != (c.fault == drill.FaultPoint) || p.Proof != backup.Unproven {
				t.Errorf("point: failed %v, proof %s; want failed %v, unproven", p.Failed, p.Proof, c.fault == drill.FaultPoint)
			}
			if !slices.Contains(b.Desk.Told(), "drill.ticket.failed.number") {
				t.Errorf("tickets: got %v, want one of the drill", b.Desk.Told())
			}
			if left, _ := filepath.Glob(b.Path("data", "scratch", "*")); len(left) != 0 {
				t.Errorf("scratch: %v is left", left)
			}
			if text := v.Failure.In(locale.Chinese); text == "" || text == v.Failure.Key {
				t.Errorf("failure has no words: %q", text)
			}
		})
	}
}

// packs lists the packs of the repository, writable again.
func packs(t *testing.T, b *drilltest.Box, kind string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(b.Path("repository", kind), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			list = append(list, path)
			return os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("list %s: %v, %v", kind, list, err)
	}
	return list
}

func flipPacks(t *testing.T, b *drilltest.Box) {
	for _, path := range packs(t, b, "data") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/4] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func removePacks(t *testing.T, b *drilltest.Box) {
	for _, path := range packs(t, b, "data") {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func removeSnapshots(t *testing.T, b *drilltest.Box) {
	for _, path := range packs(t, b, "snapshots") {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func expectMore(t *testing.T, b *drilltest.Box) {
	p, err := b.Book.Plan(t.Context(), "emr")
	if err != nil {
		t.Fatal(err)
	}
	p.Drill.Assertions[0].Expect = "51"
	if _, err := b.Book.Edit(t.Context(), "emr", p); err != nil {
		t.Fatal(err)
	}
}

func hideRepository(t *testing.T, b *drilltest.Box) {
	if err := os.Rename(b.Path("repository"), b.Path("away")); err != nil {
		t.Fatal(err)
	}
}

//go:build linux

package drill_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"emrvault/appliance/jobs"
	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/source"
)

// A share that is not mounted looks like an empty folder. That it comes back
// empty proves nothing.
func TestEmptyPointIsNotProven(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	if err := os.Mkdir(b.Path("share"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.Plan(plan.Plan{Name: "docs", Source: b.Files("share")})
	b.Backup("docs")
	job, v := b.Drill("docs")
	p := b.Points("docs")[0]
	if job.State != jobs.Partial || v.State != drill.Partial || p.Proof != backup.Unproven || p.Percent != 0 {
		t.Errorf("got job %s, verdict %s, point %s %d%%; want nothing proven", job.State, v.State, p.Proof, p.Percent)
	}
	if !slices.ContainsFunc(v.NotProven, func(n plan.Note) bool { return n.Key == "drill.unproven.empty" }) {
		t.Errorf("not proven: got %v, want that the point is empty", v.NotProven)
	}
}

// One of two databases could not be had: what is there comes back, but the
// point is not all it should be.
func TestPointOfADamagedSourceIsPartlyProven(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	good := b.Database("good.db", 20, b.Clock.Now())
	spec := source.Spec{Kind: "sqlite", Settings: map[string]any{"path": []any{good, b.Path("vanished.db")}}}
	b.Plan(plan.Plan{Name: "emr", Source: spec})
	b.Backup("emr")
	job, v := b.Drill("emr")
	p := b.Points("emr")[0]
	if !p.Damaged || job.State != jobs.Partial || v.State != drill.Partial || p.Proof != backup.PartlyProven || p.Percent > 99 {
		t.Errorf("got job %s, verdict %s, point %+v; want partly proven", job.State, v.State, p)
	}
}

// A record must not say that patients' data was deleted when it was not.
func TestScratchThatCannotBeDeletedIsNotCalledDeleted(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	emr(b, true)
	b.Backup("emr")
	number := b.Points("emr")[0].Drill
	err := b.Store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE drill SET state = 'running', verdict = json_set(verdict, '$.state', 'running', '$.scratch.removed', json('false'))`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	left := b.Path("data", "scratch", "drill-"+number)
	b.Write("patient", "data", "scratch", "drill-"+number, "a.xml")
	undeletable(t, left)
	_, _ = b.Drills.CleanScratch(t.Context())
	v, err := b.Drills.Get(t.Context(), number)
	if err != nil || v.State != drill.Interrupted || v.Scratch.Removed {
		t.Errorf("got %s, removed %v, %v; want interrupted and not removed", v.State, v.Scratch.Removed, err)
	}
}

// A prune by somebody else waits until the point has been compared.
func TestNoPruneWhileAPointIsCompared(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	for i := range 500 {
		b.Write("病程记录", "emr", strconv.Itoa(i)+".xml")
	}
	b.Plan(plan.Plan{Name: "docs", Source: b.Files("emr")})
	b.Backup("docs")
	id, err := b.Drills.Submit(t.Context(), "docs", 0, "test")
	if err != nil {
		t.Fatal(err)
	}
	for {
		v, err := b.Drills.OfJob(t.Context(), id)
		if err != nil {
			continue // it has not begun
		}
		locks, err := os.ReadDir(b.Path("repository", "locks"))
		if err != nil {
			t.Fatal(err)
		}
		switch compare := v.Steps[2]; {
		case compare.State == drill.StepRunning && len(locks) > 0:
			return
		case compare.State == drill.StepPassed:
			t.Fatal("no lock was seen while the point was compared")
		}
	}
}

// undeletable keeps a folder from being deleted, also by root.
func undeletable(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		up := filepath.Dir(dir)
		if err := os.Chmod(up, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(up, 0o700) })
		return
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount (%v): run the tests as another user than root, or with the right to mount", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

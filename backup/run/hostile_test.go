package run_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
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

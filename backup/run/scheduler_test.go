package run_test

import (
	"context"
	"testing"
	"time"

	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// scheduled makes a nightly plan on a box whose clock stands at the moment.
func scheduled(t *testing.T, at time.Time) (*drilltest.Box, plan.Plan) {
	t.Helper()
	clock := &drilltest.Clock{}
	clock.Set(at)
	b := drilltest.Reopen(t, t.TempDir(), clock)
	b.Write("入院记录", "emr", "a.xml")
	return b, b.Plan(plan.Plan{
		Name: "docs", Source: b.Files("emr"), Schedule: "0 22 * * *", Drill: plan.DrillRule{Schedule: "0 3 * * 0"},
	})
}

// schedule runs the scheduler until the jobs it hands in have ended.
func schedule(t *testing.T, b *drilltest.Box, runs int) []plan.Run {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run.NewScheduler(b.Runner).Run(ctx) }()
	var list []plan.Run
	for range 500 {
		var err error
		if list, _, err = b.Book.Runs(ctx, plan.RunFilter{Plan: "docs"}); err != nil {
			t.Fatal(err)
		}
		if len(list) >= runs {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if runs == 0 {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.WaitAll()
	list, _, err := b.Book.Runs(t.Context(), plan.RunFilter{Plan: "docs"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func shanghai(t *testing.T, text string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCatchUpAfterPowerOff(t *testing.T) {
	t.Parallel()
	b, p := scheduled(t, shanghai(t, "2026-11-16 12:00:00"))
	if want := shanghai(t, "2026-11-16 22:00:00"); !p.NextDue.Equal(want) {
		t.Fatalf("next due: got %s, want %s", p.NextDue, want)
	}
	if list := schedule(t, b, 0); len(list) != 0 {
		t.Fatalf("nothing is due, yet it ran: %+v", list)
	}
	b.Clock.Set(shanghai(t, "2026-11-19 08:00:00")) // three nights without power
	list := schedule(t, b, 1)
	if len(list) != 1 || list[0].Trigger != "catch-up" || list[0].Missed != 3 || list[0].State != "succeeded" {
		t.Fatalf("after three nights off: got %+v, want one catch-up that stands for three", list)
	}
	p, err := b.Book.Plan(t.Context(), "docs")
	if err != nil {
		t.Fatal(err)
	}
	if want := shanghai(t, "2026-11-19 22:00:00"); !p.NextDue.Equal(want) || p.Missed != 0 {
		t.Errorf("afterwards: next %s, missed %d; want %s and none, a good run came", p.NextDue, p.Missed, want)
	}
	b.Clock.Set(shanghai(t, "2026-11-19 22:00:01"))
	list = schedule(t, b, 2)
	if len(list) != 2 || list[0].Trigger != "schedule" || list[0].Missed != 0 {
		t.Errorf("in time: got %+v, want a second run by schedule", list)
	}
}

func TestClockJumpsBack(t *testing.T) {
	t.Parallel()
	b, _ := scheduled(t, shanghai(t, "2031-01-01 12:00:00")) // a flat battery, then the right time
	b.Clock.Set(shanghai(t, "2026-11-16 12:00:00"))
	schedule(t, b, 0)
	p, err := b.Book.Plan(t.Context(), "docs")
	if err != nil {
		t.Fatal(err)
	}
	if want := shanghai(t, "2026-11-16 22:00:00"); !p.NextDue.Equal(want) {
		t.Errorf("next due: got %s, want %s", p.NextDue, want)
	}
}

func TestMissedDrillIsTold(t *testing.T) {
	t.Parallel()
	b, _ := scheduled(t, shanghai(t, "2026-11-16 12:00:00"))
	b.Backup("docs")
	b.Clock.Set(shanghai(t, "2026-11-22 09:00:00")) // Sunday, six hours late
	schedule(t, b, 2)
	if told := b.Desk.Told(); len(told) != 1 || told[0] != "run.ticket.drillmissed" {
		t.Errorf("tickets: got %v, want one of the missed drill", told)
	}
	if p := b.Points("docs")[0]; p.Drill == "" && b.Points("docs")[1].Drill == "" {
		t.Errorf("the drill was not made up for: %+v", p)
	}
}

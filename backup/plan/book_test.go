package plan

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/store"
	"emrvault/backup"
)

// night is a book with a clock, a repository and a plan.
type night struct {
	t    *testing.T
	book *Book
	mu   sync.Mutex
	now  time.Time
	jobs int64
}

func open(t *testing.T) *night {
	t.Helper()
	n := &night{t: t, now: time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)} // noon in Shanghai
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "emrvault.db"), n.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	n.book = NewBook(st, zone)
	n.write(func(tx *store.Tx) error {
		_, err := InsertRepository(tx, Repository{Name: "main", Location: "/backup", Repository: "ab", BoxKey: "k"})
		return err
	})
	if _, err := n.book.Add(t.Context(), good()); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *night) clock() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (n *night) pass(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func (n *night) write(fn func(*store.Tx) error) {
	n.t.Helper()
	if err := n.book.Store().Write(context.Background(), fn); err != nil {
		n.t.Fatal(err)
	}
}

// run records a run that ends in a state; with a point unless it failed.
func (n *night) run(state string, change func(*Point)) {
	n.t.Helper()
	n.jobs++
	n.write(func(tx *store.Tx) error {
		p, err := Named(tx, "emr")
		if err != nil {
			return err
		}
		if err := BeginRun(tx, Run{Job: n.jobs, Plan: p.ID, Trigger: "schedule"}); err != nil {
			return err
		}
		if state != "failed" && state != "running" {
			point := Point{
				Snapshot: string(rune('a'+n.jobs)) + "bcdef", Plan: p.ID, Repository: p.RepositoryID, Job: n.jobs,
				AsOf: tx.Now, Began: tx.Now, Ended: tx.Now, Bytes: 1000, Added: 10,
			}
			if change != nil {
				change(&point)
			}
			if _, err := InsertPoint(tx, point); err != nil {
				return err
			}
		}
		if state == "running" {
			return nil
		}
		_, err = EndRun(tx, n.jobs, state, tx.Now)
		return err
	})
}

func (n *night) standing() Standing {
	n.t.Helper()
	s, err := n.book.Standing(n.t.Context(), "emr")
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

func TestStanding(t *testing.T) {
	for _, c := range []struct {
		name  string
		story func(n *night)
		state string
		safe  string
	}{
		{"new", func(*night) {}, StandNever, SafeNotSure},
		{"first run failed", func(n *night) { n.run("failed", nil) }, StandFailing, SafeNotSure},
		{"good", func(n *night) { n.run("succeeded", nil) }, StandGood, SafeYes},
		{"good, the next one runs", func(n *night) { n.run("succeeded", nil); n.pass(time.Hour); n.run("running", nil) }, StandGood, SafeYes},
		{"the next one failed", func(n *night) { n.run("succeeded", nil); n.pass(time.Hour); n.run("failed", nil) }, StandFailing, SafePartly},
		{"a person cancelled the next one", func(n *night) { n.run("succeeded", nil); n.pass(time.Hour); n.run("failed", nil); n.cancel() }, StandGood, SafeYes},
		{"a day without a run", func(n *night) { n.run("succeeded", nil); n.pass(26 * time.Hour) }, StandLate, SafeNotSure},
		{"within the grace", func(n *night) { n.run("succeeded", nil); n.pass(11 * time.Hour) }, StandGood, SafeYes},
		{"damaged after good", func(n *night) { n.run("succeeded", nil); n.pass(time.Hour); n.run("partial", damaged) }, StandDamaged, SafePartly},
		{"damaged from the start", func(n *night) { n.run("partial", damaged) }, StandDamaged, SafeNotSure},
		{"unreadable files", func(n *night) { n.run("partial", func(p *Point) { p.Problems = 2 }) }, StandGood, SafePartly},
		{"the drill failed", func(n *night) { n.run("succeeded", nil); n.pass(time.Hour); n.run("succeeded", nil); n.prove(true) }, StandUnsound, SafePartly},
		{"switched off", func(n *night) { n.run("succeeded", nil); n.off() }, StandOff, SafeYes},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := open(t)
			c.story(n)
			if s := n.standing(); s.State != c.state || s.Reason.IsZero() {
				t.Errorf("got %s (%+v), want %s", s.State, s.Reason, c.state)
			}
			o, err := n.book.Overview(t.Context())
			if err != nil || o.Safe != c.safe || o.Main == nil || len(o.Days) != 30 {
				t.Errorf("overview: got %s with %d days, %v; want %s", o.Safe, len(o.Days), err, c.safe)
			}
		})
	}
}

func damaged(p *Point) { p.Damaged = true }

func (n *night) cancel() {
	n.write(func(tx *store.Tx) error {
		_, err := EndRun(tx, n.jobs, "cancelled", tx.Now)
		return err
	})
}

func (n *night) off() {
	n.t.Helper()
	if err := n.book.SetEnabled(n.t.Context(), "emr", false); err != nil {
		n.t.Fatal(err)
	}
}

// prove notes a drill of the newest point.
func (n *night) prove(failed bool) {
	n.write(func(tx *store.Tx) error {
		p, err := Named(tx, "emr")
		if err != nil {
			return err
		}
		newest, err := Newest(tx, p.ID)
		if err != nil {
			return err
		}
		return SetProof(tx, newest.ID, Proof{Drill: "YL-2026-001", Failed: failed, Proof: backup.Proven, Percent: 100})
	})
}

func TestProofOnlyGrows(t *testing.T) {
	n := open(t)
	n.run("succeeded", nil)
	n.prove(false)
	n.write(func(tx *store.Tx) error { // a lighter drill later
		return SetProof(tx, 1, Proof{Drill: "YL-2026-002", Proof: backup.PartlyProven, Percent: 10})
	})
	if p, err := n.book.PointByID(t.Context(), 1); err != nil || p.Proof != backup.Proven || p.Percent != 100 {
		t.Errorf("after a lighter drill: got %s %d%%, %v; want proven", p.Proof, p.Percent, err)
	}
	n.prove(true)
	if p, err := n.book.PointByID(t.Context(), 1); err != nil || p.Proof != backup.Unproven || !p.Failed || !p.ProvenAt.IsZero() {
		t.Errorf("after a failed drill: got %+v, %v; want unproven and failed", p, err)
	}
}

func TestPlansAreEdited(t *testing.T) {
	n := open(t)
	ctx := t.Context()
	if _, err := n.book.Add(ctx, good()); errs.KindOf(err) != errs.Conflict || FieldOf(err) != "name" {
		t.Errorf("a name twice: got %v, want conflict about the name", err)
	}
	twin := good()
	twin.Name, twin.Source.Name = "twin", "emr"
	if _, err := n.book.Add(ctx, twin); FieldOf(err) != "source.name" {
		t.Errorf("a tag twice: got %v, want conflict about the tag", err)
	}
	twin.Repository = "nowhere"
	if _, err := n.book.Add(ctx, twin); FieldOf(err) != "repository" {
		t.Errorf("no such repository: got %v", err)
	}
	before, err := n.book.Plan(ctx, "emr")
	if err != nil {
		t.Fatal(err)
	}
	n.pass(24 * time.Hour) // now it is due
	changed := before
	changed.Title = "主库"
	after, err := n.book.Edit(ctx, "emr", changed)
	if err != nil || !after.NextDue.Equal(before.NextDue) || after.Title != "主库" {
		t.Errorf("a new title moved what is due: got %s, %v; want %s", after.NextDue, err, before.NextDue)
	}
	changed.Schedule = "0 6 * * *"
	if after, err = n.book.Edit(ctx, "emr", changed); err != nil || !after.NextDue.After(n.clock()) {
		t.Errorf("a new schedule: got due %s, %v; want it in the future", after.NextDue, err)
	}
	n.run("succeeded", nil)
	if err := n.book.Remove(ctx, "emr"); err != nil {
		t.Fatal(err)
	}
	if _, total, err := n.book.Points(ctx, PointFilter{}); err != nil || total != 1 {
		t.Errorf("points of a removed plan: got %d, %v; want 1", total, err)
	}
	if _, err := n.book.Add(ctx, good()); err != nil {
		t.Errorf("the name of a removed plan is free again: got %v", err)
	}
}

func TestPointsAreFound(t *testing.T) {
	n := open(t)
	ctx := t.Context()
	if _, err := n.book.Point(ctx, "emr"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("newest of none: got %v", err)
	}
	n.run("succeeded", func(p *Point) { p.Snapshot = "abcd11" })
	n.run("succeeded", func(p *Point) { p.Snapshot = "abcd22" })
	for word, want := range map[string]string{"emr": "abcd22", "latest:emr": "abcd22", "abcd1": "abcd11", "ABCD2": "abcd22", "#1": "abcd11"} {
		if p, err := n.book.Point(ctx, word); err != nil || p.Snapshot != want {
			t.Errorf("%s: got %s, %v; want %s", word, p.Snapshot, err, want)
		}
	}
	for word, want := range map[string]errs.Kind{"abcd": errs.Invalid, "abc": errs.NotFound, "ffff": errs.NotFound, "%%%%": errs.NotFound, "#x": errs.NotFound} {
		if _, err := n.book.Point(ctx, word); errs.KindOf(err) != want {
			t.Errorf("%s: got %v, want %s", word, err, want)
		}
	}
}

func TestRunsAreFiltered(t *testing.T) {
	n := open(t)
	n.run("succeeded", nil)
	n.prove(false)
	n.pass(24 * time.Hour)
	n.run("failed", nil)
	n.pass(24 * time.Hour)
	n.run("partial", func(p *Point) { p.Problems = 1 })
	for _, c := range []struct {
		name   string
		filter RunFilter
		want   int
	}{
		{"all", RunFilter{}, 3},
		{"in trouble", RunFilter{Trouble: true}, 2},
		{"not proven", RunFilter{Unproven: true}, 1},
		{"since yesterday", RunFilter{From: n.clock().Add(-25 * time.Hour)}, 2},
		{"of a stranger", RunFilter{Plan: "stranger"}, 0},
	} {
		list, total, err := n.book.Runs(t.Context(), c.filter)
		if err != nil || total != c.want || len(list) != c.want {
			t.Errorf("%s: got %d of %d, %v; want %d", c.name, len(list), total, err, c.want)
		}
	}
	o, err := n.book.Overview(t.Context())
	if err != nil || o.Runs != 3 || o.Good != 2 || o.Unproven != 1 || o.Days[29].Mark() != "partial" || o.Days[28].Mark() != "failed" || o.Days[27].Mark() != "good" {
		t.Errorf("overview: got %d runs, %d good, %d unproven, marks %s %s %s, %v", o.Runs, o.Good, o.Unproven, o.Days[27].Mark(), o.Days[28].Mark(), o.Days[29].Mark(), err)
	}
}

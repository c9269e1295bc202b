package sourcetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

func checkIsGood(t *testing.T, s Subject, _ Keeper) {
	must(t, "change", s.Change(t.Context()))
	findings, err := s.Source().Check(t.Context())
	must(t, "check", err)
	if len(findings) == 0 {
		t.Error("a check of a healthy source says nothing at all")
	}
	for _, f := range findings {
		if f.Level == source.Bad || f.Key == "" {
			t.Errorf("healthy source: got finding %+v, want none that is bad or without key", f)
		}
	}
}

func wreckAndRecover(t *testing.T, s Subject, k Keeper) {
	first, firstState := keepChanged(t, s, k)
	second, secondState := keepChanged(t, s, k)
	if firstState == secondState {
		t.Fatal("the subject's Change is not seen by its State")
	}
	must(t, "wreck", s.Wreck(t.Context()))
	bringBack(t, s, first, firstState)
	bringBack(t, s, second, secondState)
}

// keepChanged makes a change and captures it.
func keepChanged(t *testing.T, s Subject, k Keeper) (source.Point, string) {
	t.Helper()
	must(t, "change", s.Change(t.Context()))
	state, err := s.State(t.Context())
	must(t, "state", err)
	point, c, err := k.Keep(t.Context(), s.Source())
	must(t, "capture", err)
	if c.Damaged {
		t.Fatalf("healthy source was captured as damaged: %+v", c.Findings)
	}
	after, err := s.State(t.Context())
	must(t, "state after capture", err)
	if after != state {
		t.Fatalf("the capture changed its source: got %s, want %s", after, state)
	}
	return point, state
}

func bringBack(t *testing.T, s Subject, point source.Point, want string) {
	t.Helper()
	target := s.Target()
	must(t, "recover", s.Source().Recover(t.Context(), point, target))
	got, err := s.Recovered(t.Context(), target)
	must(t, "state of what was recovered", err)
	if got != want {
		t.Errorf("recovered: got %s, want %s", got, want)
	}
}

func wreckIsTold(t *testing.T, s Subject, k Keeper) {
	must(t, "change", s.Change(t.Context()))
	must(t, "wreck", s.Wreck(t.Context()))
	findings, err := s.Source().Check(t.Context())
	if err == nil && !hasBad(findings) {
		t.Errorf("check of a wrecked source: got %+v, want a bad finding", findings)
	}
	_, c, err := k.Keep(t.Context(), s.Source())
	if err == nil && (!c.Damaged || !hasBad(c.Findings)) {
		t.Errorf("capture of a wrecked source: got no error and %+v, want it told", c)
	}
}

func factsAreKept(t *testing.T, s Subject, k Keeper) {
	must(t, "change", s.Change(t.Context()))
	before := time.Now()
	point, c, err := k.Keep(t.Context(), s.Source())
	must(t, "capture", err)
	if c.AsOf.Before(before.Add(-time.Minute)) || c.AsOf.After(time.Now()) || c.AsOf.Location() != time.UTC {
		t.Errorf("AsOf: got %v, want a moment of the capture (began %v) in UTC", c.AsOf, before)
	}
	if c.Kind == "" || c.Began.IsZero() {
		t.Errorf("capture: got kind %q, began %v, want both", c.Kind, c.Began)
	}
	facts, err := point.Facts(t.Context())
	must(t, "facts", err)
	if facts == nil {
		return // a source of files leaves none
	}
	if !facts.AsOf.Equal(c.AsOf) || facts.Kind != c.Kind || !reflect.DeepEqual(facts.Findings, c.Findings) {
		t.Errorf("facts in the point: got %+v, want %+v", facts, c)
	}
}

func targetInUse(t *testing.T, s Subject, k Keeper) {
	point, want := keepChanged(t, s, k)
	target := s.Target()
	must(t, "occupy", s.Occupy(t.Context(), target))
	err := s.Source().Recover(t.Context(), point, target)
	if !errors.Is(err, backup.ErrTargetNotEmpty) {
		t.Fatalf("recover into a target in use: got %v, want %v", err, backup.ErrTargetNotEmpty)
	}
	if got, err := s.Recovered(t.Context(), target); err == nil && got == want {
		t.Error("the refused recovery wrote all the same")
	}
	target.Confirm = true
	must(t, "confirmed recovery", s.Source().Recover(t.Context(), point, target))
	got, err := s.Recovered(t.Context(), target)
	must(t, "state of what was recovered", err)
	if got != want {
		t.Errorf("confirmed recovery: got %s, want %s", got, want)
	}
}

func cancelled(t *testing.T, s Subject, k Keeper) {
	must(t, "change", s.Change(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	_, _, err := k.Keep(ctx, s.Source())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("capture with a cancelled context: got %v, want %v", err, context.Canceled)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("cancelled capture took %v, want it to end soon", took)
	}
}

func whileWritten(t *testing.T, s Subject, k Keeper) {
	busy, ok := s.(Busy)
	if !ok {
		t.Skip("the subject has no writers beside a capture (implement sourcetest.Busy)")
	}
	must(t, "change", s.Change(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	type outcome struct {
		writes Writes
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		writes, err := busy.Write(ctx)
		done <- outcome{writes, err}
	}()
	var points []source.Point
	var keepErr error
	for range 3 {
		time.Sleep(50 * time.Millisecond) // writers are under way
		point, c, err := k.Keep(t.Context(), s.Source())
		if err != nil || c.Damaged {
			keepErr = errors.Join(err, errors.New("captured while written: an error, or marked damaged"))
			break
		}
		points = append(points, point)
	}
	stop()
	out := <-done
	must(t, "capture beside writers", keepErr)
	must(t, "writers beside captures", out.err)
	if out.writes.Commits < 3 {
		t.Errorf("writers committed %d times, want them to get on", out.writes.Commits)
	}
	if out.writes.Longest > busy.Patience() {
		t.Errorf("the longest commit took %v, want at most %v", out.writes.Longest, busy.Patience())
	}
	t.Logf("%d commits beside 3 captures, the longest took %v", out.writes.Commits, out.writes.Longest)
	for _, point := range points {
		target := s.Target()
		must(t, "recover", s.Source().Recover(t.Context(), point, target))
		must(t, "what every commit keeps true", busy.Sound(t.Context(), target))
	}
}

func damagedIsMarked(t *testing.T, s Subject, k Keeper) {
	breakable, ok := s.(Breakable)
	if !ok {
		t.Skip("the subject has no way to be damaged and still captured (implement sourcetest.Breakable)")
	}
	must(t, "change", s.Change(t.Context()))
	must(t, "break", breakable.Break(t.Context()))
	point, c, err := k.Keep(t.Context(), s.Source())
	must(t, "capture of a damaged source", err)
	if !c.Damaged || !hasBad(c.Findings) {
		t.Errorf("damaged source: got damaged %v, findings %+v, want it marked with a bad finding", c.Damaged, c.Findings)
	}
	facts, err := point.Facts(t.Context())
	must(t, "facts", err)
	if facts == nil || !facts.Damaged {
		t.Errorf("facts of a damaged capture: got %+v, want them marked", facts)
	}
	if err := s.Source().Recover(t.Context(), point, s.Target()); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("recovery of a damaged capture: got %v, want %v", err, backup.ErrDamaged)
	}
}

func hasBad(findings []source.Finding) bool {
	for _, f := range findings {
		if f.Level == source.Bad {
			return true
		}
	}
	return false
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

package run

import (
	"errors"
	"testing"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/appliance/schedule"
)

func TestLapse(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		moment, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, c := range []struct {
		name, words, due, now string
		missed                int
		trigger               jobs.Trigger
	}{
		{"in time", "0 22 * * *", "2026-03-01 22:00", "2026-03-01 22:00", 0, jobs.Schedule},
		{"a little late", "0 22 * * *", "2026-03-01 22:00", "2026-03-01 22:04", 0, jobs.Schedule},
		{"hours late", "0 22 * * *", "2026-03-01 22:00", "2026-03-02 06:00", 1, jobs.CatchUp},
		{"a week off", "0 22 * * *", "2026-03-01 22:00", "2026-03-08 12:00", 7, jobs.CatchUp},
		{"a week off, back in time", "0 22 * * *", "2026-03-01 22:00", "2026-03-08 22:01", 7, jobs.CatchUp},
		{"every minute, an hour off", "* * * * *", "2026-03-01 10:00", "2026-03-01 11:00", 60, jobs.CatchUp},
		{"over a skipped hour", "30 2 * * *", "2026-03-28 02:30", "2026-03-30 12:00", 3, jobs.CatchUp},
		{"over a doubled hour", "30 2 * * *", "2026-10-24 02:30", "2026-10-26 12:00", 3, jobs.CatchUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := schedule.Parse(c.words, berlin)
			if err != nil {
				t.Fatal(err)
			}
			got := lapseOf(s, at(c.due), at(c.now))
			if got.missed != c.missed || got.trigger != c.trigger {
				t.Errorf("got %d missed by %s, want %d by %s", got.missed, got.trigger, c.missed, c.trigger)
			}
		})
	}
}

func TestStepKeepsWhatCouldNotBeHandedIn(t *testing.T) {
	s, err := schedule.Parse("0 22 * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	due := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	full := errors.New("database is full")
	if next, err := step(s, due, due.Add(time.Second), func(lapse) error { return full }); !errors.Is(err, full) || !next.Equal(due) {
		t.Errorf("got %s, %v; want it due still", next, err)
	}
	if next, err := step(s, due, due.Add(time.Second), func(lapse) error { return nil }); err != nil || !next.Equal(due.AddDate(0, 0, 1)) {
		t.Errorf("got %s, %v; want the next day", next, err)
	}
	if next, err := step(schedule.Schedule{}, due, due.Add(time.Second), func(lapse) error { return full }); err != nil || !next.IsZero() {
		t.Errorf("a plan by hand only: got %s, %v; want nothing due", next, err)
	}
}

package schedule_test

import (
	"testing"
	"time"

	"emrvault/appliance/schedule"
)

// A box whose clock battery is flat wakes up in 1970 and is put right by the
// network a moment later. Counting what went by must not keep it from its work.
func TestAJumpOfTheClockIsCountedSoon(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	s, err := schedule.Parse("* * * * *", zone)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	n := s.Missed(time.Unix(0, 0), time.Date(2026, 11, 22, 18, 0, 0, 0, zone))
	if took := time.Since(began); took > 2*time.Second || n != schedule.Many {
		t.Errorf("%d missed moments counted in %s, want an answer within two seconds", n, took)
	}
}

package drill

import (
	"encoding/json"
	"testing"
	"time"
)

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		got, sign, want string
		holds           bool
	}{
		{"10", "=", "10", true},
		{"10", "=", "10.0", true},
		{"9", "<", "10", true}, // as numbers, not as text
		{"010", ">=", "10", true},
		{"ok", "=", "ok", true},
		{"ok", "!=", "damaged", true},
		{"", "=", "0", false}, // no row is no zero
		{"", "!=", "", false},
		{"2026-11-22", ">=", "2026-11-21", true},
		{"1", "~", "1", false},
	} {
		if got := holds(c.got, c.sign, c.want); got != c.holds {
			t.Errorf("%q %s %q: got %v, want %v", c.got, c.sign, c.want, got, c.holds)
		}
	}
}

func TestMoment(t *testing.T) {
	zone := time.FixedZone("UTC+8", 8*3600)
	want := time.Date(2026, 11, 22, 14, 30, 5, 0, time.UTC)
	for _, text := range []string{
		"2026-11-22T14:30:05Z", "2026-11-22T22:30:05+08:00", "2026-11-22 22:30:05", "2026-11-22T22:30:05",
		"1795357805", "1795357805000", " 2026-11-22 22:30:05.000 ",
	} {
		if got, err := moment(text, zone); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1", "1e300"} {
		if got, err := moment(text, zone); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func FuzzMoment(f *testing.F) {
	f.Add("2026-11-22 22:30:05")
	f.Add("1795357805")
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := moment(text, time.UTC); err == nil && at.IsZero() && text == "" {
			t.Errorf("%q reads as no moment", text)
		}
	})
}

func TestSeconds(t *testing.T) {
	text, err := json.Marshal(Seconds(1234567 * time.Microsecond))
	if err != nil || string(text) != "1.235" {
		t.Errorf("got %s, %v; want 1.235", text, err)
	}
	var back Seconds
	if err := json.Unmarshal(text, &back); err != nil || back.D() != 1235*time.Millisecond {
		t.Errorf("got %s, %v; want 1.235s", back.D(), err)
	}
}

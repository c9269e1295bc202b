package limit_test

import (
	"errors"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage/limit"
)

func TestParseSchedule(t *testing.T) {
	tests := []struct{ text, want string }{
		{"07:00-19:00 10MiB, else unlimited", "07:00-19:00 10MiB, else unlimited"},
		{"07:00-19:00 10MiB", "07:00-19:00 10MiB, else unlimited"},
		{"7:30-18:00 512kib/s,else 2GiB", "07:30-18:00 512KiB, else 2GiB"},
		{"22:00-06:00 unlimited, else 1.5MiB", "22:00-06:00 unlimited, else 1536KiB"},
		{"mon-fri 08:00-12:00 1MiB, sat+Sun 09:00-24:00 20Mbit, else 50MB", "Mon-Fri 08:00-12:00 1MiB, Sat+Sun 09:00-24:00 2500000B, else 50000000B"},
		{"Fri-Mon 00:00-24:00 1MiB", "Mon+Fri-Sun 00:00-24:00 1MiB, else unlimited"},
		{"Mon-Sun 01:00-02:00 1GB", "01:00-02:00 1000000000B, else unlimited"},
		{"Wed+Mon 01:00-02:00 1MiB", "Mon+Wed 01:00-02:00 1MiB, else unlimited"},
		{"unlimited", "unlimited"},
		{"10MiB", "10MiB"},
		{"else 10MiB", "10MiB"},
	}
	for _, tt := range tests {
		s, err := limit.ParseSchedule(tt.text, nil)
		if err != nil || s.String() != tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.text, s, err, tt.want)
		}
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, text := range []string{
		"", ",", "10MiB,", "else", "else 1MiB, 07:00-08:00 1MiB", "07:00-08:00", "07:00 1MiB", "07:00-07:00 1MiB",
		"24:00-07:00 1MiB", "25:00-07:00 1MiB", "07:60-08:00 1MiB", "7:0-8:00 1MiB", "-1:00-8:00 1MiB", "Xyz 07:00-08:00 1MiB",
		"Mon- 07:00-08:00 1MiB", "10", "MiB", "-5MiB", "1KiB", "0MiB", "1e99GiB", "NaNMiB", "10Mb", "10xB", "07:00-08:00 1MiB 2MiB 3MiB",
	} {
		if s, err := limit.ParseSchedule(text, nil); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%q: got %q, %v; want it refused", text, s, err)
		}
	}
}

func TestRate(t *testing.T) {
	shanghai := time.FixedZone("Shanghai", 8*60*60)
	const mib = 1 << 20
	// 2026-11-23 is a Monday.
	tests := []struct {
		schedule, at string
		want         int64
	}{
		{"07:00-19:00 10MiB, else unlimited", "2026-11-23 06:59:59", 0},
		{"07:00-19:00 10MiB, else unlimited", "2026-11-23 07:00:00", 10 * mib},
		{"07:00-19:00 10MiB, else unlimited", "2026-11-23 18:59:59", 10 * mib},
		{"07:00-19:00 10MiB, else unlimited", "2026-11-23 19:00:00", 0},
		{"22:00-06:00 unlimited, else 1MiB", "2026-11-23 23:00:00", 0},
		{"22:00-06:00 unlimited, else 1MiB", "2026-11-23 05:59:00", 0},
		{"22:00-06:00 unlimited, else 1MiB", "2026-11-23 06:00:00", mib},
		{"Fri 22:00-06:00 5MiB, else 1MiB", "2026-11-28 05:00:00", 5 * mib}, // Saturday morning is Friday's night
		{"Fri 22:00-06:00 5MiB, else 1MiB", "2026-11-27 05:00:00", mib},
		{"Sun 22:00-06:00 5MiB, else 1MiB", "2026-11-23 05:00:00", 5 * mib}, // over the end of the week
		{"Mon-Fri 08:00-12:00 2MiB, 00:00-24:00 3MiB, else 9MiB", "2026-11-23 08:00:00", 2 * mib},
		{"Mon-Fri 08:00-12:00 2MiB, 00:00-24:00 3MiB, else 9MiB", "2026-11-22 08:00:00", 3 * mib},
		{"4MiB", "2026-11-22 08:00:00", 4 * mib},
		{"unlimited", "2026-11-22 08:00:00", 0},
	}
	for _, tt := range tests {
		s, err := limit.ParseSchedule(tt.schedule, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation(time.DateTime, tt.at, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Rate(at.UTC()); got != tt.want {
			t.Errorf("%s at %s: got %d, want %d", tt.schedule, tt.at, got, tt.want)
		}
	}
}

func TestIsZero(t *testing.T) {
	for text, want := range map[string]bool{
		"unlimited": true, "07:00-19:00 unlimited": true, "10MiB": false, "07:00-19:00 1MiB, else unlimited": false,
	} {
		if s, err := limit.ParseSchedule(text, nil); err != nil || s.IsZero() != want {
			t.Errorf("%q: got %v, %v; want %v", text, s.IsZero(), err, want)
		}
	}
	if !(limit.Schedule{}).IsZero() || (limit.Schedule{}).String() != "unlimited" || (limit.Schedule{}).Rate(time.Now()) != 0 {
		t.Error("the zero schedule limits something")
	}
}

// FuzzParseSchedule proves that what is read can be written and read again.
func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"07:00-19:00 10MiB, else unlimited", "Mon-Fri+Sun 22:00-06:00 1.5kB, else 20Mbit", "else 1GiB/s", "1e2MiB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := limit.ParseSchedule(text, nil)
		if err != nil {
			if !errors.Is(err, backup.ErrInvalid) {
				t.Fatalf("%q: got %v, want backup.ErrInvalid", text, err)
			}
			return
		}
		again, err := limit.ParseSchedule(s.String(), nil)
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is written %q and read again as %q, %v", text, s, again, err)
		}
		for hour := range 7 * 24 {
			at := time.Date(2026, 11, 22, hour, hour%60, 0, 0, time.UTC)
			if s.Rate(at) != again.Rate(at) {
				t.Fatalf("%q: at %s got %d, want %d", text, at, again.Rate(at), s.Rate(at))
			}
		}
	})
}

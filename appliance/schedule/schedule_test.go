package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/schedule"
)

const layout = "2006-01-02 15:04 -0700"

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("load zone %s: %v", name, err)
	}
	return loc
}

func parse(t testing.TB, words string, loc *time.Location) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(words, loc)
	if err != nil {
		t.Fatalf("parse %q: %v", words, err)
	}
	return s
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(layout, text)
	if err != nil {
		t.Fatalf("parse moment: %v", err)
	}
	return m
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, words, zone, after string
		want                     []string
	}{
		{"every night", "0 22 * * *", "Asia/Shanghai", "2026-11-22 22:00 +0800",
			[]string{"2026-11-23 22:00 +0800", "2026-11-24 22:00 +0800"}},
		{"seconds count", "0 22 * * *", "Asia/Shanghai", "2026-11-22 21:59 +0800",
			[]string{"2026-11-22 22:00 +0800"}},
		{"asked in another zone", "0 22 * * *", "Asia/Shanghai", "2026-11-22 13:59 +0000",
			[]string{"2026-11-22 22:00 +0800", "2026-11-23 22:00 +0800"}},
		{"short form", "@weekly", "Asia/Shanghai", "2026-11-22 00:00 +0800",
			[]string{"2026-11-29 00:00 +0800"}},
		{"Sunday is also 7", "30 2 * * 7", "Asia/Shanghai", "2026-11-22 02:30 +0800",
			[]string{"2026-11-29 02:30 +0800"}},
		{"either day will do", "0 6 1 * mon", "Asia/Shanghai", "2026-11-23 06:00 +0800",
			[]string{"2026-11-30 06:00 +0800", "2026-12-01 06:00 +0800", "2026-12-07 06:00 +0800"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-11-22 00:00 +0000",
			[]string{"2028-02-29 00:00 +0000", "2032-02-29 00:00 +0000"}},
		{"no leap day in 2100", "0 0 29 2 *", "UTC", "2096-03-01 00:00 +0000",
			[]string{"2104-02-29 00:00 +0000"}},
		{"spring skips it", "30 2 * * *", "Europe/Berlin", "2026-03-28 02:30 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"}},
		{"two times in one gap are one", "15,45 2 * * *", "Europe/Berlin", "2026-03-28 02:45 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:15 +0200"}},
		{"the hour after the gap", "0 2,3 * * *", "Europe/Berlin", "2026-03-28 03:00 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:00 +0200"}},
		{"autumn shows it twice", "30 2 * * *", "Europe/Berlin", "2026-10-24 02:30 +0200",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}},
		{"asked between the two showings", "30 2 * * *", "Europe/Berlin", "2026-10-25 02:10 +0100",
			[]string{"2026-10-26 02:30 +0100"}},
		{"a rhythm goes on through autumn", "0 * * * *", "Europe/Berlin", "2026-10-25 01:00 +0200",
			[]string{"2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00 +0100"}},
		{"a rhythm goes on through spring", "*/30 * * * *", "Europe/Berlin", "2026-03-29 01:00 +0100",
			[]string{"2026-03-29 01:30 +0100", "2026-03-29 03:00 +0200", "2026-03-29 03:30 +0200"}},
		{"midnight does not exist", "0 0 * * *", "America/Sao_Paulo", "2018-11-03 00:00 -0300",
			[]string{"2018-11-04 01:00 -0200", "2018-11-05 00:00 -0200"}},
		{"a whole day does not exist", "0 12 * * *", "Pacific/Apia", "2011-12-29 12:00 -1000",
			[]string{"2011-12-31 00:00 +1400", "2011-12-31 12:00 +1400"}},
		{"clocks jump by half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 02:15 +1030",
			[]string{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.words, zone(t, c.zone))
			at := moment(t, c.after)
			for i, want := range c.want {
				at = s.Next(at)
				if got := at.Format(layout); got != want {
					t.Fatalf("run %d of %q = %s, want %s", i+1, c.words, got, want)
				}
			}
		})
	}
}

func TestNextOfNothing(t *testing.T) {
	var s schedule.Schedule
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	if !s.IsZero() || !s.Next(now).IsZero() || s.Missed(now, now.AddDate(1, 0, 0)) != 0 {
		t.Errorf("the zero schedule is due, want never")
	}
}

func TestMissed(t *testing.T) {
	for _, c := range []struct {
		name, words, since, now string
		want                    int
	}{
		{"three nights off", "0 22 * * *", "2026-11-19 22:00 +0800", "2026-11-22 22:00 +0800", 3},
		{"not yet", "0 22 * * *", "2026-11-22 22:00 +0800", "2026-11-23 21:59 +0800", 0},
		{"clock set back", "0 22 * * *", "2026-11-22 22:00 +0800", "2026-11-01 00:00 +0800", 0},
		{"a year of quarter hours", "*/15 * * * *", "2025-01-01 00:00 +0800", "2026-01-01 00:00 +0800", 365 * 96},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.words, zone(t, "Asia/Shanghai"))
			if got := s.Missed(moment(t, c.since), moment(t, c.now)); got != c.want {
				t.Errorf("missed %q = %d, want %d", c.words, got, c.want)
			}
		})
	}
}

func TestWrongWords(t *testing.T) {
	for _, c := range []struct{ name, words, want string }{
		{"empty", "", "has 0 words"},
		{"four words", "0 22 * *", "has 4 words"},
		{"six words", "0 0 22 * * *", "has 6 words"},
		{"unknown name", "@nightly", "@nightly"},
		{"minute too large", "60 22 * * *", `word 1, "60"`},
		{"hour too large", "0 24 * * *", `word 2, "24"`},
		{"day zero", "0 0 0 * *", `word 3, "0"`},
		{"month by wrong name", "0 0 1 jam *", `word 4, "jam"`},
		{"weekday eight", "0 0 * * 8", `word 5, "8"`},
		{"backwards", "0 18-8 * * *", `word 2, "18-8"`},
		{"step zero", "*/0 * * * *", `word 1, "*/0"`},
		{"step of nothing", "*/ * * * *", `word 1, "*/"`},
		{"list with a hole", "1,,2 * * * *", `word 1, "1,,2"`},
		{"minus", "-5 * * * *", `word 1, "-5"`},
		{"full-width digit", "０ 22 * * *", `word 1, "０"`},
		{"huge number", "99999999999999999999 * * * *", `word 1,`},
		{"never comes", "0 0 31 4,6 *", "never comes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := schedule.Parse(c.words, time.UTC)
			if errs.KindOf(err) != errs.Invalid {
				t.Fatalf("parse %q: %v, want an invalid error", c.words, err)
			}
			if got := locale.English.Error(err); !strings.Contains(got, c.want) {
				t.Errorf("error = %q, want it to say %q", got, c.want)
			}
			if text := locale.Chinese.Error(err); strings.Contains(text, "{") || text == locale.English.Error(err) {
				t.Errorf("Chinese error = %q", text)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ words, zh, en string }{
		{"0 22 * * *", "每天 22:00", "every day at 22:00"},
		{"@daily", "每天 00:00", "every day at 00:00"},
		{"0 2 * * 0", "每周日 02:00", "Sundays at 02:00"},
		{"30 2 * * 7,3", "每周日、每周三 02:30", "Sundays, Wednesdays at 02:30"},
		{"0 7,19 * * 1-5", "每周一至周五 07:00、19:00", "Monday to Friday at 07:00, 19:00"},
		{"0 */2 * * *", "每 2 小时", "every 2 hours"},
		{"15 */6 * * *", "每 6 小时的第 15 分", "every 6 hours at minute 15"},
		{"*/15 * * * *", "每 15 分钟", "every 15 minutes"},
		{"* * * * *", "每分钟", "every minute"},
		{"5 * * * *", "每小时第 05 分", "every hour at minute 05"},
		{"0 3 1,15 * *", "每月 1 日、15 日 03:00", "every month on day 1, 15 at 03:00"},
		{"0 0 1 1 *", "按计划 0 0 1 1 *", "on schedule 0 0 1 1 *"},
		{"0 6 1 * 1", "按计划 0 6 1 * 1", "on schedule 0 6 1 * 1"},
		{"7-59/13 8-18 * * *", "按计划 7-59/13 8-18 * * *", "on schedule 7-59/13 8-18 * * *"},
	} {
		s := parse(t, c.words, time.UTC)
		if got := s.Describe(locale.Chinese); got != c.zh {
			t.Errorf("%s in Chinese = %q, want %q", c.words, got, c.zh)
		}
		if got := s.Describe(locale.English); got != c.en {
			t.Errorf("%s in English = %q, want %q", c.words, got, c.en)
		}
	}
	if got := (schedule.Schedule{}).Describe(locale.Chinese); got != "仅手动" {
		t.Errorf("zero schedule = %q, want 仅手动", got)
	}
}

// word draws a cron word that our parser and the reference read alike.
func word(lo, hi int) *rapid.Generator[string] {
	value := rapid.IntRange(lo, hi)
	return rapid.OneOf(
		rapid.Just("*"),
		rapid.Map(value, func(v int) string { return fmt.Sprint(v) }),
		rapid.Map(rapid.IntRange(2, 6), func(step int) string { return fmt.Sprintf("*/%d", step) }),
		rapid.Custom(func(t *rapid.T) string {
			list := rapid.SliceOfN(value, 2, 4).Draw(t, "list")
			slices.Sort(list)
			return fmt.Sprintf("%d-%d,%d", list[0], list[len(list)-1], list[0])
		}),
	)
}

func words() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join([]string{
			word(0, 59).Draw(t, "minute"), word(0, 23).Draw(t, "hour"), word(1, 28).Draw(t, "day"),
			word(1, 12).Draw(t, "month"), word(0, 6).Draw(t, "weekday"),
		}, " ")
	})
}

// TestNextAgreesWithCron compares with the customary cron library in a zone
// whose clocks do not jump.
func TestNextAgreesWithCron(t *testing.T) {
	loc := zone(t, "Asia/Shanghai")
	rapid.Check(t, func(t *rapid.T) {
		text := words().Draw(t, "words")
		reference, err := cron.ParseStandard(text)
		if err != nil {
			t.Fatalf("reference refuses %q: %v", text, err)
		}
		s, err := schedule.Parse(text, loc)
		if err != nil {
			t.Fatalf("parse %q: %v", text, err)
		}
		after := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "after"), 0).In(loc)
		if got, want := s.Next(after), reference.Next(after); !got.Equal(want) {
			t.Fatalf("%q after %v = %v, want %v", text, after, got, want)
		}
	})
}

// TestJumpingClocks holds what must be true in every zone: runs go forward,
// each shows a named time or the end of a gap, and counting them one by one
// gives what Missed says.
func TestJumpingClocks(t *testing.T) {
	zones := []string{"Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		hour, minute := rapid.IntRange(0, 4).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		s, err := schedule.Parse(fmt.Sprintf("%d %d * * *", minute, hour), loc)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Unix(rapid.Int64Range(1_300_000_000, 1_900_000_000).Draw(t, "begin"), 0)
		const days = 400
		at, seen := begin, map[string]bool{}
		for range days {
			next := s.Next(at)
			if !next.After(at) {
				t.Fatalf("after %v comes %v, want later", at, next)
			}
			day := next.Format("2006-01-02")
			if seen[day] {
				t.Fatalf("two runs on %s", day)
			}
			seen[day] = true
			if shown := next.Hour() == hour && next.Minute() == minute; !shown && sameZone(next, next.Add(-time.Second)) {
				t.Fatalf("run at %v, want %02d:%02d or the end of a gap", next, hour, minute)
			}
			at = next
		}
		if got := s.Missed(begin, at); got != days {
			t.Fatalf("missed = %d, want %d", got, days)
		}
	})
}

func sameZone(a, b time.Time) bool {
	_, x := a.Zone()
	_, y := b.Zone()
	return x == y
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0 22 * * *", "@daily", "*/15 8-18 1,15 jan-mar mon", "? ? ? ? ?", "1-5/2,7 * * * 7"} {
		f.Add(seed)
	}
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, words string) {
		s, err := schedule.Parse(words, zone(t, "Europe/Berlin"))
		if err != nil {
			if errs.KindOf(err) != errs.Invalid {
				t.Fatalf("parse %q: %v, want an invalid error", words, err)
			}
			return
		}
		if next := s.Next(now); !next.After(now) {
			t.Errorf("%q is next due %v, want after %v", words, next, now)
		}
		again, err := schedule.Parse(s.Words(), s.Location())
		if err != nil || !again.Next(now).Equal(s.Next(now)) {
			t.Errorf("%q read back as %q differs (%v)", words, s.Words(), err)
		}
	})
}

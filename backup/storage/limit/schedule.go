package limit

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"emrvault/backup"
)

// Schedule says how many bytes a second may cross a line at which hour. Of
// several rules the first that fits counts. The zero value means no limit.
type Schedule struct {
	rules []rule
	rest  int64 // bytes a second outside the rules; zero: no limit
	zone  *time.Location
}

// rule is a span of the day, on the days on which it begins.
type rule struct {
	days     days
	from, to int   // minutes since midnight; to is before from when the span ends on the next day
	rate     int64 // bytes a second; zero: no limit
}

// days is a set of weekdays, Sunday in the lowest bit.
type days uint8

const (
	everyDay  days = 1<<7 - 1
	dayLength      = 24 * 60
	unlimited      = "unlimited"
)

// Bounds of a rate. Less than the slowest would let every transfer look dead.
const (
	slowest = 16 << 10
	fastest = 1 << 40
)

// ParseSchedule reads a schedule such as
//
//	07:00-19:00 10MiB, else unlimited
//	Mon-Fri 07:30-18:00 512KiB, Sat+Sun 08:00-12:00 2MiB, else 50MiB
//	20Mbit
//
// Rates are per second: unlimited, or a number with B, KiB, MiB, GiB, kB, MB,
// GB, kbit, Mbit or Gbit. A span may go past midnight. zone nil is UTC.
func ParseSchedule(text string, zone *time.Location) (Schedule, error) {
	s := Schedule{zone: zone}
	parts := strings.Split(text, ",")
	for i, part := range parts {
		words := strings.Fields(part)
		last := i == len(parts)-1
		var err error
		switch {
		case len(words) == 0:
			err = fmt.Errorf("a rule is empty: %w", backup.ErrInvalid)
		case strings.EqualFold(words[0], "else") && len(words) == 2 && last:
			s.rest, err = parseRate(words[1])
		case len(words) == 1 && len(parts) == 1:
			s.rest, err = parseRate(words[0])
		default:
			var r rule
			r, err = parseRule(words)
			s.rules = append(s.rules, r)
		}
		if err != nil {
			return Schedule{}, fmt.Errorf("bandwidth %q: %w", strings.TrimSpace(part), err)
		}
	}
	return s, nil
}

func parseRule(words []string) (r rule, err error) {
	r.days = everyDay
	if len(words) == 3 {
		if r.days, err = parseDays(words[0]); err != nil {
			return r, err
		}
		words = words[1:]
	}
	if len(words) != 2 {
		return r, fmt.Errorf(`write it like "07:00-19:00 10MiB", with days like "Mon-Fri" before it, or at the end "else unlimited": %w`, backup.ErrInvalid)
	}
	from, to, ok := strings.Cut(words[0], "-")
	if !ok {
		return r, fmt.Errorf("%q is no span like 07:00-19:00: %w", words[0], backup.ErrInvalid)
	}
	if r.from, err = parseClock(from); err != nil {
		return r, err
	}
	if r.to, err = parseClock(to); err != nil {
		return r, err
	}
	if r.from == r.to || r.from == dayLength {
		return r, fmt.Errorf("the span %s never begins; all day is 00:00-24:00: %w", words[0], backup.ErrInvalid)
	}
	r.rate, err = parseRate(words[1])
	return r, err
}

func parseClock(text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	hour, errH := strconv.ParseUint(h, 10, 8)
	minute, errM := strconv.ParseUint(m, 10, 8)
	at := int(hour)*60 + int(minute)
	if !ok || errH != nil || errM != nil || len(m) != 2 || len(h) > 2 || minute > 59 || at > dayLength {
		return 0, fmt.Errorf("%q is no time of day like 07:00: %w", text, backup.ErrInvalid)
	}
	return at, nil
}

// dayNames are in the order of time.Weekday.
var dayNames = [7]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

func parseDay(text string) (int, error) {
	for i, name := range dayNames {
		if strings.EqualFold(name, text) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is no day; the days are Mon Tue Wed Thu Fri Sat Sun: %w", text, backup.ErrInvalid)
}

func parseDays(text string) (set days, err error) {
	for part := range strings.SplitSeq(text, "+") {
		a, b, span := strings.Cut(part, "-")
		if !span {
			b = a
		}
		from, err := parseDay(a)
		if err != nil {
			return 0, err
		}
		to, err := parseDay(b)
		if err != nil {
			return 0, err
		}
		for d := from; ; d = (d + 1) % 7 {
			set |= 1 << d
			if d == to {
				break
			}
		}
	}
	return set, nil
}

// units are those that people write; those that String writes come first.
var units = []struct {
	name string
	size float64 // bytes
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"Gbit", 1e9 / 8}, {"Mbit", 1e6 / 8}, {"kbit", 1e3 / 8},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

func parseRate(text string) (int64, error) {
	text = strings.TrimSuffix(text, "/s")
	if strings.EqualFold(text, unlimited) {
		return 0, nil
	}
	for _, u := range units {
		number, ok := cutSuffixFold(text, u.name)
		if !ok {
			continue
		}
		if strings.HasSuffix(u.name, "B") && strings.HasSuffix(text, "b") && !strings.HasSuffix(strings.ToLower(u.name), "ib") {
			return 0, fmt.Errorf("%q may mean bits or bytes, write Mbit or MB: %w", text, backup.ErrInvalid)
		}
		n, err := strconv.ParseFloat(number, 64)
		rate := math.Round(n * u.size)
		switch {
		case err != nil || math.IsNaN(rate):
			return 0, noRate(text)
		case rate < slowest || rate > fastest:
			return 0, fmt.Errorf("%s a second is not between 16KiB and 1024GiB: %w", text, backup.ErrInvalid)
		}
		return int64(rate), nil
	}
	return 0, noRate(text)
}

func noRate(text string) error {
	return fmt.Errorf("%q is no rate like 10MiB, 20Mbit or unlimited: %w", text, backup.ErrInvalid)
}

func cutSuffixFold(text, suffix string) (string, bool) {
	n := len(text) - len(suffix)
	if n <= 0 || !strings.EqualFold(text[n:], suffix) {
		return text, false
	}
	return text[:n], true
}

// IsZero tells whether there is no limit at any time.
func (s Schedule) IsZero() bool {
	for _, r := range s.rules {
		if r.rate != 0 {
			return false
		}
	}
	return s.rest == 0
}

// Rate tells the bytes a second at a moment; zero for no limit.
func (s Schedule) Rate(t time.Time) int64 {
	local := t.In(cmp.Or(s.zone, time.UTC))
	day, minute := local.Weekday(), local.Hour()*60+local.Minute()
	for _, r := range s.rules {
		if r.fits(day, minute) {
			return r.rate
		}
	}
	return s.rest
}

func (r rule) fits(day time.Weekday, minute int) bool {
	today, yesterday := r.days>>day&1 == 1, r.days>>((day+6)%7)&1 == 1
	if r.from < r.to {
		return today && r.from <= minute && minute < r.to
	}
	return today && minute >= r.from || yesterday && minute < r.to
}

// String is the schedule as ParseSchedule reads it.
func (s Schedule) String() string {
	if len(s.rules) == 0 {
		return rateText(s.rest)
	}
	var b strings.Builder
	for _, r := range s.rules {
		if r.days != everyDay {
			b.WriteString(r.days.String() + " ")
		}
		fmt.Fprintf(&b, "%02d:%02d-%02d:%02d %s, ", r.from/60, r.from%60, r.to/60, r.to%60, rateText(r.rate))
	}
	return b.String() + "else " + rateText(s.rest)
}

// String lists the days, runs of three and more as a span, the week from Monday.
func (d days) String() string {
	var parts []string
	for i := 0; i < 7; {
		n := 0
		for i+n < 7 && d>>((i+n+1)%7)&1 == 1 {
			n++
		}
		first, last := dayNames[(i+1)%7], dayNames[(i+max(n, 1))%7]
		switch {
		case n >= 3:
			parts = append(parts, first+"-"+last)
		case n > 0:
			parts = append(parts, first)
			n = 1
		}
		i += max(n, 1)
	}
	return strings.Join(parts, "+")
}

func rateText(rate int64) string {
	if rate == 0 {
		return unlimited
	}
	for _, u := range units[:3] {
		if size := int64(u.size); rate%size == 0 {
			return strconv.FormatInt(rate/size, 10) + u.name
		}
	}
	return strconv.FormatInt(rate, 10) + "B"
}

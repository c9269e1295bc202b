package locale

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units of size, each 1024 times the one before. We say GB where purists say
// GiB, because that is what Windows Explorer and every storage page our readers
// compare us with show for the same file.
var units = []string{"B", "KB", "MB", "GB", "TB", "PB"}

// Bytes shows a size with three significant digits: "512 B", "1.50 GB",
// "12.4 MB", "863 KB".
func (l Lang) Bytes(n int64) string {
	value, unit := math.Abs(float64(n)), 0
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	sign := ""
	if n < 0 {
		sign = "-"
	}
	digits := 0 // whole bytes have no decimals
	if unit > 0 {
		digits = decimals(value)
	}
	return sign + strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit]
}

func decimals(value float64) int {
	switch {
	case value < 9.995:
		return 2
	case value < 99.95:
		return 1
	default:
		return 0
	}
}

// Number shows a whole number with a comma between thousands.
func (l Lang) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Percent shows a share between 0 and 1 as a percentage without decimals; all
// but complete is never rounded up to 100 %.
func (l Lang) Percent(share float64) string {
	n := int(share*100 + 0.5)
	if n >= 100 && share < 1 {
		n = 99
	}
	return strconv.Itoa(n) + "%"
}

// part is one unit of a duration and the key of its short word.
type part struct {
	length time.Duration
	key    string
}

var parts = []part{
	{24 * time.Hour, "duration.day"},
	{time.Hour, "duration.hour"},
	{time.Minute, "duration.minute"},
	{time.Second, "duration.second"},
}

// Duration shows a length of time by its two largest units: "2 分 41 秒",
// "1 小时 5 分", "3 天". Below one minute seconds have one decimal while they
// are under ten; below one second it counts milliseconds.
func (l Lang) Duration(d time.Duration) string {
	if d < 0 {
		return "-" + l.Duration(-d)
	}
	switch {
	case d == 0:
		return l.amount("duration.second", "0")
	case d < time.Second:
		ms := max(d.Round(time.Millisecond).Milliseconds(), 1)
		if ms < 1000 {
			return l.amount("duration.millisecond", strconv.FormatInt(ms, 10))
		}
		return l.amount("duration.second", "1.0")
	case d < 9950*time.Millisecond:
		return l.amount("duration.second", strconv.FormatFloat(d.Seconds(), 'f', 1, 64))
	}
	return l.twoUnits(d)
}

func (l Lang) twoUnits(d time.Duration) string {
	d = d.Round(time.Second)
	for i, p := range parts {
		if d < p.length {
			continue
		}
		if i == len(parts)-1 {
			return l.amount(p.key, strconv.FormatInt(int64(d/p.length), 10))
		}
		next := parts[i+1]
		whole, rest := d/p.length, (d%p.length)/next.length
		text := l.amount(p.key, strconv.FormatInt(int64(whole), 10))
		if rest == 0 {
			return text
		}
		return text + " " + l.amount(next.key, strconv.FormatInt(int64(rest), 10))
	}
	return l.amount("duration.second", "0")
}

func (l Lang) amount(key, n string) string { return l.T(key, "n", n) }

// Ago tells how long ago something was, by its largest unit: "12 分钟前". A
// moment in the future, as from a clock that was set back, counts as just now.
func (l Lang) Ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return l.T("ago.now")
	case d < time.Hour:
		return l.Plural("ago.minute", int(d/time.Minute))
	case d < 24*time.Hour:
		return l.Plural("ago.hour", int(d/time.Hour))
	case d < 60*24*time.Hour:
		return l.Plural("ago.day", int(d/(24*time.Hour)))
	default:
		return l.Plural("ago.month", int(d/(30*24*time.Hour)))
	}
}

// Time shows a moment to the minute with its year, in the zone t carries: the
// caller brings it to the site's zone first. The zero time is a dash.
func (l Lang) Time(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return l.Date(t) + " " + t.Format("15:04")
}

// TimeNear shows a moment without its year when it lies in the year of now:
// "11 月 22 日 18:22".
func (l Lang) TimeNear(t, now time.Time) string {
	if t.IsZero() || t.Year() != now.In(t.Location()).Year() {
		return l.Time(t)
	}
	return l.dateWords("date.near", t) + " " + t.Format("15:04")
}

// TimeZone shows a moment to the second with its distance from UTC, for
// evidence and for readers elsewhere.
func (l Lang) TimeZone(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return l.Date(t) + " " + t.Format("15:04:05") + " (UTC" + t.Format("-07:00") + ")"
}

// Date shows the day of a moment with its year. The zero time is a dash.
func (l Lang) Date(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return l.dateWords("date.full", t)
}

// Weekday names the day of the week in short: "周日", "Sun".
func (l Lang) Weekday(t time.Time) string {
	return l.T("weekday." + strconv.Itoa(int(t.Weekday())))
}

func (l Lang) dateWords(key string, t time.Time) string {
	return l.T(key, "year", fmt.Sprintf("%04d", t.Year()), "day", t.Day(),
		"month", l.T("month."+strconv.Itoa(int(t.Month()))))
}

package retention

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"emrvault/backup"
)

// Span is a stretch of the calendar, as people write it: "1y6m", "30d", "36h".
type Span struct {
	Years, Months, Days, Hours int
}

// ParseSpan reads numbers with the letters y, m, d and h; w is seven days.
func ParseSpan(text string) (Span, error) {
	var s Span
	rest := strings.TrimSpace(text)
	for rest != "" {
		end := strings.IndexAny(rest, "ymwdh")
		if end <= 0 {
			return Span{}, badSpan(text)
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil || n < 0 || n > 100_000 {
			return Span{}, badSpan(text)
		}
		switch rest[end] {
		case 'y':
			s.Years += n
		case 'm':
			s.Months += n
		case 'w':
			s.Days += 7 * n
		case 'd':
			s.Days += n
		case 'h':
			s.Hours += n
		}
		rest = rest[end+1:]
	}
	if s == (Span{}) {
		return Span{}, badSpan(text)
	}
	return s, nil
}

func badSpan(text string) error {
	return fmt.Errorf("span %q: write years, months, weeks, days or hours such as 1y6m, 30d or 36h: %w", text, backup.ErrInvalid)
}

// Before is the moment so long before t.
func (s Span) Before(t time.Time) time.Time {
	return t.AddDate(-s.Years, -s.Months, -s.Days).Add(-time.Duration(s.Hours) * time.Hour)
}

// String writes what ParseSpan reads.
func (s Span) String() string {
	var b strings.Builder
	for _, part := range []struct {
		n    int
		unit byte
	}{{s.Years, 'y'}, {s.Months, 'm'}, {s.Days, 'd'}, {s.Hours, 'h'}} {
		if part.n != 0 {
			b.WriteString(strconv.Itoa(part.n))
			b.WriteByte(part.unit)
		}
	}
	return b.String()
}

package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as people write it in a plan: "90m", "36h",
// "7d", "2w". It is kept as text, so that what was typed is read back.
type Duration time.Duration

// ParseDuration reads the words of a Duration. Days have 24 hours.
func ParseDuration(text string) (Duration, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "0" {
		return 0, nil
	}
	for suffix, unit := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, ok := strings.CutSuffix(text, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is no length of time such as 90m, 36h or 7d", text)
		}
		return Duration(time.Duration(n) * unit), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no length of time such as 90m, 36h or 7d", text)
	}
	return Duration(d), nil
}

// D is the length in Go's own type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes whole days as "7d", the rest as Go does without empty parts.
func (d Duration) String() string {
	t := time.Duration(d)
	if day := 24 * time.Hour; t > 0 && t%day == 0 {
		return strconv.Itoa(int(t/day)) + "d"
	}
	text := t.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes the words; nothing for zero.
func (d Duration) MarshalText() ([]byte, error) {
	if d == 0 {
		return []byte{}, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads the words.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

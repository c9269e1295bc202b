package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// layout of a moment in the database: UTC, fixed width, so that comparing text
// compares time.
const layout = "2006-01-02T15:04:05.000000Z"

// Stamp writes a moment as the database keeps it. For a column that may be
// empty use Time, whose zero becomes NULL.
func Stamp(t time.Time) string { return t.UTC().Format(layout) }

// moment rounds a clock reading to what the database keeps, so that a row read
// back equals the row written.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Time carries a moment into and out of a TEXT column. The zero time is NULL,
// and NULL or empty text is the zero time.
type Time struct{ time.Time }

// Scan reads what the database kept.
func (t *Time) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		t.Time = time.Time{}
		return nil
	case time.Time:
		t.Time = v.UTC()
		return nil
	case []byte:
		return t.parse(string(v))
	case string:
		return t.parse(v)
	}
	return fmt.Errorf("read moment: %T is no text", value)
}

func (t *Time) parse(text string) (err error) {
	if text == "" {
		t.Time = time.Time{}
		return nil
	}
	if t.Time, err = time.Parse(layout, text); err != nil {
		return fmt.Errorf("read moment: %w", err)
	}
	return nil
}

// Value writes the moment for the database.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return Stamp(t.Time), nil
}

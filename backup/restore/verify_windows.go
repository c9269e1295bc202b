package restore

import (
	"io/fs"
	"time"
)

// settableMode is empty: Windows makes up its modes from the read-only mark.
const settableMode fs.FileMode = 0

// sameMoment compares as finely as Windows keeps time, 100 ns.
func sameMoment(want, got time.Time) bool {
	return want.Truncate(100 * time.Nanosecond).Equal(got.Truncate(100 * time.Nanosecond))
}

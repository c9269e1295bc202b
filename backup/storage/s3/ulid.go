package s3

import (
	"strings"
	"time"
)

// ulidDigits are those of a ULID: 10 for the milliseconds since 1970, 16 at
// random; see github.com/ulid/spec.
const (
	ulidDigits   = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ulidLength   = 26
	ulidTimePart = 10
)

// epoch is before any version we may meet; an id that says otherwise only
// looks like a ULID.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// written is when a version came to be. versitygw tells as LastModified when
// it put the version aside, and of a deletion when the deleted content was
// written; but its version ids are ULIDs and hold the moment themselves. Other
// servers have ids of other forms and are believed.
func written(id string, lastModified, now time.Time) time.Time {
	made, ok := ulidTime(id)
	if !ok || made.Before(epoch) || made.After(now.Add(day)) {
		return lastModified
	}
	return made
}

func ulidTime(id string) (time.Time, bool) {
	if len(id) != ulidLength {
		return time.Time{}, false
	}
	ms := int64(0)
	for i := range id {
		digit := strings.IndexByte(ulidDigits, id[i])
		if digit < 0 {
			return time.Time{}, false
		}
		if i < ulidTimePart {
			ms = ms<<5 | int64(digit)
		}
	}
	return time.UnixMilli(ms).UTC(), true
}

package plan

import (
	"time"

	"emrvault/appliance/store"
)

// Preview shows, before it is saved, what a keep policy would do to the points
// there are.
type Preview struct {
	Keep    Keep
	Points  []PreviewPoint // newest first
	Days    []PreviewDay   // whole weeks, Monday first, the last six
	Kept    int
	Expired int
	Freed   int64          // bytes the expired points had added; about what a prune frees
	Earlier map[string]int // kept points before Days, by mark
}

// PreviewPoint is one point under the policy.
type PreviewPoint struct {
	Point   Point
	Keep    bool
	Reasons []Note // of the policy; none when it expires
	Held    Note   // the policy lets it go, but a guard keeps it
}

// PreviewDay is one square of the calendar.
type PreviewDay struct {
	Date  time.Time
	Mark  string // "", last, daily, weekly, monthly, yearly, held, expire
	Today bool
	Until time.Time // kept by this mark until then; zero: not told
}

func (b *Book) preview(tx *store.Tx, name string, keep Keep) (Preview, error) {
	return Preview{Keep: keep}, nil
}

func (b *Book) points(tx *store.Tx, f PointFilter) ([]Point, int, error) { return points(tx, f) }

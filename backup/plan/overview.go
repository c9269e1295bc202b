package plan

import "time"

// How a plan stands tonight.
const (
	StandGood    = "good"    // a sound point, in time
	StandNever   = "never"   // nothing to go back to yet
	StandLate    = "late"    // no good point for longer than its schedule allows
	StandFailing = "failing" // the last run failed
	StandDamaged = "damaged" // the newest point is of a damaged source
	StandUnsound = "unsound" // the last drill failed
	StandOff     = "off"     // switched off
)

// How the whole box stands; the first line of the overview.
const (
	SafeEmpty   = "empty"   // no plan yet
	SafeYes     = "yes"     // every enabled plan is good
	SafePartly  = "partly"  // all can be brought back, something needs a person
	SafeNotSure = "notsure" // at least one plan has no good point in time
)

// Overview answers: are we safe tonight?
type Overview struct {
	At           time.Time
	Safe         string
	Main         *Standing // the plan that needs a person most, else the one that comes first
	Plans        []Standing
	Days         []Day // the last 30, oldest first
	Repositories []Repository
	Runs         int // of the 30 days, those that ended
	Good         int // of them, succeeded or partial
	Bytes        int64
	Added7       int64 // new bytes stored in the last seven days
	Drills       int   // of the last 30 days
	DrillsPassed int
	Unproven     int // live points not wholly proven
}

// Standing is how one plan stands.
type Standing struct {
	Plan    Plan
	State   string    // Stand…
	Reason  Note      // why the state is what it is
	Last    *Point    // newest good point, nil: none
	Newest  *Point    // newest point of any kind
	Proven  *Point    // newest wholly proven point
	Run     *Run      // last run that ended
	Running *Run      // nil: nothing runs
	Drill   *DrillRow // last drill that ended
	RPO     time.Duration
	RTO     time.Duration // measured by the last passed drill; 0: none yet
	Points  int
	Lost    bool    // the place of the newest good point has lost some of what it needs
	Waiting int     // points that should have their second copy by now, and have none
	Spark   []int64 // new bytes stored by the last runs, oldest first
}

// DrillRow is what a list needs to know about a drill; package drill has the rest.
type DrillRow struct {
	Number   string
	State    string // passed, partial, failed, …
	Began    time.Time
	Ended    time.Time
	RTO      time.Duration
	RPO      time.Duration
	PlanName string
}

// Day is one square of the calendar.
type Day struct {
	Date    time.Time // midnight in the site's zone
	Good    int       // runs that succeeded
	Partial int       // runs with names that could not be read, or a damaged source
	Failed  int
	Drills  int // passed
	Faults  int // drills failed
	Points  int
}

// Mark is the sign of the day: "", good, proven, partial or failed.
func (d Day) Mark() string {
	switch {
	case d.Failed > 0 || d.Faults > 0:
		return "failed"
	case d.Partial > 0:
		return "partial"
	case d.Drills > 0:
		return "proven"
	case d.Good > 0 || d.Points > 0:
		return "good"
	}
	return ""
}

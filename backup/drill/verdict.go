package drill

import (
	"fmt"
	"strconv"
	"time"

	"emrvault/backup"
	"emrvault/backup/plan"
)

// LevelFiles is the level of a drill that restores everything on this box and
// compares it.
const LevelFiles = "files"

// States of a drill.
const (
	Running     = "running"
	Passed      = "passed"      // all of the point was restored, compared, and every assertion holds
	Partial     = "partial"     // what was restored is right, but not all of it could be proven
	Failed      = "failed"      // something is wrong with the point, the repository or the data
	Cancelled   = "cancelled"   // a person stopped it
	Interrupted = "interrupted" // the box went down
)

// Who is to blame when a drill fails.
const (
	FaultPoint = "point" // what was stored, or the data itself: the point is not to be trusted
	FaultBox   = "box"   // the drill could not be made: no room, no repository, a lock
)

// States of a step.
const (
	StepWaiting = "waiting"
	StepRunning = "running"
	StepPassed  = "passed"
	StepFailed  = "failed"
	StepSkipped = "skipped" // an earlier step failed, or there was nothing to do
)

// Verdict 演练结论 is all that is kept of one drill. Its JSON form is what
// `drill show --json` prints and what later evidence will be made of.
type Verdict struct {
	Number  string    `json:"number"` // YL-YYYY-NNN
	State   string    `json:"state"`
	Level   string    `json:"level"` // "files": restored and compared on this box
	Plan    string    `json:"plan"`
	Title   string    `json:"title"`
	Trigger string    `json:"trigger"`
	By      string    `json:"by"`
	Job     int64     `json:"job"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`

	Point     Point        `json:"point"`
	Steps     []Step       `json:"steps"`
	Checks    []Check      `json:"checks"` // what was asked and answered, also each assertion
	Figures   Figures      `json:"figures"`
	NotProven []plan.Note  `json:"not_proven"`      // what a pass does not say
	Fault     string       `json:"fault,omitempty"` // Fault…, who is to blame for a failure
	Failure   *plan.Note   `json:"failure,omitempty"`
	Machine   Machine      `json:"machine"`
	Scratch   Scratch      `json:"scratch"`
	Proof     backup.Proof `json:"proof"` // of the point, after this drill
	Percent   int          `json:"percent"`
}

// Point is what the drill knows of the recovery point.
type Point struct {
	ID         int64     `json:"id"`
	Snapshot   string    `json:"snapshot"`
	Repository string    `json:"repository"` // the repository's own id
	Place      string    `json:"place"`      // its name
	AsOf       time.Time `json:"as_of"`
	Files      int64     `json:"files"`
	Bytes      int64     `json:"bytes"`
	Problems   int       `json:"problems"` // names that could not be read at the backup
	Damaged    bool      `json:"damaged"`
}

// Step is one row of the record.
type Step struct {
	Note    plan.Note `json:"note"` // what is done
	State   string    `json:"state"`
	Began   time.Time `json:"began,omitzero"`
	Took    Seconds   `json:"took_seconds"`
	Planned Seconds   `json:"planned_seconds,omitempty"` // the same step of the last passed drill, 0: none
	Detail  plan.Note `json:"detail"`                    // what came of it
}

// Check is one question and its answer.
type Check struct {
	Note   plan.Note `json:"note"`   // what was asked
	OK     bool      `json:"ok"`     //
	Detail plan.Note `json:"detail"` // what was found
}

// Figures are the measures of a drill. A figure that was not measured is 0.
type Figures struct {
	RTO        Seconds `json:"rto_seconds"`        // start of restore until the last assertion passes
	RPO        Seconds `json:"rpo_seconds"`        // start of the drill minus the moment of the newest point
	RTOTarget  Seconds `json:"rto_target_seconds"` // of the plan, 0: none
	RPOTarget  Seconds `json:"rpo_target_seconds"` // of the plan, 0: none
	Predicted  Seconds `json:"predicted_seconds"`  // from earlier drills, told before this one
	Files      int64   `json:"files"`              // compared
	Bytes      int64   `json:"bytes"`              // compared
	Rate       int64   `json:"rate"`               // restored bytes a second
	Databases  int     `json:"databases"`          // opened and checked
	Assertions int     `json:"assertions"`         // asked
}

// Machine tells where the drill took place.
type Machine struct {
	Host    string `json:"host"`
	OS      string `json:"os"`
	Version string `json:"version"` // of this program
}

// Scratch tells what became of the restored data.
type Scratch struct {
	Needed  int64     `json:"needed"`  // bytes, checked before
	Free    int64     `json:"free"`    // bytes there were
	Removed bool      `json:"removed"` // and looked at again: nothing is left
	At      time.Time `json:"at,omitzero"`
}

// Label is what people call the plan.
func (v Verdict) Label() string {
	if v.Title != "" {
		return v.Title
	}
	return v.Plan
}

// OK says that every promise of the plan was kept in time.
func (v Verdict) OK() bool { return v.State == Passed }

// Took is how long the drill was.
func (v Verdict) Took() time.Duration {
	if v.Ended.IsZero() {
		return 0
	}
	return v.Ended.Sub(v.Began)
}

// Seconds is a length of time that JSON shows as a number of seconds, to the
// millisecond.
type Seconds time.Duration

// D is the length in Go's own type.
func (s Seconds) D() time.Duration { return time.Duration(s) }

// MarshalJSON writes the number.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Duration(s).Round(time.Millisecond).Milliseconds())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads the number.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("seconds: %w", err)
	}
	*s = Seconds(time.Duration(n * float64(time.Second)).Round(time.Millisecond))
	return nil
}

// Filter chooses drills; set fields become clauses.
type Filter struct {
	Plan   string // name
	State  string
	From   time.Time
	Limit  int
	Offset int
}

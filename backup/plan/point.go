package plan

import (
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
)

// Point 恢复点 is one moment to which a plan's source can be brought back. The
// row is written only after the snapshot has been read back.
type Point struct {
	ID         int64     `json:"id"`
	Snapshot   string    `json:"snapshot"` // 64 hex digits, unique in its repository
	Plan       int64     `json:"-"`
	PlanName   string    `json:"plan"`
	PlanTitle  string    `json:"title"`
	Repository int64     `json:"-"`
	Job        int64     `json:"job"` // the run that made it
	AsOf       time.Time `json:"as_of"`
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended"`

	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"` // logical size
	Added int64 `json:"added"` // new bytes stored

	Kind     string           `json:"kind"`    // of the source
	Version  string           `json:"version"` // of the server or engine
	Problems int              `json:"problems"`
	Damaged  bool             `json:"damaged"` // the source itself was damaged
	Findings []source.Finding `json:"findings,omitempty"`

	Proof    backup.Proof `json:"proof"`
	Percent  int          `json:"percent"` // share restored and checked
	ProvenAt time.Time    `json:"proven_at,omitzero"`
	Drill    string       `json:"drill,omitempty"` // number of the drill that says so
	Failed   bool         `json:"failed"`          // its last drill failed

	Copies string `json:"copies,omitempty"` // names of other repositories that hold it too

	ExpiredAt time.Time `json:"expired_at,omitzero"`
	Expired   []Note    `json:"expired,omitempty"` // why it went
	Kept      []Note    `json:"kept,omitempty"`    // why it stays; computed for lists of one plan
}

// Took is how long the run was.
func (p Point) Took() time.Duration { return p.Ended.Sub(p.Began) }

// Good says that the point can be trusted as far as is known: the source was
// sound and no drill has failed on it.
func (p Point) Good() bool { return !p.Damaged && !p.Failed }

// Short is the id as people quote it.
func (p Point) Short() string { return short(p.Snapshot) }

func short(id string) string {
	if len(id) > 8 {
		return id[:8]
	}
	return id
}

// PointFilter chooses points; set fields become clauses.
type PointFilter struct {
	Plan     string       // name
	Proof    backup.Proof //
	From, To time.Time    // of AsOf, From included, To not
	Expired  bool         // expired ones too
	Trouble  bool         // only damaged, incomplete or failed ones
	Limit    int          // 0: all
	Offset   int
}

// Run 运行记录 is one attempt to carry a plan out, whatever came of it.
type Run struct {
	ID       int64     `json:"id"`
	Job      int64     `json:"job"`
	Plan     int64     `json:"-"`
	PlanName string    `json:"plan"`
	Trigger  string    `json:"trigger"` // schedule, manual, catch-up, after-crash
	By       string    `json:"by"`
	State    string    `json:"state"` // words of appliance/jobs
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended,omitzero"`
	Missed   int       `json:"missed"` // due moments this run stands for besides its own
	Note     Note      `json:"note"`   // what went wrong, empty when nothing did
	Point    *Point    `json:"point,omitempty"`
}

// Took is how long the run was; zero while it runs.
func (r Run) Took() time.Duration {
	if r.Ended.IsZero() {
		return 0
	}
	return r.Ended.Sub(r.Began)
}

// RunFilter chooses runs; set fields become clauses.
type RunFilter struct {
	Plan     string
	Trouble  bool // only those that did not succeed, or whose point is in trouble
	Unproven bool // only those whose point is not proven
	From     time.Time
	Limit    int
	Offset   int
}

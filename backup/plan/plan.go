// Package plan holds what is written down: which source is protected, where
// its points rest, when it runs, how long points are kept, how they are
// proven, and every recovery point there is.
//
// A Repository is a place with the words to open it. A Plan names a source, a
// repository, cron words, a keep policy and a drill rule. Package run carries
// plans out and leaves a Run and, when it went well, a Point. Package drill
// proves points and writes the result into the same row. Nothing here opens a
// source or a repository: a plan can be read, changed and judged while the
// disks it speaks of are out of the house.
//
// The tables are repository, plan, run and point, made by migration 0002. A
// moment is stored in UTC; days and weeks are those of the plan's zone.
package plan

import (
	"time"

	"emrvault/backup/retention"
	"emrvault/backup/source"
)

// Plan 备份计划 says what is protected, where to, when, and for how long.
type Plan struct {
	ID         int64       `json:"id"`
	Name       string      `json:"name"`             // unique; what verbs and links say
	Title      string      `json:"title"`            // what people read; the name when empty
	Source     source.Spec `json:"source"`           // its name is the plan's when left empty
	Repository string      `json:"repository"`       // name of the repository
	Second     string      `json:"second,omitempty"` // name of the repository to which every point is copied; empty: none
	Schedule   string      `json:"schedule"`         // cron words; empty: by hand only
	Zone       string      `json:"zone"`             // IANA name; empty: the site's
	Keep       Keep        `json:"keep"`
	Drill      DrillRule   `json:"drill"`
	RTO        Duration    `json:"rto"` // target, 0: none
	RPO        Duration    `json:"rpo"` // target, 0: none
	Enabled    bool        `json:"enabled"`

	RepositoryID int64     `json:"-"`
	SecondID     int64     `json:"-"`
	NextDue      time.Time `json:"next_due,omitzero"`   // zero: nothing due
	NextDrill    time.Time `json:"next_drill,omitzero"` // zero: nothing due
	Missed       int       `json:"missed"`              // runs that never began, since the last good one
	Created      time.Time `json:"created"`
	Changed      time.Time `json:"changed"`
}

// Label is what people read.
func (p Plan) Label() string {
	if p.Title != "" {
		return p.Title
	}
	return p.Name
}

// Tag is the mark that the plan's snapshots bear in the repository.
func (p Plan) Tag() string {
	if p.Source.Name != "" {
		return p.Source.Name
	}
	return p.Name
}

// Location is the plan's zone, or the site's when the plan names none.
func (p Plan) Location(site *time.Location) *time.Location {
	if p.Zone == "" {
		return site
	}
	if zone, err := time.LoadLocation(p.Zone); err == nil {
		return zone
	}
	return site
}

// Keep 保留策略 says how many points of each kind stay. Zero keeps none of the
// kind; the policy as a whole must keep something.
type Keep struct {
	Class   retention.Class `json:"class,omitempty" yaml:"class,omitempty"` // of the records; its floor holds beside all numbers
	Last    int             `json:"last,omitempty" yaml:"last,omitempty"`
	Hourly  int             `json:"hourly,omitempty" yaml:"hourly,omitempty"`
	Daily   int             `json:"daily,omitempty" yaml:"daily,omitempty"`
	Weekly  int             `json:"weekly,omitempty" yaml:"weekly,omitempty"`
	Monthly int             `json:"monthly,omitempty" yaml:"monthly,omitempty"`
	Yearly  int             `json:"yearly,omitempty" yaml:"yearly,omitempty"`
}

// DrillRule says when points are proven and what is asked of them.
type DrillRule struct {
	AfterBackup bool        `json:"after_backup" yaml:"after_backup"`                 // the newest point, after each backup
	Schedule    string      `json:"schedule,omitempty" yaml:"schedule,omitempty"`     // own cron words; empty: none
	Assertions  []Assertion `json:"assertions,omitempty" yaml:"assertions,omitempty"` // asked of what was restored, in this order
}

// Kinds of assertion.
const (
	AssertSQL    = "sql"    // a query on a captured SQLite database has the expected result
	AssertCount  = "count"  // so many files match a pattern
	AssertNewest = "newest" // the newest document is not older than a limit
)

// Assertion 断言 is one question a drill asks of what it has restored.
type Assertion struct {
	Kind string `json:"kind" yaml:"kind"`
	Name string `json:"name,omitempty" yaml:"name,omitempty"` // what people read; may be empty

	// Path is a pattern of paths inside the point, with slashes; "**" crosses
	// folders. For sql, and for newest with a query, it names the database;
	// empty means the only database there is. For count and newest it names
	// the files; empty means all.
	Path string `json:"path,omitempty" yaml:"path,omitempty"`

	Query   string `json:"query,omitempty" yaml:"query,omitempty"`     // sql, newest: one statement that reads one value
	Compare string `json:"compare,omitempty" yaml:"compare,omitempty"` // sql: = (when empty) != < <= > >=
	Expect  string `json:"expect,omitempty" yaml:"expect,omitempty"`   // sql: the value compared with

	Min int64 `json:"min,omitempty" yaml:"min,omitempty"` // count: at least
	Max int64 `json:"max,omitempty" yaml:"max,omitempty"` // count: at most; 0: no limit

	// Within is the greatest age at the moment as of which the point is
	// complete (newest).
	Within Duration `json:"within,omitempty" yaml:"within,omitempty"`
}

// Label is what people read: the name, or what is asked.
func (a Assertion) Label() string {
	switch {
	case a.Name != "":
		return a.Name
	case a.Query != "":
		return a.Query
	case a.Path != "":
		return a.Path
	}
	return a.Kind
}

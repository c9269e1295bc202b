// Package run carries out what package plan has written down.
//
// A due plan becomes a job. The job looks at free space and asks the source
// whether it is ready, lets it hand one consistent view to the archive, reads
// the finished snapshot back from the repository, and only then writes a
// recovery point down, in the same transaction that ends the step. Whatever
// fails before that leaves packs nobody refers to, which the next prune
// collects; nothing half done ever looks like a recovery point. Afterwards old
// points expire by the plan's policy and a drill job is handed in for the new
// one.
//
// Two rules guard what is there. Nothing expires while the newest point is of
// a damaged source or its drill has failed, because then the older points are
// the ones that will be needed. And the newest wholly proven point never
// expires.
//
// A plan may name a second repository: what its first one has and the second
// lacks is copied there after each backup, and a point whose own place is lost
// is read from its copy. Each night every repository is looked after: it is
// verified bit by bit, healed from the other copy where it is damaged, and what
// is lost is named by file and day.
//
// The Scheduler keeps each plan's next moment in the store. A box that was
// switched off runs a missed plan once when it comes back and tells how many
// moments went by. Every problem a person must act on is told to the Desk.
package run

import (
	"context"
	"io"
	"time"

	"emrvault/backup/plan"
	"emrvault/backup/repository"
)

// Kinds of job. Drill is registered by package drill.
const (
	KindBackup  = "backup"
	KindRestore = "restore"
	KindCheck   = "check"
	KindDrill   = "drill"
	KindCopy    = "copy" // of points to a plan's second repository
	KindCare    = "care" // of a repository: everything that keeps it sound
)

// BackupRequest is what a backup job is told.
type BackupRequest struct {
	Plan   int64 `json:"plan"`
	Missed int   `json:"missed,omitempty"` // due moments that went by unrun
}

// RestoreRequest is what a restore job is told.
type RestoreRequest struct {
	Point   int64    `json:"point"`
	Target  string   `json:"target"`            // folder on this machine, empty or new
	Include []string `json:"include,omitempty"` // patterns or paths inside the point; none: all
	Verify  bool     `json:"verify"`            // read everything back from the target
}

// RestoreResult is what a restore job leaves.
type RestoreResult struct {
	Files    int64  `json:"files"`
	Dirs     int64  `json:"dirs"`
	Bytes    int64  `json:"bytes"`
	Verified bool   `json:"verified"`
	Skipped  int    `json:"skipped"` // what the target cannot hold: sockets, devices
	Target   string `json:"target"`
	From     string `json:"from,omitempty"` // name of the repository whose copy was used; empty: the point's own
}

// CheckRequest is what a check job is told.
type CheckRequest struct {
	Repository int64   `json:"repository"`
	ReadData   bool    `json:"read_data"`        // read every byte
	Subset     float64 `json:"subset,omitempty"` // or this share of the packs, 0..1
}

// CheckResult is what a check job leaves.
type CheckResult struct {
	Errors   int                  `json:"errors"`             // findings that mean loss
	Findings []repository.Finding `json:"findings,omitempty"` // the first 200, hints too
	Healed   int                  `json:"healed,omitempty"`   // packs made whole again with a second copy
	Lost     []plan.Note          `json:"lost,omitempty"`     // which files of which points are lost
}

// CopyRequest is what a copy job is told.
type CopyRequest struct {
	Plan int64 `json:"plan"`
}

// CopyResult is what a copy job leaves.
type CopyResult struct {
	Repository string `json:"repository"`        // where the copies are
	Copied     int    `json:"copied"`            // points copied now
	Skipped    int    `json:"skipped,omitempty"` // points that cannot be copied: their data is lost
	Expired    int    `json:"expired,omitempty"` // copies removed, because their points have expired
	Bytes      int64  `json:"bytes"`             // what the copies added there
}

// CareRequest is what a care job is told.
type CareRequest struct {
	Repository int64 `json:"repository"`
}

// CareResult is what a care job leaves, beside plan.Care of the repository.
type CareResult struct {
	Freed     int64     `json:"freed"`     // bytes that prune gave back
	Protected int64     `json:"protected"` // documents whose lock against deletion was prolonged
	Verified  int64     `json:"verified"`  // bytes read and proven
	Care      plan.Care `json:"care"`
}

// DrillRequest is what a drill job is told.
type DrillRequest struct {
	Plan  int64 `json:"plan"`
	Point int64 `json:"point,omitempty"` // 0: the newest

	Second bool `json:"second,omitempty"` // from its copy in another repository
}

// Desk opens tickets. It is handed in by the front door; the backup wing does
// not know who sits behind it.
type Desk interface {
	// OpenSystem opens a ticket of source 系统 whose subject and text are keys
	// of the texts. An open ticket of the same dedup word gets a line instead
	// of a twin.
	OpenSystem(ctx context.Context, dedup string, subject, text plan.Note) error
}

// Entry is one line of a folder inside a point.
type Entry struct {
	Name    string    `json:"name"`
	Path    string    `json:"path"` // inside the point, absolute, slashes
	Kind    string    `json:"kind"` // dir, file, symlink, dev, chardev, fifo, socket
	Size    int64     `json:"size"` // file: bytes; dir: 0
	Items   int       `json:"items,omitempty"`
	ModTime time.Time `json:"mtime"`
	Target  string    `json:"target,omitempty"` // symlink
	Change  string    `json:"change,omitempty"` // Change…, against the point before
}

// How an entry compares with the point before.
const (
	ChangeNone = "same"
	ChangeNew  = "new"
	ChangeMod  = "changed"
)

// Folder is one folder of a point, as a page shows it.
type Folder struct {
	Point   plan.Point
	Before  *plan.Point // the point compared with; nil: there is none
	Path    string
	Crumbs  []Crumb // from the root to Path
	Entries []Entry // folders first, then by name; one page of them
	Total   int     // entries that meet the search
}

// Crumb is one step on the way to a folder.
type Crumb struct{ Name, Path string }

// Page chooses a part of a folder.
type Page struct {
	Search string // part of a name
	Offset int
	Limit  int // 0: 200
}

// File is one file inside a point, open for reading.
type File struct {
	Entry
	io.ReadSeekCloser
}

// Package jobs is the box's list of work: what waits, what runs, what was done.
//
// The wings register kinds of job and submit requests; a Manager writes every
// request down before it answers, runs as many jobs at once as it was told, and
// keeps their state, their lines and their result in the database. No two jobs
// of one key wait or run at once, so two backups of one plan never overlap.
//
// A job ends in one of five states. Succeeded, partial and failed are what its
// kind says; cancelled is a person's wish; interrupted is neither: the process
// died, or the box was told to stop. The next start sees the running jobs of
// another process, calls them interrupted, tells the listeners, and submits
// them again where the kind says so, up to three times in a row.
//
// Progress comes in two weights. Stages, lines and problems are rows, kept up
// to a bound for each job. Counts of files and bytes live in memory, reach
// subscribers about four times a second, and the database every few seconds as
// a heartbeat. A slow subscriber loses old events, never the last one, and
// never holds up the job.
package jobs

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"emrvault/appliance/locale"
)

// State says where a job stands.
type State string

// The states, in the order a job may meet them.
const (
	Queued      State = "queued"
	Running     State = "running"
	Succeeded   State = "succeeded"
	Partial     State = "partial"     // done, but some of it could not be
	Failed      State = "failed"      // its kind gave an error, or panicked
	Cancelled   State = "cancelled"   // by a person
	Interrupted State = "interrupted" // by a crash or a stop of the box
)

// Ended says that nothing more will happen to a job of this state.
func (s State) Ended() bool { return s != Queued && s != Running }

// Title names the state for people.
func (s State) Title(lang locale.Lang) string { return lang.T("job.state." + string(s)) }

// Trigger says why a job was submitted.
type Trigger string

// The triggers.
const (
	Schedule   Trigger = "schedule"
	Manual     Trigger = "manual"
	CatchUp    Trigger = "catch-up"    // missed, or cut short, while the box was off
	AfterCrash Trigger = "after-crash" // repeats a job that died with its process
)

// Title names the trigger for people.
func (t Trigger) Title(lang locale.Lang) string { return lang.T("job.trigger." + string(t)) }

// Kind is a sort of job and how it is done.
type Kind struct {
	Name string
	// Run does the work. It must return soon after ctx is done, and may be
	// called again for the same request after a crash: then Run.Job().Trigger is
	// AfterCrash or CatchUp, and whatever the dead run left must be cleared first.
	Run func(ctx context.Context, r *Run) error
	// Resubmit asks for an interrupted job to be submitted again by itself.
	Resubmit bool
	// Lane names a lane of its own: its kinds run one at a time beside all
	// others and take nobody's place. Empty: the common lane.
	Lane string
	// Partial says of an error that the work was done all the same, with gaps.
	// Nil: every error is a failure.
	Partial func(error) bool
}

// Request asks for a job.
type Request struct {
	Kind    string
	Key     string // no two waiting or running jobs of one key; empty: no such rule
	Params  any    // kept as JSON
	Trigger Trigger
	By      string // a person's name, "console:root", or empty for the box itself
}

// Job is one piece of work as the database knows it.
type Job struct {
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	Key      string          `json:"key,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Trigger  Trigger         `json:"trigger"`
	By       string          `json:"by,omitempty"`
	State    State           `json:"state"`
	Stage    string          `json:"stage,omitempty"`
	Progress Progress        `json:"progress"`
	Problems int             `json:"problems"`
	Failure  *Failure        `json:"failure,omitempty"`
	Attempt  int             `json:"attempt"`           // 1 unless it repeats an interrupted job
	Follows  int64           `json:"follows,omitempty"` // the job it repeats

	Created   time.Time `json:"created"`
	Started   time.Time `json:"started,omitzero"`
	Heartbeat time.Time `json:"heartbeat,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
}

// Took is how long the job ran, up to now while it still does.
func (j Job) Took(now time.Time) time.Duration {
	switch {
	case j.Started.IsZero():
		return 0
	case j.Ended.IsZero():
		return now.Sub(j.Started)
	}
	return j.Ended.Sub(j.Started)
}

// Failure is why a job did not simply succeed: the sentence for people in
// every language, and what the machine said.
type Failure struct {
	Kind   string                 `json:"kind"` // of errs
	Text   map[locale.Lang]string `json:"text"`
	Detail string                 `json:"detail"`          // the whole error, in English
	Stack  string                 `json:"stack,omitempty"` // of a panic
}

// Tell gives the sentence for people; a nil Failure has none.
func (f *Failure) Tell(lang locale.Lang) string {
	if f == nil {
		return ""
	}
	return f.Text[lang]
}

// Progress is how far a job has come. Totals of zero are not known yet.
type Progress struct {
	Files      int64  `json:"files"`
	Bytes      int64  `json:"bytes"`
	TotalFiles int64  `json:"total_files"`
	TotalBytes int64  `json:"total_bytes"`
	Current    string `json:"current,omitempty"`
}

// Share is the part done, 0..1, by bytes where they are known; the second
// value is false when nothing is known.
func (p Progress) Share() (float64, bool) {
	switch {
	case p.TotalBytes > 0:
		return min(1, float64(p.Bytes)/float64(p.TotalBytes)), true
	case p.TotalFiles > 0:
		return min(1, float64(p.Files)/float64(p.TotalFiles)), true
	}
	return 0, false
}

// EventType says what an event tells.
type EventType string

// The event types. All but Moved are kept in the database.
const (
	StateChanged EventType = "state"    // Key is the new State
	StageBegan   EventType = "stage"    // Key is the word of the stage
	Line         EventType = "log"      // Key and Args make a text
	Trouble      EventType = "problem"  // Key and Args make a text
	Moved        EventType = "progress" // Progress has moved; Seq is 0
)

// Event is something that happened in a job.
type Event struct {
	Job  int64     `json:"job"`
	Seq  int64     `json:"seq"` // ascending in one job; 0 for Moved
	At   time.Time `json:"at"`
	Type EventType `json:"type"`
	Key  string    `json:"key,omitempty"`
	Args []any     `json:"args,omitempty"`
	// What the job looked like then; only on events from Subscribe.
	State    State    `json:"state,omitempty"`
	Stage    string   `json:"stage,omitempty"`
	Progress Progress `json:"progress,omitzero"`
	Problems int      `json:"problems,omitempty"`
}

// Tell gives the event as a line for people.
func (e Event) Tell(lang locale.Lang) string {
	switch e.Type {
	case StateChanged:
		return lang.T("job.became", "state", State(e.Key).Title(lang))
	case StageBegan:
		return lang.T("stage." + e.Key)
	case Moved:
		return e.Progress.Current
	case Trouble:
		return lang.T(e.Key, e.inLanguage(lang)...)
	}
	return lang.T(e.Key, e.Args...)
}

// inLanguage picks the error of a problem that was kept in Chinese for
// a Chinese reader.
func (e Event) inLanguage(lang locale.Lang) []any {
	args := slices.Clone(e.Args)
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == string(lang) {
			args[i] = "error"
		} else if args[i] == "error" && lang == locale.Chinese {
			args[i] = string(locale.English)
		}
	}
	return args
}

// Filter narrows a list of jobs; set fields must all be met.
type Filter struct {
	Kinds  []string
	Key    string
	States []State
	Since  time.Time // created at or after
	Before int64     // ids below this one: paging that stays put
	Limit  int       // 0: 50
	Offset int
}

// Package probe asks a place what it can do.
package probe

import (
	"context"
	"time"

	"emrvault/backup/storage"
)

// Kind is the folder of the scratch documents that a probe writes. It is none
// of a repository's, so nothing in it can be taken for a part of one, and
// nothing in it is ever locked.
const Kind storage.Kind = "probe"

// State is how a step ended.
type State string

// The states.
const (
	OK          State = "ok"
	Unsupported State = "unsupported" // the place does not offer it; backups work without
	Failed      State = "failed"
)

// The steps; the text of each is "probe.step.<name>".
const (
	Write          = "write"
	Read           = "read"
	Range          = "range"
	List           = "list" // what was written is listed at once
	Overwrite      = "overwrite"
	Upload         = "upload"   // speed
	Download       = "download" // speed
	Delete         = "delete"
	ConditionalPut = "conditional-put" // writes only what is not there yet
	Versioning     = "versioning"
	ObjectLock     = "object-lock"
	Checksum       = "checksum" // trailing headers
	Clock          = "clock"
)

// Step is what one question brought to light.
type Step struct {
	Name     string         `json:"name"`
	State    State          `json:"state"`
	Key      string         `json:"key,omitempty"`  // texts: "probe.<key>"
	Args     map[string]any `json:"args,omitempty"` // arguments of the text
	Text     string         `json:"text,omitempty"` // in English
	Duration time.Duration  `json:"duration_ns"`
}

// Report is the answer to all of them.
type Report struct {
	Location string    `json:"location"`
	Time     time.Time `json:"time"`
	Usable   bool      `json:"usable"` // a repository can live there
	Steps    []Step    `json:"steps"`
}

// Prober is an optional ability: a place that can tell more about itself than
// Storage can ask, such as ConditionalPut, Versioning, ObjectLock, Checksum and
// Clock. It cleans up what it writes, below Kind.
type Prober interface {
	Probe(ctx context.Context, now func() time.Time) []Step
}

// Run asks everything. The error is for a probe that could not be made.
func Run(ctx context.Context, st storage.Storage, now func() time.Time) (Report, error) {
	return Report{}, nil
}

package plan

import (
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
)

// Place is what a person enters of a place where points shall rest.
type Place struct {
	Name     string
	Location string
	Settings StorageSettings
	Secret   secret.Text // of the access key; empty for a folder
}

// StorageSettings are what a place needs beside its location. None of them is
// secret.
type StorageSettings struct {
	Region    string `json:"region,omitempty"`
	Style     string `json:"style,omitempty"` // auto (when empty), path or virtual
	AccessKey string `json:"access_key,omitempty"`
	CA        string `json:"ca,omitempty"`    // PEM of a private authority
	Proxy     string `json:"proxy,omitempty"` // URL

	LockDays   int    `json:"lock_days,omitempty"`   // how long nobody can delete what was stored; 0: not locked
	Bandwidth  string `json:"bandwidth,omitempty"`   // as limit.ParseSchedule reads it; empty: unlimited
	ReadBack   string `json:"read_back,omitempty"`   // all, sampled or off; empty: as usual for the place
	VerifyDays int    `json:"verify_days,omitempty"` // everything is read at least once in so many; 0: DefaultVerifyDays
}

// DefaultVerifyDays is how often every byte of a repository is read, unless
// its settings say otherwise.
const DefaultVerifyDays = 30

// Bounds of what a person may enter.
const (
	maxLockDays   = 366 * 30
	maxVerifyDays = 366
)

// VerifyEvery is the span in which every byte is read once.
func (s StorageSettings) VerifyEvery() time.Duration {
	days := s.VerifyDays
	if days == 0 {
		days = DefaultVerifyDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// Lock is how long documents are locked against deletion.
func (s StorageSettings) Lock() time.Duration { return time.Duration(s.LockDays) * 24 * time.Hour }

// Check refuses numbers without sense. What only the storage understands is
// checked when it is opened.
func (s StorageSettings) Check() error {
	if s.LockDays < 0 || s.LockDays > maxLockDays {
		return errs.New(errs.Invalid, "plan.invalid.lock", "value", s.LockDays, "most", maxLockDays)
	}
	if s.VerifyDays < 0 || s.VerifyDays > maxVerifyDays {
		return errs.New(errs.Invalid, "plan.invalid.verify", "value", s.VerifyDays, "most", maxVerifyDays)
	}
	return nil
}

// Care 日常维护 is what looking after a repository found and did, the last time.
type Care struct {
	Job      int64     `json:"job,omitempty"`
	Percent  int       `json:"percent"`           // of the bytes, read within the time that the settings ask for
	Oldest   time.Time `json:"oldest,omitzero"`   // the longest ago that a byte was last read; zero: some never
	Overdue  int       `json:"overdue,omitempty"` // packs that should have been read by now
	Damaged  int       `json:"damaged,omitempty"` // packs that are damaged or missing and could not be healed
	Healed   int       `json:"healed,omitempty"`  // packs that were healed from a second copy
	Lost     []Note    `json:"lost,omitempty"`    // which files of which points are lost, a sentence each
	LostTo   time.Time `json:"lost_to,omitzero"`  // the newest point of which something is lost
	LockedTo time.Time `json:"locked_to,omitzero"`
	Left     []Note    `json:"left,omitempty"` // what waits for the next time, and why
}

package plan

import "time"

// Sheet states: how far the recovery sheet of a repository has come.
const (
	SheetNone      = "none"      // no second key yet
	SheetShown     = "shown"     // the sheet was shown, nobody has typed groups back
	SheetConfirmed = "confirmed" // two groups were typed back: the paper exists
)

// Repository 备份仓库 is a place where points rest, with the words to open it.
// The password of the box is sealed in the store and never part of this.
type Repository struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`       // unique
	Location   string    `json:"location"`   // as storage understands it, without secrets
	Repository string    `json:"repository"` // the repository's own id, hex
	Sheet      string    `json:"sheet"`      // SheetNone, SheetShown or SheetConfirmed
	SheetAt    time.Time `json:"sheet_at,omitzero"`
	SheetKey   string    `json:"-"` // id of the key the confirmed sheet opens
	SheetNew   string    `json:"-"` // id of the key of a sheet shown and not yet confirmed
	BoxKey     string    `json:"-"` // name of the sealed password

	CheckedAt  time.Time `json:"checked_at,omitzero"` // last check, any depth
	CheckState string    `json:"check_state"`         // "" never, good, damaged, failed
	CheckDeep  bool      `json:"check_deep"`          // the last check read every byte
	Findings   int       `json:"findings"`            // of the last check

	Free    int64     `json:"free"`  // bytes; 0 with Total 0: not known
	Total   int64     `json:"total"` // bytes
	SpaceAt time.Time `json:"space_at,omitzero"`
	Created time.Time `json:"created"`

	Settings  StorageSettings `json:"settings"`
	SecretKey string          `json:"-"` // name of the sealed secret of the access key; empty: none
	Probe     string          `json:"-"` // JSON of what the place said it can do; empty: never asked
	ProbedAt  time.Time       `json:"probed_at,omitzero"`
	Care      Care            `json:"care"`
	CareAt    time.Time       `json:"care_at,omitzero"`
	NextCare  time.Time       `json:"next_care,omitzero"` // zero: the scheduler has not looked yet

	Plans  int   `json:"plans"`  // how many plans write or copy there
	Points int   `json:"points"` // how many live points and copies rest there
	Stored int64 `json:"stored"` // bytes the live points and copies have added
}

// UsedPercent is the share of the disk in use, 0..100; -1 when not known.
func (r Repository) UsedPercent() int {
	if r.Total <= 0 {
		return -1
	}
	return int((r.Total - r.Free) * 100 / r.Total)
}

package repository

import (
	"context"
	"time"

	"emrvault/backup"
)

// ProtectReport tells what Protect did.
type ProtectReport struct {
	Period    time.Duration `json:"period_ns"` // zero: the storage locks nothing
	Documents int64         `json:"documents"`
	Asked     int64         `json:"asked"`    // of the others this machine knew enough
	Extended  int64         `json:"extended"` // locked until now plus the period
	Unknown   int64         `json:"unknown"`  // of these, the storage did not say how long they were locked
	Failed    int64         `json:"failed"`   // could not be asked or extended
}

// Protect prolongs the locks of documents on storage that refuses deletion
// (object lock): those with less than half the period left are locked anew.
func (r *Repository) Protect(ctx context.Context, now time.Time, progress backup.Progress) (ProtectReport, error) {
	return ProtectReport{}, nil
}

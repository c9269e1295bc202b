package backupcmd

import (
	"context"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/all"
	"emrvault/backup/storage/limit"
)

// place opens where a repository rests, or is to rest. All places of a verb
// share their limits: two on one server ask it together for no more than it
// bears, and --bandwidth holds for both.
func (e *Env) place(ctx context.Context, location string) (storage.Storage, error) {
	dir, isFolder, err := all.Folder(location)
	if err != nil {
		return nil, err
	}
	if isFolder {
		location = "local:" + e.path(dir)
	}
	if e.Limits == nil {
		e.Limits = limit.NewRegistry(e.Now)
	}
	opts := []all.Option{all.WithEnvironment(e.getenv), all.WithRegistry(e.Limits)}
	if e.bandwidth != "" {
		schedule, err := limit.ParseSchedule(e.bandwidth, time.Local)
		if err != nil {
			return nil, usage("cli.usage.bandwidth", "value", e.bandwidth, "error", err.Error())
		}
		opts = append(opts, all.WithBandwidth(schedule))
	}
	return all.Open(ctx, location, opts...)
}

// isRemote tells whether a location names anything else than a folder. What it
// names may still be refused.
func isRemote(location string) bool {
	_, isFolder, _ := all.Folder(location)
	return !isFolder
}

package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	"emrvault/backup/source/all"
)

// inUse lists the places of live systems: what any plan protects.
func inUse(plans []plan.Plan) (list []string) {
	for _, p := range plans {
		for _, kind := range all.Kinds() {
			if kind.Name == p.Source.Kind {
				list = append(list, places(kind, p.Source)...)
			}
		}
	}
	return list
}

// apart refuses a folder that is, holds or lies in one of the taken places.
func apart(folder string, taken []string) error {
	for _, place := range taken {
		if source.Overlap(folder, place) {
			return errs.New(errs.Conflict, "run.restore.live", "target", folder, "place", place)
		}
	}
	return nil
}

// freeTarget refuses places that live systems, repositories or the box use.
func (r *Runner) freeTarget(ctx context.Context, target string) error {
	plans, err := r.Book.Plans(ctx)
	if err != nil {
		return err
	}
	repositories, err := r.Book.Repositories(ctx)
	if err != nil {
		return err
	}
	taken := append(inUse(plans), r.Layout.Data)
	for _, place := range repositories {
		taken = append(taken, place.Location)
	}
	return apart(target, taken)
}

// freePlace refuses a place for a new repository where something else lives:
// the box, what a plan protects (each backup would take the ones before it
// along), or files of others.
func (s *Repositories) freePlace(ctx context.Context, location string) error {
	if remote(location) {
		return nil
	}
	plans, err := s.parts.Book.Plans(ctx)
	if err != nil {
		return err
	}
	if err := apart(location, append(inUse(plans), s.parts.Layout.Data)); err != nil {
		return err
	}
	return unoccupied(location)
}

func remote(location string) bool { return strings.HasPrefix(location, "s3:") }

// unoccupied refuses a folder with something in it that is no part of
// a repository. One that a power cut has left half made is taken up again,
// and a fresh disk has its lost+found.
func unoccupied(folder string) error {
	own := []string{"config", "data", "index", "keys", "locks", "snapshots", "lost+found"}
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return told(fmt.Errorf("look into %s: %w", folder, err))
	}
	for _, e := range entries {
		if !slices.Contains(own, e.Name()) {
			return errs.New(errs.Conflict, "run.repository.occupied", "location", folder, "name", e.Name())
		}
	}
	return nil
}

// leaveOut gives the patterns of what a backup must not take along when its
// source lies around it: the key of the box, which opens every sealed word;
// scratch, where drills lay out what is in the repositories; and the
// repositories themselves, which would grow by their own size each night.
func (a *attempt) leaveOut(ctx context.Context) (patterns []string, err error) {
	repositories, err := a.Book.Repositories(ctx)
	if err != nil {
		return nil, err
	}
	private := []string{a.Layout.Secret(), a.Layout.Scratch()}
	for _, place := range repositories {
		if !remote(place.Location) {
			private = append(private, place.Location)
		}
	}
	for _, taken := range inUse([]plan.Plan{a.plan}) {
		for _, place := range private {
			if source.Overlap(taken, place) && !slices.Contains(patterns, literal(place)) {
				patterns = append(patterns, literal(place))
				a.job.Log("run.log.leftout", "path", place)
			}
		}
	}
	return patterns, nil
}

// literal turns a path into a pattern that means just this path.
func literal(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

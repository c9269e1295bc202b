package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"emrvault/appliance/store"
	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/plan"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
)

// reconcile makes book and repository say the same about the plan's points. A
// power cut between the snapshot and its row leaves a whole snapshot nobody
// knows of; another program may have removed one that the book still lists.
func (a *attempt) reconcile(ctx context.Context) error {
	list, err := snapshot.List(ctx, a.repo, snapshot.Filter{Host: a.Host, Tags: []string{a.plan.Tag()}})
	if err != nil {
		// A snapshot that cannot be read is for a check to name; the others count.
		a.job.Problem("snapshots", err)
	}
	var known map[string]bool
	var live []plan.Point
	err = a.Store.Read(ctx, func(tx *store.Tx) (err error) {
		if known, err = plan.Known(tx, a.place.ID); err != nil {
			return err
		}
		live, err = plan.Live(tx, a.plan)
		return err
	})
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(list))
	for _, sn := range list {
		there[sn.ID] = true
		if !known[sn.ID] && a.made(sn) {
			// One that cannot be read must not keep tonight's backup away.
			if err := a.adopt(ctx, sn); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				a.job.Problem("snapshot "+sn.Short(), err)
			}
		}
	}
	return a.strike(ctx, live, there)
}

// made says whether this plan of this box has made the snapshot, here and not
// as a copy of one made elsewhere.
func (a *attempt) made(sn *snapshot.Snapshot) bool {
	return sn.Original.IsZero() && strings.HasPrefix(sn.ProgramVersion, programName+" ") && !sn.Time.Before(a.plan.Created) && sn.Summary != nil
}

// adopt writes the row of a whole snapshot that a crash has kept from getting
// one.
func (a *attempt) adopt(ctx context.Context, sn *snapshot.Snapshot) error {
	if err := a.repo.LoadIndex(ctx); err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	facts, err := restore.NewPoint(a.repo, sn).Facts(ctx)
	if err != nil {
		return fmt.Errorf("facts of snapshot %s: %w", sn.Short(), err)
	}
	p := a.pointOf(sn, *sn.Summary, facts)
	if slices.Contains(sn.Tags, archive.Incomplete) {
		p.Problems = 1 // how many there were is not known any more
	}
	err = a.Store.Write(ctx, func(tx *store.Tx) error {
		_, err := plan.InsertPoint(tx, p)
		return err
	})
	if err == nil {
		a.job.Log("run.log.adopted", "point", p.Short())
	}
	return err
}

// strike takes points off the list whose snapshot is gone. It asks for each
// one by name: a listing alone is no proof.
func (a *attempt) strike(ctx context.Context, live []plan.Point, there map[string]bool) error {
	for _, p := range live {
		if there[p.Snapshot] {
			continue
		}
		if _, err := snapshot.Load(ctx, a.repo, p.Snapshot); !errors.Is(err, backup.ErrNotFound) {
			continue
		}
		if err := a.Store.Write(ctx, func(tx *store.Tx) error { return plan.Vanish(tx, p.ID) }); err != nil {
			return err
		}
		a.job.Log("run.log.vanished", "point", p.Short())
	}
	return nil
}

package backupcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// sizes is what repo stats tells.
type sizes struct {
	Snapshots   int             `json:"snapshots"`
	Checkpoints int             `json:"checkpoints"`   // of unfinished backups
	Logical     int64           `json:"logical_bytes"` // what restoring every snapshot would write
	Unique      int64           `json:"unique_bytes"`  // the pieces of files they need, each once, as plaintext
	Blobs       int64           `json:"blobs"`         // these pieces
	Stored      int64           `json:"stored_bytes"`  // everything that lies in the repository
	Files       int64           `json:"stored_files"`
	Ratio       float64         `json:"ratio"`         // logical by stored
	Data        snapshot.Volume `json:"data"`          // used pieces of files
	Tree        snapshot.Volume `json:"tree"`          // used lists of folders
	Shared      int64           `json:"shared_bytes"`  // of both, what several snapshots need, as stored
	Unused      snapshot.Volume `json:"unused"`        // a prune can free it
	Duplicates  snapshot.Volume `json:"duplicates"`    // second copies; a prune can free them
	Missing     int64           `json:"missing_blobs"` // needed, but in no pack: run a check
	Points      []pointSize     `json:"points"`        // the newest last
}

// pointSize is where the bytes of one snapshot are.
type pointSize struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Host    string    `json:"hostname,omitempty"`
	Tags    []string  `json:"tags,omitempty"`
	Paths   []string  `json:"paths"`
	Logical int64     `json:"logical_bytes"`
	Files   int64     `json:"files"`
	Unique  int64     `json:"unique_bytes"` // as stored: what forgetting it alone, and a prune, would free
}

// topPoints is how many snapshots the table names: the largest.
const topPoints = 20

func statsCommand(env *Env, f *repoFlags) *cobra.Command {
	var every bool
	cmd := &cobra.Command{
		Use: "stats -r REPO", Short: env.t("cli.stats.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runStats(ctx, env, f, every) }),
	}
	cmd.Flags().BoolVar(&every, "all", false, env.t("cli.flag.stats-all"))
	return cmd
}

func runStats(ctx context.Context, env *Env, f *repoFlags, every bool) error {
	return f.locked(ctx, env, repository.Read, func(ctx context.Context, repo *repository.Repository) error {
		s, err := measure(ctx, repo)
		if err != nil {
			return err
		}
		if f.json {
			return env.json(s)
		}
		return errors.Join(env.showSizes(s), env.showPoints(s, every))
	})
}

func measure(ctx context.Context, repo *repository.Repository) (*sizes, error) {
	list, checkpoints, err := snapshot.ListAll(ctx, repo)
	if err != nil {
		return nil, err
	}
	if err := repo.LoadIndex(ctx); err != nil { // after the list: what it names is in the index by then
		return nil, err
	}
	u, err := snapshot.Measure(ctx, repo, slices.Concat(list, checkpoints))
	if err != nil {
		return nil, err
	}
	s := &sizes{
		Snapshots: len(list), Checkpoints: len(checkpoints), Unique: u.Data.Plain, Blobs: u.Data.Blobs, Data: u.Data, Tree: u.Tree,
		Shared: u.SharedBytes, Unused: u.Unused, Duplicates: u.Duplicates, Missing: u.Missing, Points: make([]pointSize, len(list)),
	}
	for i, sn := range list {
		share := u.Shares[i]
		s.Logical += share.Logical
		s.Points[i] = pointSize{sn.ID, sn.Time, sn.Hostname, sn.Tags, sn.Paths, share.Logical, share.Files, share.UniqueBytes}
	}
	if err := s.addStored(ctx, repo); err != nil {
		return nil, err
	}
	if s.Stored > 0 {
		s.Ratio = float64(s.Logical) / float64(s.Stored)
	}
	return s, nil
}

func (s *sizes) addStored(ctx context.Context, repo *repository.Repository) error {
	for _, kind := range []storage.Kind{storage.Pack, storage.Index, storage.Snapshot, storage.Key} {
		err := repo.Storage().List(ctx, kind, func(i storage.Info) error {
			s.Stored += i.Size
			s.Files++
			return nil
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", kind, err)
		}
	}
	return nil
}

func (e *Env) showSizes(s *sizes) error {
	l := e.Lang
	err := errors.Join(
		e.say("cli.stats.logical", "bytes", l.Bytes(s.Logical), "points", l.Number(int64(s.Snapshots))),
		e.say("cli.stats.unique", "bytes", l.Bytes(s.Unique), "blobs", l.Number(s.Blobs)),
		e.say("cli.stats.stored", "bytes", l.Bytes(s.Stored), "files", l.Number(s.Files)),
		e.say("cli.stats.ratio", "ratio", fmt.Sprintf("%.2f", s.Ratio)),
	)
	for _, part := range []struct {
		key string
		v   snapshot.Volume
	}{{"data", s.Data}, {"tree", s.Tree}, {"unused", s.Unused}, {"duplicates", s.Duplicates}} {
		err = errors.Join(err, e.say("cli.stats."+part.key, "bytes", l.Bytes(part.v.Bytes), "blobs", l.Number(part.v.Blobs)))
	}
	if s.Missing > 0 {
		err = errors.Join(err, e.say("cli.stats.missing", "blobs", l.Number(s.Missing)))
	}
	return err
}

// showPoints names the snapshots that hold most for themselves.
func (e *Env) showPoints(s *sizes, every bool) error {
	points := slices.SortedFunc(slices.Values(s.Points), func(a, b pointSize) int {
		return cmp.Or(cmp.Compare(b.Unique, a.Unique), b.Time.Compare(a.Time))
	})
	if len(points) == 0 {
		return nil
	}
	if !every {
		points = points[:min(topPoints, len(points))]
	}
	var rows [][]string
	for _, p := range points {
		rows = append(rows, []string{p.ID[:8], e.Lang.Time(p.Time), p.Host, e.Lang.Bytes(p.Logical), e.Lang.Bytes(p.Unique)})
	}
	head := []string{e.t("cli.points.id"), e.t("cli.points.time"), e.t("cli.points.host"), e.t("cli.points.size"), e.t("cli.stats.alone")}
	return errors.Join(e.say("cli.stats.points"), e.table(head, rows))
}

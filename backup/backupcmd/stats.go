package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// sizes is what repo stats tells.
type sizes struct {
	Snapshots int     `json:"snapshots"`
	Logical   int64   `json:"logical_bytes"` // what restoring every snapshot would write
	Unique    int64   `json:"unique_bytes"`  // the pieces they need, each once
	Blobs     int64   `json:"blobs"`
	Stored    int64   `json:"stored_bytes"` // everything that lies in the repository
	Files     int64   `json:"stored_files"`
	Ratio     float64 `json:"ratio"` // logical by stored
}

func statsCommand(env *Env, f *repoFlags) *cobra.Command {
	return &cobra.Command{
		Use: "stats -r REPO", Short: env.t("cli.stats.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runStats(ctx, env, f) }),
	}
}

func runStats(ctx context.Context, env *Env, f *repoFlags) error {
	return f.locked(ctx, env, repository.Read, func(ctx context.Context, repo *repository.Repository) error {
		s, err := measure(ctx, repo)
		if err != nil {
			return err
		}
		if f.json {
			return env.json(s)
		}
		l := env.Lang
		return errors.Join(
			env.say("cli.stats.logical", "bytes", l.Bytes(s.Logical), "points", l.Number(int64(s.Snapshots))),
			env.say("cli.stats.unique", "bytes", l.Bytes(s.Unique), "blobs", l.Number(s.Blobs)),
			env.say("cli.stats.stored", "bytes", l.Bytes(s.Stored), "files", l.Number(s.Files)),
			env.say("cli.stats.ratio", "ratio", fmt.Sprintf("%.2f", s.Ratio)),
		)
	})
}

func measure(ctx context.Context, repo *repository.Repository) (sizes, error) {
	var s sizes
	if err := repo.LoadIndex(ctx); err != nil {
		return s, err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	if err != nil {
		return s, err
	}
	s.Snapshots = len(list)
	for _, sn := range list {
		n, err := logical(ctx, repo, sn)
		if err != nil {
			return s, err
		}
		s.Logical += n
	}
	used, err := snapshot.UsedBy(ctx, repo, list)
	if err != nil {
		return s, err
	}
	for h := range used.All() {
		if n, ok := repo.BlobSize(h); ok && h.Type == blob.Data {
			s.Unique += int64(n)
			s.Blobs++
		}
	}
	if err := s.addStored(ctx, repo); err != nil {
		return s, err
	}
	if s.Stored > 0 {
		s.Ratio = float64(s.Logical) / float64(s.Stored)
	}
	return s, nil
}

// logical is the size of a snapshot's files; older programs did not note it.
func logical(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot) (int64, error) {
	if sn.Summary != nil {
		return int64(sn.Summary.TotalBytesProcessed), nil
	}
	var sum int64
	err := snapshot.Walk(ctx, repo, sn.Tree, func(_ string, n *snapshot.Node) error {
		if n.Type == snapshot.File {
			sum += int64(n.Size)
		}
		return nil
	})
	return sum, err
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
